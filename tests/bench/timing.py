"""Interleaved rounds and their table."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import torch

from polygan.training.distributed import is_emulated

PRECISIONS = ("fp32",) if is_emulated("bf16", torch.device("cpu")) else ("fp32", "bf16")
"""What is measured: where the CPU emulates bf16 there is nothing to gain, and it takes minutes a step."""


def interleave(runners, rounds, warmup=1):
    """Median seconds of each callable, called in turn."""
    times = {name: [] for name in runners}
    for r in range(warmup + rounds):
        for name, run in runners.items():
            begin = time.perf_counter()
            run()
            if r >= warmup:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def peak():
    """MB that this process has had resident at most (Linux). Not ru_maxrss, which a child inherits from its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def table(title, rows):
    print(f"\n{title}")
    width = max(len(name) for name, *_ in rows)
    for name, *cells in rows:
        print(f"  {name:<{width}}  " + "  ".join(f"{c:>12}" for c in cells))
    sys.stdout.flush()
