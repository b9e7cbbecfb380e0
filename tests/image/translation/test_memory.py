"""Peak memory of enlarging a file does not grow with what is made."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

WORKER = Path(__file__).parent / "peak_worker.py"


def enlarged(height, width, scale, folder):
    """Megabytes that the work added at its peak, and those of the process."""
    command = [sys.executable, str(WORKER), *map(str, (height, width, scale, folder))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    _, added, peak = map(float, result.stdout.split())
    Image.MAX_IMAGE_PIXELS, most = None, Image.MAX_IMAGE_PIXELS
    try:
        with Image.open(folder / "large-picture.png") as made:
            assert made.size == (width * scale, height * scale)
    finally:
        Image.MAX_IMAGE_PIXELS = most
    return added, peak


@pytest.mark.slow
def test_a_picture_is_never_whole_in_memory_as_floats(tmp_path):
    added, _ = enlarged(2000, 3000, 4, tmp_path)  # 1,152 MB as floats
    assert added < 900


@pytest.mark.slow
def test_a_photograph_of_48_megapixels_takes_less_than_two_gigabytes(tmp_path):
    _, peak = enlarged(6000, 8000, 4, tmp_path)
    assert peak < 2000
