"""Colours as people see them: sRGB to CIE 1976 L*a*b* and back, and the colour difference CIEDE2000."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear sRGB to XYZ (IEC 61966-2-1). Each row sums to the coordinate of D65 white (2 degrees): .95047, 1, 1.08883."""
_RELATIVE = [[value / sum(row) for value in row] for row in _XYZ]
"""Linear sRGB to XYZ relative to white."""
_INVERSE: list[list[float]] = torch.tensor(_RELATIVE, dtype=torch.float64).inverse().tolist()
_EDGE = 6 / 29
"""Below this cube root the lightness of CIE 1976 is linear."""
_HALVINGS, _CUTS = 8, 1
"""`within_gamut` first halves the interval of the chroma, then cuts the interval where a straight line meets the edge."""
_ROUNDING = 1e-5
"""Light beyond [0, 1] by this much still counts as a colour of sRGB."""


def srgb_to_lab(image: Tensor) -> Tensor:
    """Lab (n, 3, ...) of sRGB (n, 3, ...) in [-1, 1]: L in [0, 100], a and b about [-110, 110]. Greys have a = b = 0.

    Gradients are finite everywhere. A value outside [-1, 1] is clipped.
    """
    x, y, z = _cube_root(_mixed(_linear(image), _RELATIVE)).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_srgb(lab: Tensor) -> Tensor:
    """sRGB (n, 3, ...) in [-1, 1] of Lab (n, 3, ...). A colour that sRGB lacks is clipped in each channel."""
    return _gamma(_lab_to_linear(lab))


def within_gamut(lab: Tensor) -> Tensor:
    """Lab (n, 3, ...) with the lightness and hue angle of ``lab`` and as much of its chroma as sRGB can show.

    The lightness is clipped to [0, 100] and otherwise untouched. The number of steps is fixed, so that no value is read.
    """
    light, chroma = lab[:, :1].clamp(0, 100), lab[:, 1:]
    low, high = torch.zeros_like(light), torch.ones_like(light)
    inside, outside = _slack(light, 0 * chroma), _slack(light, chroma)
    shown = outside >= 0
    for step in range(_HALVINGS + _CUTS):
        tried = (low + high) / 2 if step < _HALVINGS else _meeting(low, high, inside, outside)
        slack = _slack(light, tried * chroma)
        fits = slack >= 0
        low, high = torch.where(fits, tried, low), torch.where(fits, high, tried)
        inside, outside = torch.where(fits, slack, inside), torch.where(fits, outside, slack)
    part = torch.where(shown, torch.ones_like(low), _meeting(low, high, inside, outside))
    return torch.cat([light, part * chroma], 1)


def lightness(grey: Tensor) -> Tensor:
    """L in [0, 100] of grey values (n, 1, ...) in [-1, 1]: each value is read as the sRGB colour (v, v, v)."""
    return 116 * _cube_root(_linear(grey)) - 16


def delta_e(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 (n, ...) between Lab colours (n, 3, ...), after Sharma, Wu and Dalal 2005, with kL = kC = kH = 1.

    A measure, not a loss: the gradient is not defined where a colour is grey.
    """
    (l1, a1, b1), (l2, a2, b2) = lab1.unbind(1), lab2.unbind(1)
    mean = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - _compressed(mean))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)
    grey = c1 * c2 == 0
    gap = h2 - h1
    gap = torch.where(gap > math.pi, gap - 2 * math.pi, torch.where(gap < -math.pi, gap + 2 * math.pi, gap))
    gap = torch.where(grey, torch.zeros_like(gap), gap)
    hue = torch.where(grey, h1 + h2, (h1 + h2) / 2)
    far = ~grey & ((h1 - h2).abs() > math.pi)
    hue = torch.where(far, torch.where(h1 + h2 < 2 * math.pi, hue + math.pi, hue - math.pi), hue)
    chroma = (c1 + c2) / 2
    light = ((l1 + l2) / 2 - 50).square()
    t = 1 - 0.17 * _cos(hue, 1, 30) + 0.24 * _cos(hue, 2, 0) + 0.32 * _cos(hue, 3, -6) - 0.20 * _cos(hue, 4, 63)
    of_lightness = (l2 - l1) / (1 + 0.015 * light / (20 + light).sqrt())
    of_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    of_hue = 2 * (c1 * c2).sqrt() * torch.sin(gap / 2) / (1 + 0.015 * chroma * t)
    angle = math.radians(60) * torch.exp(-((torch.rad2deg(hue) - 275) / 25).square())
    rotation = -torch.sin(angle) * 2 * _compressed(chroma)
    total = of_lightness.square() + of_chroma.square() + of_hue.square() + rotation * of_chroma * of_hue
    return total.clamp(min=0).sqrt()


def _linear(image: Tensor) -> Tensor:
    """Linear light in [0, 1] of sRGB values in [-1, 1]."""
    value = ((image + 1) / 2).clamp(0, 1)
    return torch.where(value <= 0.04045, value / 12.92, ((value.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def _gamma(light: Tensor) -> Tensor:
    """SRGB values in [-1, 1] of linear light; light outside [0, 1] is clipped."""
    light = light.clamp(0, 1)
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return 2 * torch.where(light <= 0.0031308, 12.92 * light, curve) - 1


def _cube_root(light: Tensor) -> Tensor:
    """CIE's f of light relative to white: the cube root, and a line near black."""
    return torch.where(light > _EDGE**3, light.clamp(min=_EDGE**3) ** (1 / 3), light / (3 * _EDGE**2) + 4 / 29)


def _lab_to_linear(lab: Tensor) -> Tensor:
    """Linear sRGB (n, 3, ...) of Lab; a colour outside sRGB has values outside [0, 1]."""
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    root = torch.stack([y + a / 500, y, y - b / 200], 1)
    xyz = torch.where(root > _EDGE, root**3, 3 * _EDGE**2 * (root - 4 / 29))
    return _mixed(xyz, _INVERSE)


def _slack(light: Tensor, chroma: Tensor) -> Tensor:
    """How far each colour (n, 1, ...) of L and ab is inside sRGB, in linear light; negative: sRGB lacks the colour."""
    linear = _lab_to_linear(torch.cat([light, chroma], 1))
    return torch.minimum(linear, 1 - linear).amin(1, keepdim=True) + _ROUNDING


def _meeting(low: Tensor, high: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """Where the straight line from ``inside`` >= 0 at ``low`` to ``outside`` < 0 at ``high`` is 0."""
    return low + (high - low) * (inside / (inside - outside).clamp(min=1e-12)).clamp(0, 1)


def _mixed(channels: Tensor, matrix: list[list[float]]) -> Tensor:
    """The matrix (3, 3) times each colour of (n, 3, ...), in the precision of the colours: autocast does not touch sums."""
    x, y, z = channels.unbind(1)
    return torch.stack([p * x + q * y + r * z for p, q, r in matrix], 1)


def _compressed(chroma: Tensor) -> Tensor:
    seventh = chroma**7
    return (seventh / (seventh + 25.0**7)).sqrt()


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """Hue angle in [0, 2 pi), 0 for a grey."""
    angle = torch.atan2(b, a)
    return torch.where(angle < 0, angle + 2 * math.pi, angle)


def _cos(hue: Tensor, times: int, degrees: float) -> Tensor:
    return torch.cos(times * hue - math.radians(degrees))
