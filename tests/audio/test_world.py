"""Two processes of a vocoder equal one with the whole batch, and a run that was stopped equals one that was not."""

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


@pytest.mark.parametrize("kind", ["hifigan", "vocos", "parallel-wavegan", "wavegan"])
def test_two_processes_equal_one_with_the_whole_batch(worlds, kind):
    names = [name for name in worlds[1] if name.startswith(f"{kind}/0/")]
    players = {name.split("/")[2].partition(".")[0] for name in names}
    assert players - {"augmentation"} == {"generator", "discriminator"}
    for name in names:
        difference = (worlds[2][name] - worlds[1][name]).abs().max().item()
        assert difference <= 1e-8 * max(1, worlds[1][name].abs().max().item()), f"{name}: {difference}"


@pytest.mark.parametrize("kind", ["hifigan", "vocos", "parallel-wavegan", "wavegan"])
@pytest.mark.parametrize("split", [4, 8])
def test_stopped_and_resumed_is_the_same_to_the_bit(worlds, kind, split):
    for name, value in worlds[2].items():
        if name.startswith(f"{kind}/0/"):
            assert torch.equal(value, worlds[2][name.replace("/0/", f"/{split}/", 1)]), name
