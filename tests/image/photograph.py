"""A made-up photograph."""

import torch


def photograph(height=48, width=64):
    """A smooth picture with an edge, (1, 3, height, width) in [-1, 1]."""
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    picture = torch.stack([torch.sin(6 * x + 4 * y), torch.cos(9 * x * y), (x > 0.4).float() * 1.6 - 0.8])
    return picture[None]
