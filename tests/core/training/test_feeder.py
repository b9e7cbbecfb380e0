"""A feeder cuts a batch into micro-batches in order, loads each batch once an iteration, and hands out dicts of their own."""

from __future__ import annotations

import pytest
import torch

from polygan import Turn
from polygan.training.feeder import Feeder, on_device


class Numbered:
    """Batch i holds the numbers from 6 i on, as rows and as pictures; asked-for numbers are kept."""

    def __init__(self):
        self.asked = []

    def batch(self, i):
        self.asked.append(i)
        rows = torch.arange(6.0) + 6 * i
        return {"row": rows, "picture": rows.reshape(6, 1, 1, 1).expand(6, 3, 2, 2)}


def feeder(**options):
    stream = Numbered()
    return Feeder({"train": stream}, torch.device("cpu"), **options), stream


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_micro_batches_are_the_batch_in_order(accumulate):
    feed, _ = feeder(accumulate=accumulate)
    feed.taken = {"train": 2}
    parts = feed.get("train", 0, 0)
    assert [len(part["row"]) for part in parts] == [6 // accumulate] * accumulate
    assert torch.cat([part["row"] for part in parts]).tolist() == [12, 13, 14, 15, 16, 17]


def test_a_batch_is_loaded_once_an_iteration():
    feed, stream = feeder()
    for repeat in (0, 1, 0):
        feed.get("train", repeat, 0)
    assert stream.asked == [0, 1]


def test_a_stream_goes_on_where_the_iteration_before_left_it():
    feed, stream = feeder()
    for repeats in ((0,), (0, 1, 2, 1), (), (0, 0), (0, 1)):
        for repeat in repeats:
            feed.get("train", repeat, 0)
        feed.finish_iteration()
    assert stream.asked == [0, 1, 2, 3, 4, 5, 6]
    assert feed.taken == {"train": 7}


def test_a_check_sees_the_first_batches_each_time_and_takes_none():
    feed, stream = feeder()
    for _ in range(2):
        feed.get("train", 0, 0)
        for repeat in range(3):
            feed.get("train", repeat, 0, anew=True)
        feed.finish_iteration()
    assert stream.asked == [0, 1, 2, 1, 0, 2]
    assert feed.taken == {"train": 2}


def test_a_run_of_an_earlier_polygan_keeps_its_order():
    turns = [Turn("d", (), dict, repeat=4), Turn("g", (), dict, data=("train", "held_out"))]
    feed, stream = feeder()
    feed.restore({}, turns)
    for step in (5, 6):
        for repeat in (0, 1):
            feed.get("train", repeat, step)
        feed.get("train", 1, step, anew=True)
        feed.finish_iteration()
    assert stream.asked == [20, 21, 24, 25]
    assert feed.state() == {}
    feed.restore({"streams": {"train": 3}}, turns)
    feed.get("train", 1, 9)
    assert stream.asked[-1] == 4
    assert feed.state() == {"streams": {"train": 3}}


def test_a_loss_that_changes_its_batch_does_not_change_the_next_one_s():
    feed, _ = feeder()
    feed.get("train", 0, 0)[0].clear()
    assert set(feed.get("train", 0, 0)[0]) == {"row", "picture"}


def test_each_micro_batch_is_prepared_and_pictures_have_the_networks_memory_format():
    sizes = []

    def prepare(batch):
        sizes.append(len(batch["row"]))
        return {name: value / 2 for name, value in batch.items()}

    feed, _ = feeder(accumulate=2, prepare=prepare, memory_format=torch.channels_last)
    feed.taken = {"train": 1}
    first, _ = feed.get("train", 0, 0)
    assert sizes == [3, 3]
    assert first["row"].tolist() == [3, 3.5, 4]
    assert first["picture"].is_contiguous(memory_format=torch.channels_last)
    assert first["picture"][:, 0, 0, 0].tolist() == [3, 3.5, 4]


def test_float64_becomes_float32_on_mps_alone():
    class Wide(torch.Tensor):
        def to(self, device, **_):
            return device.type, self.dtype

    wide = torch.zeros(2, dtype=torch.float64).as_subclass(Wide)
    assert on_device(wide, torch.device("mps")) == ("mps", torch.float32)
    assert on_device(wide, torch.device("cpu")) == ("cpu", torch.float64)
    whole = torch.zeros(2, dtype=torch.int64).as_subclass(Wide)
    assert on_device(whole, torch.device("mps")) == ("mps", torch.int64)
