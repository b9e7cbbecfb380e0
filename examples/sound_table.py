"""Score the simplest speech from text: each symbol's mean mel, for the symbol's mean duration, as a run's aligner finds them.

    python examples/sound_table.py runs/tacotron2-speech
    python examples/sound_table.py runs/tacotron2-speech --metrics audio/mcd-dtw audio/duration

A model of speech has to beat the table: the table knows no neighbours, no words and no melody. The run needs the parallel decoder and one
voice. Its folder stays as it is. The scores need polygan-audio[words,mos], and resemblyzer without its dependencies.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import polygan
from polygan_speech.aligning.paths import best_paths
from polygan_speech.recordings import recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polygan import Run
    from polygan_speech.recordings import Recorded

METRICS = ("audio/wer", "audio/speaker", "audio/dnsmos", "audio/mcd-dtw", "audio/duration", "audio/sharpness")


def heard(run: Run) -> Iterator[tuple[Recorded, torch.Tensor]]:
    """The clips of the training split one by one, with the symbol's place (1, F) that each frame says."""
    recipe: Any = run.recipe
    networks: Any = run.networks
    generator, aligner, part = networks["generator"], networks["aligner"], run.splits()["train"]
    for row in part.rows:
        batch = run.domain.collate(part, np.array([row]), np.zeros((1, 1)))
        batch = run.domain.prepare(batch, recipe.info)
        clip = recorded(batch, recipe.mel, generator, aligner.transcripts, recipe.end, speakers=False)
        if clip.usable.all():
            log_p = aligner(clip.ids, clip.tokens, clip.mel, clip.frames)
            yield clip, best_paths(log_p, clip.frames, clip.tokens)


def table_of(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean normalised mel (n, n_mels) and the mean frames (n,) of each of n symbols."""
    recipe: Any = run.recipe
    size, n_mels = recipe.end + 1, recipe.mel.n_mels
    sums, frames, said = torch.zeros(size, n_mels), torch.zeros(size), torch.zeros(size)
    for clip, path in heard(run):
        count = int(clip.frames[0])
        symbols = clip.ids[0, path[0, :count]]
        sums.index_add_(0, symbols, clip.mel[0, :, :count].T)
        frames += torch.bincount(symbols, minlength=size)
        said += torch.bincount(clip.ids[0, : int(clip.tokens[0])], minlength=size)
    return sums / frames.clamp(min=1)[:, None], (frames / said.clamp(min=1)).clamp(min=1)


def main(path: str, metrics: Sequence[str] = METRICS, samples: int = 54) -> list[polygan.Score]:
    """Print the scores of the table of a run."""
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        copy = shutil.copytree(path, Path(folder) / Path(path).name)  # scores go into the log of a run
        run = polygan.load(copy)
        mels, frames = table_of(run)

        def speak(ids: torch.Tensor, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
            ends = frames[ids[0]].cumsum(0).round().long()
            durations = ends.diff(prepend=ends.new_zeros(1))
            return torch.repeat_interleave(mels[ids[0]], durations, 0).T[None], durations[None]

        network: Any = run.networks["generator"]
        network.network.speak = speak
        scores = run.evaluate(metrics, samples=samples, quiet=True)
    for score in scores:
        print(f"{score.name:34s} {score.value:8.4g}  floor {score.floor:.4g}")
    return scores


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--metrics", nargs="+", default=METRICS)
    parser.add_argument("--samples", type=int, default=54)
    given = parser.parse_args()
    main(given.run, given.metrics, given.samples)
