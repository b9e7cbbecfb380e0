"""Decoding in threads keeps the order, bounds what waits, says what is wrong with a sample, and ends at an interrupt."""

from __future__ import annotations

import re
import sys
import time
import weakref
from threading import Barrier, Lock, Thread

import numpy as np
import pytest
from listed_source import Listed, build, numbers, setting

from polygan.data import build_store, decoding
from polygan.data.cache.building import FieldWriter
from polygan.data.decoding import Room
from polygan.data.source import Field
from polygan.errors import DataError


@pytest.mark.parametrize("bytes_each", [2, 3 << 20])
def test_order_holds_whatever_the_workers_do(tmp_path, bytes_each):
    """Small samples travel in groups, large ones alone."""
    n = 300 if bytes_each == 2 else 12
    samples = [{"x": np.full(bytes_each, i % 256, np.uint8)} for i in range(n)]
    source = Listed(samples, {"x": Field("uint8", (bytes_each,))})
    decode = source.decode

    def late(index):
        time.sleep(0.002 * (index % 3 == 0))
        return decode(index)

    source.decode = late
    store = build_store(source, setting(tmp_path), progress=False, workers=7)
    assert [int(store.item("x", i)[-1]) for i in range(n)] == [i % 256 for i in range(n)]


def test_large_samples_are_not_decoded_far_ahead(tmp_path, monkeypatch):
    """What waits to be written is bounded in bytes, not only in number."""
    monkeypatch.setattr(decoding, "_AHEAD", 1000)
    source = Listed([{"x": np.zeros(500, np.uint8)}] * 400, {"x": Field("uint8", (500,))})
    add, most, written = FieldWriter.add, [0], [0]

    def slow(self, array):
        time.sleep(0.0002)
        written[0] += 1
        most[0] = max(most[0], source.decoded - written[0])
        add(self, array)

    monkeypatch.setattr(FieldWriter, "add", slow)
    build_store(source, setting(tmp_path), progress=False, workers=2)
    assert written[0] == 400
    assert most[0] <= 8 * 2 + 2  # pieces of work at once, times 1000 bytes each


class Alive:
    """Counts the bytes of the arrays that live, and remembers the most."""

    def __init__(self):
        self.lock, self.bytes, self.most = Lock(), 0, 0

    def array(self, size):
        made = np.zeros(size, np.uint8)
        self.count(size)
        weakref.finalize(made, self.count, -size)
        return {"x": made}

    def count(self, size):
        with self.lock:
            self.bytes += size
            self.most = max(self.most, self.bytes)


@pytest.mark.parametrize(
    "sizes", [[900] * 60, [10] * 100 + [900] * 60, [5000] * 10, [10, 900] * 40, [3000] + [10] * 300]
)
@pytest.mark.parametrize("workers", [1, 8])
def test_bytes_in_flight_are_bounded_also_while_their_size_is_unknown(tmp_path, monkeypatch, sizes, workers):
    """At most the allowance, and the samples that are decoded or written at this moment where one is larger than all before."""
    monkeypatch.setattr(decoding, "_AHEAD", 400)
    alive, add = Alive(), FieldWriter.add
    source = Listed(sizes, {"x": Field("uint8", (None,))})
    source.decode = lambda index: alive.array(sizes[index])

    def slow(self, array):
        time.sleep(0.0003)
        add(self, array)

    monkeypatch.setattr(FieldWriter, "add", slow)
    store = build_store(source, setting(tmp_path), progress=False, workers=workers)
    assert [len(store.item("x", i)) for i in range(len(sizes))] == sizes
    jumps = workers if sizes[0] < max(sizes) else 0  # each thread may meet the first large sample at once
    assert alive.most <= max(400 * workers, max(sizes)) + (1 + jumps) * max(sizes)


def test_many_threads_still_work_at_once(tmp_path):
    together = Barrier(4)
    source = numbers(64)
    decode = source.decode

    def meet(index):
        if 40 <= index < 44:
            together.wait(timeout=60)
        return decode(index)

    source.decode = meet
    decoding_alone = pytest.MonkeyPatch()
    with decoding_alone.context() as patch:
        patch.setattr(decoding, "_AHEAD", 8)  # one sample a piece
        assert len(build_store(source, setting(tmp_path), progress=False, workers=4)) == 64


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({"x": np.zeros(2, np.float32)}, r"x is float32 \(2,\) instead of uint8 \(2,\)"),
        ({"x": np.zeros((2, 1), np.uint8)}, r"x is uint8 \(2, 1\) instead of uint8 \(2,\)"),
        ({"x": np.zeros(3, np.uint8)}, r"x is uint8 \(3,\)"),
        ({"y": np.zeros(2, np.uint8)}, "has no 'x'"),
        (None, "TypeError: "),
        (OSError("truncated file"), "truncated file"),
        (AttributeError("no such thing"), "AttributeError: no such thing"),
        (DataError(""), "unreadable"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said(tmp_path, sample, words):
    source = numbers(20)
    source.samples[7] = sample
    store = build(tmp_path, source)
    assert len(store) == 19
    (line,) = store.bad
    with pytest.raises(DataError, match=f"file7.png: {words}"):
        raise DataError(line)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(tmp_path, value):
    fields = {"x": Field("float32", (None, 2))}
    samples = [{"x": np.zeros((3, 2), np.float32)} for _ in range(20)]
    samples[4]["x"][2, 1] = value
    assert build(tmp_path, Listed(samples, fields)).bad == ["file4.png: x holds numbers that are not finite"]


def test_a_ragged_field_needs_its_first_dimension(tmp_path):
    source = Listed([{"x": np.zeros(1, np.int16)}] * 19 + [{"x": np.int16(1)}], {"x": Field("int16", (None,))})
    assert build(tmp_path, source).bad == ["file19.png: x is int16 () instead of int16 (None,)"]


def test_running_out_of_memory_is_not_the_samples_fault(tmp_path):
    with pytest.raises(DataError, match=r"memory ran out while file4.png was decoded"):
        build(tmp_path, numbers(50, bad=(4,), error=MemoryError()), max_bad=1.0)
    assert list((tmp_path / "stores").iterdir()) == []


def test_ctrl_c_leaves_nothing_and_does_not_wait_for_the_rest(tmp_path, monkeypatch):
    source = numbers(5000)
    decode, add, seen = source.decode, FieldWriter.add, []

    def slow(index):
        if index > 1900:  # the writer waits for the workers, as it does for real files
            time.sleep(0.002)
        return decode(index)

    def interrupted(self, array):
        if self.rows == 2000:
            seen.append(source.decoded)
            raise KeyboardInterrupt
        add(self, array)

    source.decode = slow
    monkeypatch.setattr(FieldWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_store(source, setting(tmp_path), progress=False, workers=2)
    assert list((tmp_path / "stores").iterdir()) == []
    decoded = source.decoded
    assert decoded <= seen[0] + 8  # not the rest of the 64 that each worker took
    time.sleep(0.05)
    assert source.decoded == decoded


def test_an_interrupt_in_a_worker_ends_the_build(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, numbers(500, bad=(40,), error=KeyboardInterrupt()))
    assert list((tmp_path / "stores").iterdir()) == []


@pytest.mark.parametrize(
    ("terminal", "progress", "bar"), [(True, None, True), (False, None, False), (True, False, False)]
)
def test_a_bar_on_a_terminal_only(tmp_path, monkeypatch, capsys, terminal, progress, bar):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    build_store(numbers(300), setting(tmp_path), progress=progress)
    text = capsys.readouterr().err
    assert ("\r" in text and "300" in text) == bar
    if progress is False:
        assert text == ""
    elif not terminal:
        assert text == "polygan: decoding 300 samples of 'mine'\n"


def test_a_log_says_now_and_then_how_far_decoding_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.setattr(decoding, "_TELL", 0.0)  # a line for each sample
    build_store(numbers(40), setting(tmp_path), progress=None)
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "polygan: decoding 40 samples of 'mine'"
    assert len(lines) == 39
    assert all(re.fullmatch(r"polygan: decoded \d+ of 40 samples, \d+:\d\d left", line) for line in lines)
    build_store(numbers(40, key="other"), setting(tmp_path), progress=False)
    assert capsys.readouterr().err == ""


def test_threads_hold_a_bounded_number_of_numbers():
    room, held, most, lock = Room(100), 0, [], Lock()

    def work(pixels):
        nonlocal held
        with room.of(pixels):
            with lock:
                held += pixels
                most.append((held, pixels))
            time.sleep(0.002)
            with lock:
                held -= pixels

    threads = [Thread(target=work, args=(n,)) for n in [40] * 12 + [250] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(most) == 14
    assert all(total <= 100 or total == pixels == 250 for total, pixels in most)
    assert held == 0
