"""One process of a gloo group: trains a third-party recipe as `polygan.train` does. Run by test_newcomer."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file

import polygan
from polygan.plugins import load_catalogue, set_catalogue

HERE = Path(__file__).parent


def main(out: str) -> None:
    torch.set_num_threads(1)
    facts = json.loads((Path(out).parent / "run.json").read_text())
    set_catalogue(load_catalogue(disabled=["tensorboard"], files=[HERE / facts["plugin"]]))
    run = polygan.train(facts["recipe"], **facts["settings"], runs=out.removesuffix(".safetensors"), quiet=True)
    tensors = {
        f"{name}.{key}": value.contiguous()
        for name, network in run.networks.items()
        for key, value in network.state_dict().items()
    }
    if os.environ["RANK"] == str(
        int(os.environ["WORLD_SIZE"]) - 1
    ):  # each process must hold the same: look at the last one's
        save_file(tensors, out)
