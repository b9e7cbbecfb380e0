"""Enlarging a photograph x4 with a compact network: whole, as usually written, and in the tiles that polygan chooses."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from timing import interleave, table
from torch import nn

from polygan_image.geometry import Geometry, padded
from polygan_image.translation.tiles import plan, tiled

WORKER = Path(__file__).parents[1] / "image/translation/peak_worker.py"
CPU = torch.device("cpu")


def compact(depth=16, width=64):
    """``depth`` + 2 convolutions and a pixel shuffle, as in Real-ESRGAN's compact network."""
    layers = []
    for i in range(depth + 1):
        layers += [nn.Conv2d(width if i else 3, width, 3, padding=1), nn.PReLU(width)]
    network = nn.Sequential(*layers, nn.Conv2d(width, 48, 3, padding=1), nn.PixelShuffle(4))
    return network.eval().requires_grad_(False), Geometry(4, 1, depth + 2)


def bench_enlarging(rounds, height=375, width=500):
    """Speed, then the peak memory of a file in and a file out."""
    network, geometry = compact()
    image = torch.rand(1, 3, height, width) * 2 - 1
    chosen = plan(height, width, geometry)
    plain, _ = compact()
    fast = network.to(memory_format=torch.channels_last)
    runners = {
        "plain: whole picture": lambda: plain(image),
        "polygan, whole": lambda: padded(fast, image, geometry),
        f"polygan, tiles of {chosen.columns}x{chosen.rows}": lambda: tiled(fast, image, geometry, chosen, CPU),
    }
    times = interleave(runners, min(rounds, 3))
    base = next(iter(times.values()))
    rows = [(name, f"{t:.2f} s", f"{base / t:.2f}x") for name, t in times.items()]
    table(f"Enlarging {width}x{height} x4, compact network, {torch.get_num_threads()} threads", rows)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(WORKER), "2000", "3000", "4", folder]
        seconds, added, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    rows = [("added by the work", f"{added} MB"), ("of the process", f"{peak} MB"), ("time", f"{seconds} s")]
    table("A file of 3000x2000 x4 to a PNG file, narrow network: peak memory", rows)
