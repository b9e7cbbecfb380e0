"""Train a vocoder on a folder of recordings from Python, re-synthesise some that it never heard, and measure them.

    python examples/vocoder.py path/to/recordings                     # wav, flac, ogg or mp3; or the LJSpeech layout
    python examples/vocoder.py path/to/recordings --steps 20000       # an hour or two on two cores
    python examples/vocoder.py                                        # made-up notes, a minute or two

The script writes the report, a folder of held-out recordings beside their re-synthesis, and an ONNX file. It prints each score next to
the score of Griffin-Lim, which needs no training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polygan


def main(data: str = "tones", steps: int = 300, out: str = "resynthesis", **settings) -> polygan.Run:
    """Train for ``steps`` iterations, the last third of them with discriminators."""
    model = {"pretrain_steps": steps * 2 // 3, **settings.pop("model", {})}
    run = polygan.train("audio/vocos", data=data, steps=steps, model=model, **settings)
    held_out = run.splits()["held_out"]
    real = run.domain.real(held_out, held_out.rows[:5])
    real.save(Path(out) / "recordings")
    run.generate(given=real).save(Path(out) / "vocoder")
    # Whole files and folders, of any length, go through piece by piece:
    run.convert(Path(out) / "recordings", Path(out) / "files", format="flac")
    for score in run.evaluate(["audio/mel-distance", "audio/stft-distance"], samples=20, quiet=True):
        print(f"{score.name}: {score.value:.4g}, {score.better} is better")
    print(run.export(Path(out) / "vocoder.onnx", "onnx")[0])
    print(run.report())
    return run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="tones")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", default="resynthesis")
    main(**vars(parser.parse_args()))
