"""The TensorBoard listener: what it writes is read back with TensorBoard's own reader."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
import time
import zlib

import pytest

from polygan import Passage, Picture, RunEvent, Score, Sound
from polygan.record import tensorboard


def make_png(width=3, height=2):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(range(width)) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def event_at(folder, step):
    return RunEvent(folder, "image/dcgan", {"steps": 9, "model": {"latent_dim": 64}}, step, step * 64)


def read_back(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder / "tensorboard"), accumulator.STORE_EVERYTHING_SIZE_GUIDANCE)
    found.Reload()
    return found


def points(found, tag):
    return [(e.step, e.value) for e in found.Scalars(tag)]


def text_of(found, tag):
    return found.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("tensorboard")
    yield tmp_path
    assert not tensorboard._writers, "a test left a file open"


def test_values_pieces_and_scores_come_back(folder):
    png, wav = make_png(), b"RIFF\x24\0\0\0WAVEdata"
    tensorboard.polygan_run_started(event_at(folder, 0))
    tensorboard.polygan_logged(event_at(folder, 5), {"d/real": 0.25, "grad/generator": math.nan})
    tensorboard.polygan_logged(event_at(folder, 10), {"d/real": 0.5, "grad/generator": math.inf})
    pieces = [Picture(png, "digits"), Sound(wav, 22050, "voice", png), Passage("# no *markup*\n<b>", "poem")]
    tensorboard.polygan_sampled(event_at(folder, 10), pieces)
    scores = [Score("image/frechet", 3.5, 1.5), Score("image/plain", 2.0, baseline=(4.0, "a copy"))]
    tensorboard.polygan_evaluated(event_at(folder, 10), scores)
    tensorboard.polygan_diverged(event_at(folder, 10), "loss of turn d is not finite")
    tensorboard.polygan_run_ended(event_at(folder, 10), "finished")

    found = read_back(folder)
    assert points(found, "d/real") == [(5, 0.25), (10, 0.5)]
    assert points(found, "progress/samples") == [(5, 320), (10, 640)]
    assert [math.isnan(v) or v for _, v in points(found, "grad/generator")] == [True, math.inf]
    assert points(found, "score/image/frechet") == [(10, 3.5)]
    assert points(found, "floor/image/frechet") == [(10, 1.5)]
    assert points(found, "baseline/image/plain") == [(10, 4.0)]
    assert "baseline/image/frechet" not in found.Tags()["scalars"]
    assert "floor/image/plain" not in found.Tags()["scalars"]
    for tag in ("samples/000", "samples/001/picture"):
        (image,) = found.Images(tag)
        assert (image.encoded_image_string, image.width, image.height, image.step) == (png, 3, 2, 10)
    (audio,) = found.Audio("samples/001")
    assert (audio.encoded_audio_string, audio.sample_rate) == (wav, 22050)
    assert text_of(found, "samples/002") == "    poem\n    \n    # no *markup*\n    <b>"
    assert "not finite" in text_of(found, "diverged")
    assert '"latent_dim": 64' in text_of(found, "settings")


def test_no_two_kinds_share_a_tag(folder):
    tensorboard.polygan_run_started(event_at(folder, 0))
    tensorboard.polygan_sampled(event_at(folder, 1), [Sound(b"RIFF", 8000, "", make_png())])
    tensorboard.polygan_run_ended(event_at(folder, 1), "finished")
    tags = read_back(folder).Tags()
    assert not set(tags["images"]) & set(tags["audio"])


@pytest.mark.parametrize("resumed_at", [10, 0])
def test_a_resumed_run_does_not_draw_its_curves_twice(folder, resumed_at):
    tensorboard.polygan_run_started(event_at(folder, 0))
    for step in (5, 10, 15, 20):
        tensorboard.polygan_logged(event_at(folder, step), {"d/real": float(step)})
    tensorboard._close(event_at(folder, 20))  # killed: what was flushed stays, nothing says that it ended
    second = int(time.time())  # event files are read in the order of their names: the second, then a counter as text
    while int(time.time()) == second:
        time.sleep(0.05)
    tensorboard.polygan_run_started(event_at(folder, resumed_at))
    for step in range(resumed_at + 5, 26, 5):
        tensorboard.polygan_logged(event_at(folder, step), {"d/real": step + 0.5})
    tensorboard.polygan_run_ended(event_at(folder, 25), "finished")
    kept = [(step, float(step)) for step in range(5, resumed_at + 1, 5)]
    new = [(step, step + 0.5) for step in range(resumed_at + 5, 26, 5)]
    assert points(read_back(folder), "d/real") == kept + new


def test_two_runs_at_once_keep_apart(folder):
    a, b = folder / "a", folder / "b"
    for run in (a, b):
        tensorboard.polygan_run_started(event_at(run, 0))
    for value, run in enumerate((a, b)):
        tensorboard.polygan_logged(event_at(run, 1), {"d/real": value})
        tensorboard.polygan_run_ended(event_at(run, 1), "finished")
    assert points(read_back(a), "d/real") == [(1, 0)]
    assert points(read_back(b), "d/real") == [(1, 1)]


def test_without_the_package_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    event = event_at(tmp_path, 0)
    tensorboard.polygan_run_started(event)
    tensorboard.polygan_logged(event, {"d/real": 1.0})
    tensorboard.polygan_sampled(event, [Picture(make_png())])
    tensorboard.polygan_evaluated(event, [Score("x", 1.0)])
    tensorboard.polygan_diverged(event, "message")
    tensorboard.polygan_run_ended(event, "finished")
    assert list(tmp_path.iterdir()) == []


def test_listing_imports_neither_torch_nor_tensorboard():
    code = "import sys, polygan.record.tensorboard; print({'torch', 'tensorboard'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_hook_is_one_of_the_contract():
    from polygan import hookspecs

    hooks = {name for name in vars(tensorboard) if name.startswith("polygan_")}
    assert hooks <= set(vars(hookspecs))
    assert {"polygan_run_started", "polygan_logged", "polygan_sampled", "polygan_run_ended"} <= hooks
