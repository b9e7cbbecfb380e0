"""The made-up data set ``streets``: label maps of streets, and the streets as they look."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from polygan import ConfigError, Fact, Field, ranged

from ..settings import ImageSettings
from ..sources import PictureSource
from .labels import Classes
from .scene import BUILDING, NAMES, PAVEMENT, ROAD, SKY, TREE, WINDOW, Street
from .things import populate

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSION = 1  # of what is drawn for the same seed
_SIZE = 128, 64
_LEAST, _MOST = 32, 512
_OVER = 2  # pixels drawn for each pixel of a side
_SALT = 0x57EE75
COLOURS = ("#4682b4", "#6b6b6b", "#a7b7d8", "#6b8e23", "#f423e8", "#804080", "#ffffff", "#00008e", "#dc143c", "#dcdc00")
"""The colours of label maps in reports, as usual for driving scenes."""
_GRAIN = {SKY: (0.0, 0.0, 0.0), ROAD: (0.05, 0.04, 0.08), PAVEMENT: (0.05, 0.04, 0.06), BUILDING: (0.07, 0.05, 0.06)} | {
    TREE: (0.18, 0.28, 0.05), WINDOW: (0.02, 0.04, 0.0)
}  # fmt: skip
"""How strong fine, middle and coarse noise are on a class; elsewhere 0.03 of each."""


@dataclass(frozen=True, kw_only=True)
class StreetsSettings(ImageSettings):
    """What the set `streets` adds."""

    count: int = ranged(600, "[2, 1000000]")
    """Streets of the set."""
    seed: int = ranged(0, "[0, inf)")
    """Seed of the set."""


def drawn(seed: int, index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Street ``index`` of a seed at ``size`` (width, height): class ids uint8 (H, W), and colours uint8 (H, W, 3)."""
    rng = np.random.default_rng([_SALT, seed, index])
    street = Street((size[0] * _OVER, size[1] * _OVER), rng)
    populate(street)
    labels = np.asarray(street.labels)[_OVER // 2 :: _OVER, _OVER // 2 :: _OVER].copy()
    return labels, (_coloured(street, labels, rng).clip(0, 1) * 255).astype(np.uint8)


def _coloured(street: Street, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) in about [0, 1]: the drawing in its light, with the sky and with the grain of each surface."""
    light, width = street.light, labels.shape[1]
    shade = np.asarray(street.shade.reduce(_OVER).filter(ImageFilter.BoxBlur(width / 256)), np.float32)[..., None] / 255
    colours = np.asarray(street.colours.reduce(_OVER), np.float32) / 255
    colours *= np.array(light.shadow, np.float32) * (1 - shade) + np.array(light.sun, np.float32) * shade
    noises = [_noise(rng, labels.shape, cells) for cells in (width // 2, width // 8, 6)]
    amounts = np.array([_GRAIN.get(i, (0.03, 0.03, 0.03)) for i in range(len(NAMES))], np.float32)
    colours *= 1 + (amounts[labels] * np.stack(noises, -1)).sum(-1, keepdims=True)
    sky = labels == SKY
    if sky.any():
        colours[sky] = _clouded(street, labels.shape, rng)[sky]
    return colours + 0.008 * noises[0][..., None]


def _clouded(street: Street, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3): the sky with clouds."""
    plain = np.array(street.sky(shape[0]), np.float32)[:, None]
    cloud = _noise(rng, shape, 5) + 0.5 * _noise(rng, shape, 14)
    cover = ((cloud - 0.2) * 1.2).clip(0, 1)[..., None] * street.light.clouds
    return plain * (1 - cover) + (0.4 * np.array(street.light.haze, np.float32) + 0.6) * cover


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Smooth noise (H, W) of about unit size with ``cells`` blotches across."""
    height, width = shape
    cells = max(2, cells)
    few = rng.standard_normal((max(2, round(cells * height / width)), cells), dtype=np.float32)
    return np.asarray(Image.fromarray(few).resize((width, height), Image.Resampling.BILINEAR))


class Streets(PictureSource):
    """Streets drawn from seeds: ``image`` is the street, ``given`` its label map, unless the settings derive another given side."""

    def __init__(self, settings: StreetsSettings) -> None:
        size = settings.size if settings.resolution else _SIZE
        if not all(_LEAST <= side <= _MOST for side in size):
            raise ConfigError(
                f"data.resolution = {settings.resolution} is outside [{_LEAST}, {_MOST}], the sides in pixels that streets are drawn at; "
                "try --data.resolution 128x64"
            )
        self.count, self.seed = settings.count, settings.seed
        self._stored = settings.pairs in ("", "folders")
        if self._stored and (settings.given or not settings.given_labels):
            raise ConfigError(
                "the given side of streets is their label maps; leave --data.given and --data.given_labels out"
            )
        self._settle(
            replace(settings, pairs="", given="") if self._stored else settings, size, settings.channels or 3, None
        )
        if self._stored:
            self.fields = {**self.fields, "given": Field("uint8", (1, *self._size[::-1]))}
            classes = Classes(tuple(range(len(NAMES))), NAMES, COLOURS, "ids")
            self.info |= {"pairs": "folders", "given": dict(classes.facts())}

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """The number of a street."""
        return f"street {index}"

    def fingerprint(self) -> str:
        """The seed and the size; pairs by grey have no label maps."""
        facts = repr((_VERSION, self.count, self.seed, self._stored, self._fingerprint()))
        return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """One street."""
        labels, picture = drawn(self.seed, index, self._size)
        return {"image": self._fitted(Image.fromarray(picture)), **({"given": labels[None]} if self._stored else {})}

    def describe(self) -> Sequence[Fact]:
        """Sizes and classes."""
        facts = [Fact("made", f"{self._size[0]}x{self._size[1]}, drawn by seed {self.seed}")]
        if self._stored:
            facts.append(Fact("pairs", f"label maps are given, streets are made; classes: {', '.join(NAMES)}"))
        return facts


def streets(settings: StreetsSettings) -> Streets:
    """Label maps of made-up streets and the streets themselves, 128x64 unless ``settings.resolution`` says otherwise."""
    return Streets(settings)
