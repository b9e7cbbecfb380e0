"""How near pictures of another style are to the truth, where the files of both sides have the same names.

    .venv/bin/python tests/bench/style.py RUN

RUN learned from two sides (image/cyclegan, image/cut) without their names. Here the names tell what each held-out picture of the second
side should have been: `layer distance` and PSNR of the made pictures stand beside those of trivial answers, and of wrong partners.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import polygan
from polygan.game.recipe import of_class
from polygan_image.scores.pairs.distributions import COPY, MATCHED, matched
from polygan_image.scores.pairs.layers import _network, distance
from polygan_image.scores.pairs.similarity import psnr


def measure(run):
    """(layer distance, PSNR) by answer."""
    run = polygan.load(run)
    evaluation = run._whole_job().evaluation(run.networks, torch.device("cpu"))
    rows = [
        np.sort(of_class(evaluation.splits["held_out"], side).rows) for side in evaluation.sides
    ]  # in the order of the files
    if len(rows[0]) != len(rows[1]):
        raise SystemExit(
            f"the sides hold {len(rows[0])} and {len(rows[1])} held-out pictures; each name must be there twice"
        )
    given, truth = (evaluation.domain.real(evaluation.splits["held_out"], of_side) for of_side in rows)
    training = evaluation.domain.real(evaluation.train, evaluation.train.rows).data
    given, truth = given.data.float(), truth.data.float()
    answers = {
        "made": evaluation.generate(len(given), 0, given=polygan.Samples(given)).data.clamp(-1, 1),
        COPY: given,
        MATCHED: matched(given, training.float()),
        "another picture of the other side": truth.roll(1, 0),
    }
    look, what = _network(evaluation)
    print(f"{len(given)} held-out pictures; {what}")
    return {name: (distance(look, x, truth), float(psnr(x, truth).mean())) for name, x in answers.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    for name, (layers, decibels) in measure(parser.parse_args().run).items():
        print(f"{name:45} layer distance {layers:.4f}  PSNR {decibels:.2f} dB")
