"""Train on real handwritten digits from Python, look at the samples, score them, and go on where the run stopped.

    python examples/digits.py

The script takes about two minutes on two CPU cores. It prints each score next to its floor, then the files that it wrote: a grid with a
row for each digit, a walk between latents, and the report.
"""

import polygan


def main(steps: int = 1500, more: int = 300, width: int = 64) -> list[str]:
    """Train for ``steps``, then ``more``; returns the files written."""
    model = {"latent_dim": 64, "generator_width": width, "discriminator_width": width}
    run = polygan.train("image/dcgan", data="mnist-5k", steps=steps, model=model)
    run = polygan.resume(run.folder, steps=steps + more)  # to the bit what steps + more in one go would give

    files = run.generate(80, seed=0, grid=True).save(run.folder / "digits.png")
    files += run.generate(64, seed=1, label="7", interpolate=8).save(run.folder / "walk.png")
    for score in run.evaluate(["image/recognised", "image/frechet"]):
        print(f"{score.name} {score.value:.3f}, floor {score.floor:.3f}")
    files.append(run.report())
    for file in files:
        print(file)
    return [str(file) for file in files]


if __name__ == "__main__":
    main()
