"""A made-up street: where its things stand, seen by a camera on the road, drawn as a label map and in colour at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("sky", "building", "window", "tree", "pavement", "road", "marking", "car", "person", "pole")
"""The classes of the label maps, by their ids."""
SKY, BUILDING, WINDOW, TREE, PAVEMENT, ROAD, MARKING, CAR, PERSON, POLE = range(10)
_EYE = 1.6  # metres of the camera above the road
FAR = 80.0  # metres to the end of the street
NEAR = 2.0

Colour = tuple[float, float, float]
"""Red, green and blue in [0, 1]."""


def colour(text: str, gain: float = 1.0) -> Colour:
    """A colour of ``#rrggbb``, lighter or darker by ``gain``."""
    red, green, blue = (int(text[i : i + 2], 16) / 255 * gain for i in (1, 3, 5))
    return red, green, blue


class Light(NamedTuple):
    """The light of a time of day."""

    sun: Colour
    """What sunlit surfaces are multiplied by."""
    shadow: Colour
    """What surfaces in the shadow are multiplied by."""
    haze: Colour
    """The colour of the sky at the horizon, which far things take on."""
    zenith: Colour
    clouds: float
    lit: float
    """The share of windows with lamps on."""
    side: int
    """-1: the sun is on the left, 1: on the right."""


def light_of(rng: np.random.Generator) -> Light:
    """Day, a grey day, or the hour before sunset."""
    kind, side, k = rng.random(), int(rng.choice((-1, 1))), 0.92 + 0.16 * rng.random()
    if kind < 0.6:
        return Light(colour("#fff8ea", k), colour("#8f9bb5", k), colour("#cfe0ee"), colour("#4f8fd0"), 0.5, 0.0, side)
    if kind < 0.8:
        return Light(colour("#d2d4d8", k), colour("#a4a9b3", k), colour("#d3d6da"), colour("#a3acb8"), 0.9, 0.1, side)
    return Light(colour("#ffd9a8", k), colour("#76688a", k), colour("#f5c795"), colour("#6a7fb5"), 0.6, 0.35, side)


class Street:
    """Three drawings of one street, ``size`` (width, height): ``labels``, ``colours``, and ``shade`` (255: in the sun)."""

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.size, self.rng, self.light = size, rng, light_of(rng)
        width, height = size
        self.focus = max(width / 2, height) * rng.uniform(0.9, 1.15)
        self.centre = width * rng.uniform(0.42, 0.58), height * rng.uniform(0.42, 0.52)
        self.half = rng.uniform(3.2, 4.8)  # metres from the middle of the road to the kerb
        self.walk = rng.uniform(1.8, 3.2)  # metres of pavement
        rows = (np.array(self.sky(height))[:, None] * 255).astype(np.uint8)
        self.labels, self.colours = Image.new("L", size, SKY), Image.fromarray(rows).resize(size)
        self.shade = Image.new("L", size, 255)
        self._drawings = [ImageDraw.Draw(image) for image in (self.labels, self.colours, self.shade)]
        self.shadow = self._drawings[2]
        self._ground()

    def sky(self, rows: int) -> list[Colour]:
        """The colour of a clear sky in each of ``rows`` rows of a picture: from the zenith to the haze at the horizon."""
        horizon, tones = max(self.centre[1] * rows / self.size[1], 1.0), []
        for row in range(rows):
            up = max(1 - row / horizon, 0.0) ** 0.7
            red, green, blue = (h * (1 - up) + z * up for h, z in zip(self.light.haze, self.light.zenith, strict=True))
            tones.append((red, green, blue))
        return tones

    def at(self, x: float, y: float, z: float) -> tuple[float, float]:
        """The pixel of a point: ``x`` metres right of the middle, ``y`` above the road, ``z`` in front of the camera."""
        scale = self.focus / max(z, 0.5)
        return self.centre[0] + x * scale, self.centre[1] + (_EYE - y) * scale

    def hazy(self, tone: Colour, z: float, gain: float = 1.0) -> tuple[int, int, int]:
        """A colour as it looks at a distance."""
        share = 0.75 * min(z / FAR, 1.0) ** 1.3
        gain, most, far = 255 * gain * (1 - share), 255 * (1 - share), 255 * share
        red, green, blue = (
            int(min(max(gain * t, 0.0), most) + far * h) for t, h in zip(tone, self.light.haze, strict=True)
        )
        return red, green, blue

    def polygon(
        self, points: Sequence[tuple[float, float]], label: int, tone: tuple[int, int, int], shade: int = 255
    ) -> None:
        """A polygon in all three drawings."""
        for drawing, value in zip(self._drawings, (label, tone, shade), strict=True):
            drawing.polygon(points, value)

    def painted(self, points: Sequence[tuple[float, float]], tone: tuple[int, int, int]) -> None:
        """A polygon in colour, on a thing that has its label already."""
        self._drawings[1].polygon(points, tone)

    def ellipse(self, box: Sequence[float], label: int, tone: tuple[int, int, int], shade: int = 255) -> None:
        """An ellipse (left, top, right, bottom) in all three drawings."""
        for drawing, value in zip(self._drawings, (label, tone, shade), strict=True):
            drawing.ellipse(list(box), value)

    def floor(self, x: tuple[float, float], z: tuple[float, float], y: float = 0.0) -> list[tuple[float, float]]:
        """The corners of a rectangle on the ground."""
        return [self.at(x[0], y, z[0]), self.at(x[1], y, z[0]), self.at(x[1], y, z[1]), self.at(x[0], y, z[1])]

    def _ground(self) -> None:
        """Pavements, road, shadows of the buildings, kerbs and markings."""
        rng, edge = self.rng, self.half + self.walk
        near, far = 0.5, FAR * 4
        paving, tar = colour("#a9a49c", rng.uniform(0.85, 1.1)), colour("#55565c", rng.uniform(0.8, 1.2))
        self.polygon(self.floor((-60, 60), (near, far)), PAVEMENT, self.hazy(paving, 8))
        self.polygon(self.floor((-self.half, self.half), (near, far)), ROAD, self.hazy(tar, 8))
        reach = rng.uniform(0.2, 0.9) * self.half  # of the shadow, beyond the kerb
        sun = self.light.side
        self.shadow.polygon(self.floor((sun * edge, sun * (self.half - reach)), (near, far)), 0)
        for side in (-1, 1):
            self.painted(
                self.floor((side * self.half, side * (self.half + 0.25)), (near, far)), self.hazy(paving, 8, 1.15)
            )
            for z in np.arange(NEAR, 30, 1.5).tolist():  # joints of the slabs
                joint = self.floor((side * (self.half + 0.25), side * edge), (z, z + 0.05))
                self.painted(joint, self.hazy(paving, z, 0.8))
        self._markings()

    def _markings(self) -> None:
        rng, white = self.rng, colour("#e6e6e0")
        dash, gap = rng.uniform(2.0, 3.5), rng.uniform(2.5, 4.5)
        z = NEAR + rng.uniform(0, gap)
        while z < 45:
            self.polygon(self.floor((-0.09, 0.09), (z, z + dash)), MARKING, self.hazy(white, z), 255)
            z += dash + gap
        if rng.random() < 0.5:
            for side in (-1, 1):
                line = self.floor((side * (self.half - 0.45), side * (self.half - 0.3)), (0.5, 60))
                self.polygon(line, MARKING, self.hazy(white, 15))
        if rng.random() < 0.35:  # a zebra crossing
            z = rng.uniform(5, 14)
            for x in np.arange(-self.half + 0.4, self.half - 0.7, 1.0).tolist():
                self.polygon(self.floor((x, x + 0.5), (z, z + 2.8)), MARKING, self.hazy(white, z))
