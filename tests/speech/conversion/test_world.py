"""Two processes of voice conversion equal one with the whole batch, though their clips are padded differently."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from worlds import launch

WORKER = Path(__file__).with_name("world_worker.py")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    return launch(WORKER, {size: folder / f"{size}.safetensors" for size in (1, 2)})


def test_two_processes_equal_one_with_the_whole_batch(worlds):
    assert {name.partition(".")[0] for name in worlds[1]} == {"generator", "discriminator", "content"}
    for name, value in worlds[1].items():
        difference = (worlds[2][name] - value).abs().max().item()
        assert difference <= 1e-8 * max(1, value.abs().max().item()), f"{name}: {difference}"
