"""Augmentation of pictures before the discriminator, which then cannot learn few pictures by heart.

Every augmentation is differentiable any number of times in the pictures, takes its random numbers as arguments, and keeps the
size of a picture. Pictures are (n, C, H, W) in about [-1, 1]; an alpha channel keeps its values.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from polygan import AdaptiveAugmentation

UNIFORM_DRAWS, NORMAL_DRAWS, DIFFAUGMENT_DRAWS = 21, 7, 7
_SHIFT = 0.125  # of the side, of translations
_SCALE, _CONTRAST, _SATURATION, _BRIGHTNESS = 0.2, 0.5, 1.0, 0.2  # the first three in octaves


Adaptive = AdaptiveAugmentation
"""The state of adaptive augmentation."""


def adaptive_augment(images: Tensor, p: Tensor, uniform: Tensor, normal: Tensor) -> Tensor:
    """Pixel blitting, geometric and colour transformations, each with probability ``p`` (scalar in [0, 1]).

    Karras et al. 2020, "Training generative adversarial networks with limited data", appendix B, with bilinear instead of
    wavelet-filtered resampling, and without luma flips of grey pictures. ``uniform`` (n, 21) in [0, 1) and ``normal`` (n, 7) are
    the draws. p = 0 is the identity.
    On CUDA the gradient of the resampling is summed in no fixed order, so CUDA runs repeat only up to rounding.
    """
    _, _, height, width = images.shape
    images = resample(images, geometric_matrix(p, uniform[:, :14], normal[:, :4], height, width))
    return recolour(images, colour_matrix(p, uniform[:, 14:], normal[:, 4:], flips=images.shape[1] in (3, 4)))


def _matrix(rows: list[list[Tensor | float]], like: Tensor) -> Tensor:
    """(n, k, k) from entries that are numbers or (n,)."""
    entries = [[torch.full_like(like, e) if isinstance(e, (int, float)) else e for e in row] for row in rows]
    return torch.stack([torch.stack(row, 1) for row in entries], 1)


def _rotation(cos: Tensor, sin: Tensor) -> Tensor:
    return _matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], cos)


def geometric_matrix(p: Tensor, u: Tensor, g: Tensor, height: int, width: int) -> Tensor:
    """(n, 3, 3): from a place in the new picture to its place in the old picture, in pixels from the centre, (x, y, 1).

    x-flip, quarter turns, whole translation, scale, rotation, stretch, rotation again and translation, in this order.
    ``u`` (n, 14) uniform, ``g`` (n, 4) normal.
    """
    one, zero = torch.ones_like(u[:, 0]), torch.zeros_like(u[:, 0])

    def pick(k: int, value: Tensor, otherwise: Tensor, probability: Tensor = p) -> Tensor:
        return torch.where(u[:, k] < probability, value, otherwise)

    flip = pick(0, torch.where(u[:, 1] < 0.5, -one, one), one)
    turns = pick(2, (u[:, 3] * 4).floor(), zero)
    cos90 = (turns == 0).to(one) - (turns == 2).to(one)  # exact, so that quarter turns only move pixels
    sin90 = (turns == 1).to(one) - (turns == 3).to(one)
    whole_x = pick(4, ((u[:, 5] * 2 - 1) * _SHIFT * width).round(), zero)
    whole_y = pick(4, ((u[:, 6] * 2 - 1) * _SHIFT * height).round(), zero)
    scale = pick(7, torch.exp2(g[:, 0] * _SCALE), one)
    rotated = 1 - (1 - p).sqrt()  # of two rotations, so that at least one is applied with probability p
    before, after = (pick(k, (u[:, k + 1] * 2 - 1) * math.pi, zero, rotated) for k in (8, 10))
    stretch = pick(12, torch.exp2(g[:, 1] * _SCALE), one)
    part_x = pick(13, g[:, 2] * _SHIFT * width, zero)
    part_y = pick(13, g[:, 3] * _SHIFT * height, zero)
    steps = (
        _matrix([[flip, 0, 0], [0, 1, 0], [0, 0, 1]], one),
        _rotation(cos90, -sin90),
        _matrix([[1, 0, -whole_x], [0, 1, -whole_y], [0, 0, 1]], one),
        _matrix([[1 / scale, 0, 0], [0, 1 / scale, 0], [0, 0, 1]], one),
        _rotation(before.cos(), -before.sin()),
        _matrix([[1 / stretch, 0, 0], [0, stretch, 0], [0, 0, 1]], one),
        _rotation(after.cos(), -after.sin()),
        _matrix([[1, 0, -part_x], [0, 1, -part_y], [0, 0, 1]], one),
    )
    result = steps[0]
    for step in steps[1:]:
        result = result @ step
    return result


def resample(images: Tensor, matrix: Tensor) -> Tensor:
    """Pictures (n, C, H, W) read at the places that ``matrix`` (n, 3, 3) gives, bilinear, mirrored past the border.

    Written with a gather, whose derivative has derivatives (R1 needs them); whole moves are exact.
    """
    n, channels, height, width = images.shape
    x = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
    y = torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2
    grid = torch.stack([x.repeat(height), y.repeat_interleave(width), torch.ones_like(x).repeat(height)])  # (3, HW)
    place = matrix[:, :2].float() @ grid  # (n, 2, HW)
    px, py = place[:, 0] + (width - 1) / 2, place[:, 1] + (height - 1) / 2
    left, top = px.floor(), py.floor()
    along, down = px - left, py - top
    index, weight = [], []
    for dy, wy in ((0, 1 - down), (1, down)):
        for dx, wx in ((0, 1 - along), (1, along)):
            index.append(_mirror(top + dy, height) * width + _mirror(left + dx, width))
            weight.append(wx * wy)
    corners = torch.cat(index, 1)[:, None].expand(n, channels, -1)  # (n, C, 4 HW)
    values = images.flatten(2).gather(2, corners).unflatten(2, (4, height * width))
    return (values * torch.stack(weight, 1)[:, None]).sum(2).unflatten(2, (height, width))


def _mirror(index: Tensor, size: int) -> Tensor:
    """Whole numbers as indices in [0, size), mirrored at the outermost pixels."""
    last = max(size - 1, 1)
    return (last - (index.remainder(2 * last) - last).abs()).clamp(max=size - 1).long()


def colour_matrix(p: Tensor, u: Tensor, g: Tensor, flips: bool = True) -> Tensor:
    """(n, 4, 4) on (red, green, blue, 1): brightness, contrast, luma flip, hue, saturation, in this order.

    ``u`` (n, 7) uniform, ``g`` (n, 3) normal. Not ``flips``: without luma flips. A flipped grey picture is its negative, which is
    farther from the rest than any other picture, so that a term for variety finds it.
    """
    one, zero = torch.ones_like(u[:, 0]), torch.zeros_like(u[:, 0])
    brightness = torch.where(u[:, 0] < p, g[:, 0] * _BRIGHTNESS, zero)
    contrast = torch.where(u[:, 1] < p, torch.exp2(g[:, 1] * _CONTRAST), one)
    flip = torch.where((u[:, 2] < p) & (u[:, 3] < 0.5), one, zero) if flips else zero
    hue = torch.where(u[:, 4] < p, (u[:, 5] * 2 - 1) * math.pi, zero)
    saturation = torch.where(u[:, 6] < p, torch.exp2(g[:, 2] * _SATURATION), one)
    grey = torch.zeros(4, 4, device=u.device)
    grey[:3, :3] = 1 / 3  # projects on the luma axis (1, 1, 1)
    rest = torch.eye(4, device=u.device) - grey
    last = torch.eye(4, device=u.device)[None, 3:].expand(len(u), 1, 4)

    def mixed(luma: Tensor, chroma: Tensor) -> Tensor:
        scaled = grey * luma[:, None, None] + rest * chroma[:, None, None]
        return torch.cat([scaled[:, :3], last], 1)

    shift = _matrix([[1, 0, 0, brightness], [0, 1, 0, brightness], [0, 0, 1, brightness], [0, 0, 0, 1]], one)
    matrix = mixed(contrast, contrast) @ shift
    matrix = _hue(hue, one) @ mixed(1 - 2 * flip, one) @ matrix
    return mixed(one, saturation) @ matrix


def _hue(angle: Tensor, one: Tensor) -> Tensor:
    """(n, 4, 4): rotation about the luma axis (Rodrigues' formula with the axis (1, 1, 1) / sqrt 3)."""
    cos, across = angle.cos(), angle.sin() / math.sqrt(3)
    mean = (1 - cos) / 3
    a, b, c = cos + mean, mean - across, mean + across
    return _matrix([[a, b, c, 0], [c, a, b, 0], [b, c, a, 0], [0, 0, 0, 1]], one)


def recolour(images: Tensor, matrix: Tensor) -> Tensor:
    """Pictures with their colours mapped by ``matrix`` (n, 4, 4); grey pictures as colours with equal channels.

    Each of 2 channels, or of more than 4, is mapped as a grey picture: the channels are no colours.
    """
    matrix = matrix.to(images.dtype)
    if images.shape[1] not in (3, 4):
        matrix = matrix[:, :3].mean(1, keepdim=True)  # (n, 1, 4)
        return images * matrix[:, :, :3].sum(2)[..., None, None] + matrix[:, :, 3, None, None]
    colour = torch.einsum("nij,njhw->nihw", matrix[:, :3, :3], images[:, :3]) + matrix[:, :3, 3, None, None]
    return torch.cat([colour, images[:, 3:]], 1)


def diffaugment(images: Tensor, uniform: Tensor) -> Tensor:
    """Colour, translation and cutout on every picture (Zhao et al. 2020, arXiv:2006.10738, section 3.2).

    Brightness by [-0.5, 0.5), saturation by a factor in [0, 2), contrast in [0.5, 1.5); moved by up to an eighth of each side
    on mid grey; a square of half the sides, centred anywhere, in mid grey. ``uniform`` (n, 7) in [0, 1) are the draws.
    """
    _, _, height, width = images.shape
    u = uniform[..., None, None, None]  # (n, 7, 1, 1, 1)
    colour, alpha = images[:, :3], images[:, 3:]
    colour = colour + (u[:, 0] - 0.5)
    mean = colour.mean(1, keepdim=True)
    colour = (colour - mean) * (u[:, 1] * 2) + mean
    mean = colour.mean((1, 2, 3), keepdim=True)
    colour = (colour - mean) * (u[:, 2] + 0.5) + mean
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    moved = _translate(torch.cat([colour, alpha], 1), u[:, 3], u[:, 4], rows, columns)
    top = (u[:, 5] * (height + 1)).floor() - height // 4
    left = (u[:, 6] * (width + 1)).floor() - width // 4
    hole = (rows >= top) & (rows < top + height // 2) & (columns >= left) & (columns < left + width // 2)
    return moved * ~hole


def _translate(images: Tensor, down: Tensor, along: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pictures moved by whole pixels, up to an eighth of each side; zeros come in. ``down``, ``along`` (n, 1, 1, 1) in [0, 1)."""
    _, channels, height, width = images.shape
    most_y, most_x = round(height * _SHIFT), round(width * _SHIFT)
    y = rows - ((down * (2 * most_y + 1)).floor().long() - most_y) + most_y
    x = columns - ((along * (2 * most_x + 1)).floor().long() - most_x) + most_x
    padded = F.pad(images, (most_x, most_x, most_y, most_y))  # (n, C, H + 2 most_y, W + 2 most_x)
    index = (y * (width + 2 * most_x) + x).flatten(2).expand(-1, channels, -1)  # (n, C, HW)
    return padded.flatten(2).gather(2, index).unflatten(2, (height, width))
