"""Two processes of speech from text equal one with the whole batch, and a run that was stopped equals one that was not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from worlds import launch

WORKER = Path(__file__).with_name("world_worker.py")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    return launch(WORKER, {size: folder / f"{size}.safetensors" for size in (1, 2)})


def test_two_processes_equal_one_with_the_whole_batch(worlds):
    assert {name.split("/")[1].partition(".")[0] for name in worlds[1]} == {"generator", "aligner", "discriminator"}
    for name, value in worlds[1].items():
        difference = (worlds[2][name] - value).abs().max().item()
        assert difference <= 1e-8 * max(1, value.abs().max().item()), f"{name}: {difference}"


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_stopped_and_resumed_is_the_same_to_the_bit(worlds, stop):
    for name, value in worlds[2].items():
        if name.startswith("0/"):
            assert torch.equal(value, worlds[2][name.replace("0/", f"{stop}/", 1)]), name
