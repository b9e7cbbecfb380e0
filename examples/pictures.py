"""Train StyleGAN2 on a folder of your own pictures, then walk through its latent space and find a picture in it.

    python examples/pictures.py path/to/pictures

Any pictures do: they are cropped to the centre and brought to 64x64. A few hundred are enough to begin with, because the augmentation
adapts to their number. The script prints what was settled from the data (gamma, augmentation), then the files that it wrote:

- an animated walk;
- a grid of mixed styles;
- the way from the mean picture to one of yours;
- the report.

Two CPU cores need hours for pictures that a person would show; a GPU is used if there is one. Stop the script whenever you like:
`polygan resume RUN` goes on to the bit.
"""

import argparse
from pathlib import Path

import polygan


def main(folder: str, steps: int, resolution: int = 64, search: int = 300, **settings: object) -> list[str]:
    """Train for ``steps``, search a picture in ``search``; returns the files written. ``settings`` are those of a run."""
    data = {"source": folder, "resolution": resolution}
    run = polygan.train("image/stylegan", data=data, steps=steps, **settings)
    first = next(p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))

    files = run.generate(240, seed=0, walk=30, truncation=0.8).save(run.folder / "walk.webp")
    files += run.generate(36, seed=1, mix="coarse", truncation=0.8).save(run.folder / "mix.png")
    files += run.generate(8, project=str(first), project_steps=search).save(run.folder / "found.png")
    files.append(run.report())
    for file in files:
        print(file)
    return [str(file) for file in files]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int, default=20_000)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.steps)
