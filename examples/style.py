"""Style by example pictures: one folder shows what you have, another folder shows the look that you want. No pairs are needed.

    python examples/style.py                                   # about 2 minutes on one CPU core
    python examples/style.py photos/ paintings/ holiday.jpg    # your own folders, and a picture or a folder to convert

The first command draws 150 plain shapes and 150 other shapes with yellow stripes, and trains image/cyclegan on them for 600 steps. Then it
puts stripes on 40 plain shapes that training never saw, and prints the share of yellow pixels:

    plain: 1.3% yellow
    drawn/striped: 11.0% yellow
    striped: 11.9% yellow

The third line is about the learned stripes. The pictures lie in style-of-examples/plain and style-of-examples/striped.

The second command trains on pictures of 128 pixels for 20,000 steps (a GPU is advised; stop with Ctrl-C and type the command again
to go on), and writes the converted pictures to style-of-examples/converted. They keep their size. With ``--cut`` it trains image/cut,
which learns one direction alone, in less time. Delete the folder style-of-examples to begin anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import polygan

OUT = Path("style-of-examples")
SMALL = {"width": 16, "blocks": 3, "discriminator_width": 16, "discriminator_layers": 2}


def learn(given, style, *, recipe="image/cyclegan", resolution=0, **settings):
    """A run that makes pictures like those in the folder ``style`` from pictures like those in the folder ``given``."""
    data = OUT / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, folder in (("trainA", given), ("trainB", style)):  # A is made into B
        link = data / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path(folder).resolve(), target_is_directory=True)
    folder = OUT / "runs" / "style"
    if (folder / "checkpoints").is_dir():
        run = polygan.load(folder)
        return run if run.step >= run.settings.run.steps else polygan.resume(folder)
    facts = {"source": str(data), "labels": "folders", "resolution": resolution, "cache": str(OUT / "cache")}
    return polygan.train(recipe, facts, name="style", runs=str(OUT / "runs"), **settings)


def shape(rng, size=32):
    """A disk or a square on a light background, and the same with stripes, uint8 (size, size, 3)."""
    y, x = np.mgrid[:size, :size]
    (down, right), radius = rng.uniform(10, size - 10, 2), rng.uniform(6, 11)
    away = np.abs(y - down), np.abs(x - right)
    inside = np.hypot(*away) < radius if rng.random() < 0.5 else np.maximum(*away) < 0.85 * radius
    plain = np.where(inside[..., None], rng.uniform(0, 160, 3), rng.uniform(150, 255, 3))
    striped = np.where((inside & ((x + y) // 3 % 2 == 0))[..., None], (255, 220, 0), plain)
    return plain.astype(np.uint8), striped.astype(np.uint8)


def draw(folder, count, seed, look):
    """Save ``count`` shapes; ``look`` 0: plain, 1: striped."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        Image.fromarray(shape(rng)[look]).save(folder / f"{i:03}.png")


def yellow(folder):
    """The share of pixels with much red and green and little blue."""
    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("[0-9]*.png"))])
    return float(((pixels[..., 0] > 128) & (pixels[..., 1] > 128) & (pixels[..., 2] < 96)).mean())


def demonstrate(steps=600):
    """Stripes on plain shapes, learned from other striped shapes."""
    draw(OUT / "drawn/plain", 150, 0, 0)
    draw(OUT / "drawn/striped", 150, 1, 1)
    draw(OUT / "plain", 40, 2, 0)
    run = learn(OUT / "drawn/plain", OUT / "drawn/striped", model=SMALL, steps=steps, batch_size=4, evaluate_every=0)
    run.convert(OUT / "plain", OUT / "striped")
    for name in ("plain", "drawn/striped", "striped"):
        print(f"{name}: {yellow(OUT / name):.1%} yellow")


def main(words):
    recipe = "image/cut" if "--cut" in words else "image/cyclegan"
    words = [word for word in words if word != "--cut"]
    if not words:
        demonstrate()
        return
    given, style, pictures = words
    run = learn(given, style, recipe=recipe, resolution=128, steps=20_000)
    for file in run.convert(pictures, OUT / "converted"):
        print(file)


if __name__ == "__main__":
    main(sys.argv[1:])
