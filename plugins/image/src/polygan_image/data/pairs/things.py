"""What stands in a made-up street: buildings, trees, lamps, persons and cars."""

from __future__ import annotations

import numpy as np

from .scene import BUILDING, CAR, FAR, NEAR, PERSON, POLE, TREE, WINDOW, Street, colour

_WALLS = ("#a2553f", "#c9b08a", "#8d8f94", "#d8c9ae", "#7a4a3c", "#b98f5a", "#9fa8a3", "#c4a59a")
_CARS = ("#b02a2a", "#2b4f8f", "#e8e8ea", "#1d1f24", "#8b9096", "#3f6b4a", "#c9a23a")
_CLOTHES = ("#7c2f3c", "#2f4a7c", "#37373b", "#8a7a3a", "#54704e", "#a85a2a")
_LEAVES = ("#4c6b2a", "#5d7a33", "#3f5f2e", "#77802f")


def populate(street: Street) -> None:
    """Everything that stands, from far to near."""
    rng, things = street.rng, []
    for side in (-1, 1):
        z = NEAR - rng.uniform(0, 6)
        while z < FAR:
            deep = rng.uniform(6, 14)
            if rng.random() < 0.88:
                things.append((max(z, 0.6) + deep, 0, side, (max(z, 0.6), z + deep)))
            z += deep
        for z in np.arange(rng.uniform(4, 10), 50, rng.uniform(6, 11)).tolist():
            things.append((z, 1 if rng.random() < 0.55 else 2, side, (z, z)))
        for _ in range(rng.integers(0, 4)):
            things.append((rng.uniform(4, 28), 3, side, (0.0, 0.0)))
        lanes = np.sort(rng.uniform(5, 45, rng.integers(0, 4)))
        things += [(z, 4, side, (0.0, 0.0)) for i, z in enumerate(lanes.tolist()) if not i or z - lanes[i - 1] > 6]
    draw = (_building, _tree, _lamp, _person, _car)
    for z, kind, side, depth in sorted(things, key=lambda thing: (thing[1] > 0, -thing[0])):
        draw[kind](street, z, side, depth)


def _building(street: Street, z: float, side: int, depth: tuple[float, float]) -> None:
    """A wall along the pavement, with rows of windows and the front that looks at the camera."""
    rng, (near, far) = street.rng, depth
    x, floors = side * (street.half + street.walk), int(rng.integers(2, 7))
    storey = rng.uniform(2.8, 3.4)
    top, wall = floors * storey + rng.uniform(0.3, 1.2), colour(str(rng.choice(_WALLS)), rng.uniform(0.85, 1.15))
    in_sun = side != street.light.side
    shade = 255 if in_sun else 40
    back = side * (abs(x) + 12)
    front = [street.at(x, 0, near), street.at(back, 0, near), street.at(back, top, near), street.at(x, top, near)]
    street.polygon(front, BUILDING, street.hazy(wall, near, 0.8), 90)
    face = [street.at(x, 0, near), street.at(x, 0, far), street.at(x, top, far), street.at(x, top, near)]
    middle = (near + far) / 2
    street.polygon(face, BUILDING, street.hazy(wall, middle), shade)
    for y, gain in ((top - 0.3, 0.75), (storey - 0.25, 0.85)):  # the cornice, and a band above the ground floor
        band = [street.at(x, y, near), street.at(x, y, far), street.at(x, y + 0.3, far), street.at(x, y + 0.3, near)]
        street.painted(band, street.hazy(wall, middle, gain))
    columns = max(2, round((far - near) / rng.uniform(1.8, 2.6)))
    pitch, wide, glass = (far - near) / columns, rng.uniform(0.45, 0.65), rng.uniform(0.42, 0.55) * storey
    for floor in range(floors):
        shop = floor == 0 and rng.random() < 0.5
        low = floor * storey + (0.5 if shop else 0.85)
        for column in range(columns):
            z1 = near + (column + 0.5 - wide / 2 * (1.3 if shop else 1)) * pitch
            high, z2 = low + glass * (1.25 if shop else 1), z1 + wide * pitch * (1.3 if shop else 1)
            _window(street, x, (low, high), (z1, z2), shade)


def _window(street: Street, x: float, y: tuple[float, float], z: tuple[float, float], shade: int) -> None:
    """A pane that mirrors the sky, or has a lamp behind it."""
    rng, middle = street.rng, sum(z) / 2
    if abs(street.at(x, 0, z[0])[0] - street.at(x, 0, z[1])[0]) < 1:  # too far away to be seen
        return
    lit = rng.random() < street.light.lit
    tone = colour("#ffdf8e")
    if not lit:
        share, (red, green, blue), more = 0.25 + 0.25 * rng.random(), street.light.zenith, 0.1 * rng.random()
        tone = share * red + more, share * green + more, share * blue + more
    pane = [street.at(x, y[0], z[0]), street.at(x, y[0], z[1]), street.at(x, y[1], z[1]), street.at(x, y[1], z[0])]
    street.polygon(pane, WINDOW, street.hazy(tone, middle), 255 if lit else max(shade, 120))


def _tree(street: Street, z: float, side: int, depth: tuple[float, float]) -> None:
    """A trunk and a crown of several balls, lighter on top."""
    rng, x = street.rng, side * (street.half + 0.7)
    tall, wide = rng.uniform(4.5, 7.5), rng.uniform(1.1, 1.8)
    leaves, bark = colour(str(rng.choice(_LEAVES)), rng.uniform(0.85, 1.2)), colour("#4d3b2c")
    _shadow(street, x, z, wide)
    trunk = [
        street.at(x - 0.13, 0, z),
        street.at(x + 0.13, 0, z),
        street.at(x + 0.09, tall - wide, z),
        street.at(x - 0.09, tall - wide, z),
    ]
    street.polygon(trunk, TREE, street.hazy(bark, z), 200)
    for i in range(9):
        up = i / 8
        dx, dy, r = rng.uniform(-0.6, 0.6) * wide, (up - 0.5) * 1.3 * wide, wide * rng.uniform(0.45, 0.65)
        left, high = street.at(x + dx - r, tall - wide + dy + r, z)
        right, low = street.at(x + dx + r, tall - wide + dy - r, z)
        street.ellipse((left, high, right, low), TREE, street.hazy(leaves, z, 0.65 + 0.55 * up), 235)


def _lamp(street: Street, z: float, side: int, depth: tuple[float, float]) -> None:
    """A lamp post whose arm reaches over the road."""
    x, tall, iron = side * (street.half + 0.4), 5.5, street.hazy(colour("#3b3f45"), z)
    for low, high, wide in ((0, tall, 0.07), (0, 0.9, 0.12)):
        street.polygon(
            [
                street.at(x - wide, low, z),
                street.at(x + wide, low, z),
                street.at(x + wide, high, z),
                street.at(x - wide, high, z),
            ],
            POLE,
            iron,
        )
    end = x - side * 1.3
    street.polygon(
        [street.at(x, tall, z), street.at(end, tall + 0.15, z), street.at(end, tall, z), street.at(x, tall - 0.15, z)],
        POLE,
        iron,
    )
    street.painted(
        [street.at(end, tall, z), street.at(end + side * 0.5, tall, z), street.at(end, tall - 0.12, z)],
        street.hazy(colour("#fff3c4"), z),
    )


def _person(street: Street, z: float, side: int, depth: tuple[float, float]) -> None:
    """Legs, a coat and a head."""
    rng, x = street.rng, side * (street.half + street.rng.uniform(0.6, street.walk - 0.5))
    tall = rng.uniform(1.5, 1.85)
    coat, legs = colour(str(rng.choice(_CLOTHES))), colour("#2b2e38", rng.uniform(0.8, 1.6))
    skin = colour("#c79a7a", rng.uniform(0.55, 1.15))
    _shadow(street, x, z, 0.35)
    stride = rng.uniform(0.05, 0.2)
    for foot in (-stride, stride):
        leg = [
            street.at(x + foot - 0.07, 0, z),
            street.at(x + foot + 0.07, 0, z),
            street.at(x + 0.12, 0.5 * tall, z),
            street.at(x - 0.12, 0.5 * tall, z),
        ]
        street.polygon(leg, PERSON, street.hazy(legs, z), 220)
    body = [(-0.2, 0.45), (0.2, 0.45), (0.24, 0.8), (0.1, 0.87), (-0.1, 0.87), (-0.24, 0.8)]
    street.polygon([street.at(x + dx, y * tall, z) for dx, y in body], PERSON, street.hazy(coat, z), 220)
    left, high = street.at(x - 0.11, tall, z)
    right, low = street.at(x + 0.11, 0.86 * tall, z)
    street.ellipse((left, high, right, low), PERSON, street.hazy(skin, z), 230)


def _shadow(street: Street, x: float, z: float, wide: float) -> None:
    """The shadow of a thing on the ground, away from the sun."""
    left, right = sorted((x - street.light.side * wide * 2.2, x + street.light.side * wide * 0.4))
    near, far = max(z - 0.4 * wide, 0.6), z + 0.4 * wide
    street.shadow.ellipse(
        [street.at(left, 0, z)[0], street.at(x, 0, far)[1], street.at(right, 0, z)[0], street.at(x, 0, near)[1]], 30
    )


def _car(street: Street, z: float, side: int, depth: tuple[float, float]) -> None:
    """A car that drives away on the right, and comes closer on the left."""
    rng = street.rng
    x = side * street.half * rng.uniform(0.42, 0.55)
    long, wide, tall = rng.uniform(3.8, 4.6), rng.uniform(0.8, 0.92), rng.uniform(1.35, 1.65)
    paint, far = colour(str(rng.choice(_CARS))), z + long
    street.shadow.polygon(street.floor((x - wide - 0.15, x + wide + 0.15), (max(z - 0.3, 0.6), far)), 15)
    inner = x - np.sign(x) * wide  # the flank that the camera sees
    gain = 1.0 if np.sign(x) == street.light.side else 0.75
    flank = [(z, 0.3), (far, 0.3), (far, 0.62 * tall), (z, 0.62 * tall)]
    street.polygon([street.at(inner, y, d) for d, y in flank], CAR, street.hazy(paint, z, gain * 0.85), 230)
    cabin = [
        (z + 0.12 * long, 0.6 * tall),
        (z + 0.8 * long, 0.6 * tall),
        (z + 0.62 * long, tall),
        (z + 0.25 * long, tall),
    ]
    street.polygon(
        [street.at(inner * 0.98 + x * 0.02, y, d) for d, y in cabin], CAR, street.hazy(colour("#23282f"), z), 230
    )
    for share in (0.18, 0.8):
        left, high = street.at(inner, 0.62, z + share * long - 0.3)
        right, low = street.at(inner, 0.0, z + share * long + 0.3)
        box = (min(left, right), min(high, low), max(left, right), max(high, low))
        street.ellipse(box, CAR, street.hazy(colour("#15161a"), z), 200)
    roof = [(-0.78, tall, 0.25), (0.78, tall, 0.25), (0.78, tall, 0.62), (-0.78, tall, 0.62)]
    street.polygon(
        [street.at(x + dx * wide, y, z + s * long) for dx, y, s in roof], CAR, street.hazy(paint, z, 1.1), 255
    )
    end = [(-1, 0.28), (1, 0.28), (1, 0.6 * tall), (-1, 0.6 * tall)]
    street.polygon([street.at(x + dx * wide, y, z) for dx, y in end], CAR, street.hazy(paint, z), 240)
    pane = [(-0.92, 0.6 * tall, 0), (0.92, 0.6 * tall, 0), (0.76, tall, 0.25), (-0.76, tall, 0.25)]
    street.polygon(
        [street.at(x + dx * wide, y, z + s * long) for dx, y, s in pane], CAR, street.hazy(colour("#2c3640"), z), 240
    )
    _ends(street, x, z, wide, tall, side)


def _ends(street: Street, x: float, z: float, wide: float, tall: float, side: int) -> None:
    """Lights, the number plate and tyres at the end that the camera sees."""
    lamp = colour("#d4211c") if side > 0 else colour("#fff6d8")
    for dx in (-0.78, 0.78):
        light = [
            (dx - 0.17, 0.42 * tall),
            (dx + 0.17, 0.42 * tall),
            (dx + 0.17, 0.53 * tall),
            (dx - 0.17, 0.53 * tall),
        ]
        street.painted([street.at(x + d * wide, y, z) for d, y in light], street.hazy(lamp, z))
        tyre = [(dx - 0.14, 0), (dx + 0.14, 0), (dx + 0.14, 0.3), (dx - 0.14, 0.3)]
        street.polygon([street.at(x + d * wide, y, z) for d, y in tyre], CAR, street.hazy(colour("#141519"), z), 200)
    plate = [(-0.28, 0.3 * tall), (0.28, 0.3 * tall), (0.28, 0.38 * tall), (-0.28, 0.38 * tall)]
    street.painted([street.at(x + d * wide, y, z) for d, y in plate], street.hazy(colour("#e9e6cf"), z))
