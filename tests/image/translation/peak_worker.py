"""Enlarges a picture file in a process of its own and prints seconds and the megabytes that the work added at its peak."""

import resource
import sys
import time
from pathlib import Path

import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from small_networks import Enlarger, options, recipe

from polygan.game.sampling import stream_samples
from polygan_image.domain import ImageDomain


def peak():
    """MB that this process has had resident at most. Not ru_maxrss where there is another: a child inherits it from its parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main(height, width, scale, folder):
    torch.set_num_threads(1)
    domain, own, networks = ImageDomain(), recipe(), {"generator": Enlarger(scale).eval()}

    def enlarge(name):
        pieces = stream_samples(own, networks, domain.read(folder / name, own.info), 0, options(), domain=domain)
        domain.write_file(pieces, folder / f"large-{name}")

    for name, size in (("small.png", (64, 64)), ("picture.png", (width, height))):
        Image.linear_gradient("L").resize(size).convert("RGB").save(folder / name)
    enlarge("small.png")  # loads every library
    before, start = peak(), time.perf_counter()
    enlarge("picture.png")
    print(f"{time.perf_counter() - start:.1f} {peak() - before:.0f} {peak():.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
