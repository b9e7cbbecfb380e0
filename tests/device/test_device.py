"""`make device` where there is no accelerator: its table, its parts that fail, and what a CPU can try of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from device import correctness, losses, paths, speed
from device.cases import CASES, Subject, missing, play, state
from device.supervise import Part, is_fatal, supervise
from device.table import Row, count, has_failed, markdown, one_line, write


@pytest.fixture
def subject(tmp_path):
    return Subject(torch.device("cpu"), True, tmp_path, ("points/mlp",))


def script(*words, cwd=None, **environment):
    command = [sys.executable, str(HERE / "run.py"), *words]
    outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OUT")}
    return subprocess.run(command, capture_output=True, text=True, timeout=580, cwd=cwd, env=outside | environment)


# The script


def test_without_an_accelerator_it_says_so_in_one_line(tmp_path):
    done = script("--device", "cuda", CUDA_VISIBLE_DEVICES="", OUT=str(tmp_path))
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert "no accelerator" in done.stdout
    assert not list(tmp_path.iterdir())


def test_an_unknown_part_is_named():
    done = script("--device", "cpu", "--parts", "losses,sped")
    assert done.returncode == 1
    assert "no part sped; there are tests, losses" in done.stderr


def test_a_cheap_part_from_anywhere_writes_the_table(tmp_path):
    """Far from the checkout, with nothing but the script to find polygan by."""
    words = ("--device", "cpu", "--quick", "--parts", "repeat", "--recipes", "points/mlp")
    done = script(*words, cwd=tmp_path, OUT=str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "out" / "device.md").read_text()
    assert "| repeat | points/mlp, stopped and resumed, fp32 | passed | to the bit |" in table
    assert table in done.stdout
    found = json.loads((tmp_path / "out" / "device.json").read_text())
    assert [row["result"] for row in found["rows"]] == ["passed", "passed"]
    assert found["facts"]["Device"] == "cpu"


@pytest.mark.slow
def test_every_part_that_a_cpu_can_try():
    done = script("--device", "cpu", "--quick", "--minutes", "9.5", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in [*CASES, "dcgan", "stylegan-64", "stylegan-256", "hifigan", "seqgan"]:
        assert name in done.stdout
    assert "not installed" not in done.stdout


def test_table_escapes_and_counts(tmp_path):
    rows = [Row("a", "x | y", "passed", "two\nlines", 1.25), Row("b", "z", "failed"), Row("b", "w", "skipped")]
    text = markdown(rows, {"Device": "a device"})
    assert "- Device: a device" in text
    assert "| a | x \\| y | passed | two lines | 1.2 |" in text
    assert "| b | z | **failed** |  |  |" in text
    assert text.endswith("1 passed, 1 failed, 1 skipped, 0 measured\n")
    write(tmp_path / "new", rows, {})
    assert json.loads((tmp_path / "new" / "device.json").read_text())["rows"][0]["detail"] == "two\nlines"


def test_a_measurement_that_breaks_is_no_failed_check():
    rows = [Row("sync", "x", "skipped"), Row("dcgan", "y", "failed")]
    assert not has_failed(rows, {"dcgan"})
    assert has_failed([*rows, Row("losses", "z", "failed")], {"dcgan"})


def test_an_error_is_one_short_line():
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert len(one_line(ValueError("x" * 1000))) == 240


# Parts that end badly


WORKER = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from device.supervise import Fatal, Part, work
from device.table import Row

def good(subject):
    yield Row("good", "a", "passed")

def raises(subject):
    yield Row("raises", "before", "passed")
    raise ValueError("a reason")

def dies(subject):
    os._exit(9)

def hangs(subject):
    yield Row("hangs", "before", "passed")
    time.sleep(600)

def poisons(subject):
    raise Fatal("CUDA error: an illegal memory access was encountered")

names = sys.argv[2].split(",")
parts = [Part(n, n, globals()[n.split("-")[0]], 1) for n in names]
sys.exit(work(parts, None, Path(sys.argv[1])))
"""


@pytest.fixture
def supervised(tmp_path):
    """What parts of `WORKER` report, and the names that each worker was started for."""
    (tmp_path / "worker.py").write_text(WORKER.format(tests=str(HERE.parent)))

    def run(names, seconds=60.0, limit=60.0, correctness=True):
        rows, started = [], []

        def command(left, file):
            started.append(",".join(left))
            return [sys.executable, str(tmp_path / "worker.py"), str(file), ",".join(left)]

        parts = [Part(name, f"what {name} does", "", limit, correctness) for name in names]
        supervise(parts, command, tmp_path, time.monotonic() + seconds, rows.append)
        return [(r.part, r.result, r.detail) for r in rows], started

    return run


def test_a_part_that_raises_is_a_row(supervised):
    rows, started = supervised(["good", "raises", "good-2"])
    assert rows[:2] == [("good", "passed", ""), ("raises", "passed", "")]
    assert rows[2] == ("raises", "failed", "ValueError: a reason")
    assert rows[3] == ("good", "passed", "")
    assert len(started) == 1


def test_a_worker_that_dies_costs_one_part(supervised):
    rows, started = supervised(["good", "dies", "good-2"])
    assert rows[1] == ("dies", "failed", "the process ended with code 9")
    assert rows[2] == ("good", "passed", "")
    assert started == ["good,dies,good-2", "good-2"]


def test_a_part_that_hangs_is_stopped(supervised):
    begin = time.monotonic()
    rows, started = supervised(["hangs", "good"], limit=1.0)
    assert rows[0] == ("hangs", "passed", "")
    assert rows[1][1] == "failed"
    assert "its limit is 1 s" in rows[1][2]
    assert rows[2] == ("good", "passed", "")
    assert time.monotonic() - begin < 60
    assert started[1:] == ["good"]


def test_a_poisoned_process_is_replaced(supervised):
    rows, started = supervised(["poisons", "good"])
    assert rows[0][1] == "failed"
    assert "illegal memory access" in rows[0][2]
    assert rows[1] == ("good", "passed", "")
    assert started == ["poisons,good", "good"]


def test_time_that_is_up_fails_checks_and_skips_measurements(supervised):
    rows, started = supervised(["good", "good-2"], seconds=-1)
    assert [r[1:] for r in rows] == [("failed", "not begun: no time is left")] * 2
    assert not started
    rows, _ = supervised(["good"], seconds=-1, correctness=False)
    assert rows == [("good", "skipped", "not begun: no time is left")]


def test_running_out_of_memory_does_not_poison():
    class OutOfMemoryError(RuntimeError):
        pass

    assert not is_fatal(OutOfMemoryError("CUDA out of memory"))
    assert is_fatal(RuntimeError("CUDA error: device-side assert triggered"))
    assert not is_fatal(ValueError("a reason"))


# What the checks find


def test_gaps_are_relative_and_see_what_is_not_a_number():
    wanted = [{"d/real": 1.0, "grad/d": 5.0, "d/r_t": 1.0, "lr/d": 1.0}, {"d/real": 3.0, "g/fake": 1.0}]
    found = [{"d/real": 1.1, "grad/d": 9.0, "d/r_t": -1.0, "lr/d": 7.0}, {"d/real": 3.0, "g/fake": 1.5}]
    first, mean, name = losses.gaps(found, wanted)
    assert first == pytest.approx(0.05)
    assert (mean, name) == (pytest.approx(0.5), "g/fake")
    found[1]["d/real"] = float("nan")
    assert losses.gaps(found, wanted)[2] == "d/real"
    assert losses.gaps(found[:1], wanted[:1])[1] == pytest.approx(0.1)


def test_a_loss_that_is_wrong_on_the_device_fails(subject, monkeypatch):
    """The discriminator's terms are 1.3 times what they should be, on the device alone."""
    wanted = losses.losses_of(subject, "points/mlp", subject.device)
    assert losses.compare(subject, "points/mlp", "fp32", wanted)[0] == "passed"
    kind = subject.opened("points/mlp").kind
    right = kind.d
    monkeypatch.setattr(kind, "d", lambda self, *given: {k: 1.3 * v for k, v in right(self, *given).items()})
    result, detail = losses.compare(subject, "points/mlp", "fp32", wanted)
    assert result == "failed"
    assert "bound 0.001" in detail


def test_losses_repeat_and_sync_of_the_gan_of_the_tests(subject):
    rows = [*losses.check_losses(subject), *correctness.check_repeat(subject), *correctness.check_sync(subject)]
    results = {f"{row.part}: {row.what}": row.result for row in rows}
    assert results == {
        "losses: points/mlp, fp32": "passed",
        "losses: points/mlp, bf16": "passed",
        "losses: points/mlp, fp16": "passed",
        "repeat: points/mlp, the same seed twice, fp32": "passed",
        "repeat: points/mlp, stopped and resumed, fp32": "passed",
        "sync: points/mlp, fp32": "skipped",
    }


def test_a_run_that_does_not_repeat_fails(subject, monkeypatch):
    kind, draws = subject.opened("points/mlp").kind, iter(range(10**6))
    right = kind.g
    monkeypatch.setattr(
        kind, "g", lambda self, *given: {k: v * (1 + 1e-6 * next(draws)) for k, v in right(self, *given).items()}
    )
    wanted = state(play(subject.trainer("points/mlp")))
    result, detail = correctness.same(subject, "points/mlp", play(subject.trainer("points/mlp")), wanted)
    assert result == "failed"
    assert "relative distance" in detail


def test_waiting_for_the_device_is_named_by_file_and_line(subject, monkeypatch):
    """On CUDA the error comes from torch; here the recipe raises the same error itself."""
    kind = subject.opened("points/mlp").kind

    def waits(self, ctx, batch):
        raise RuntimeError("called a synchronizing CUDA operation")

    trainer = play(subject.trainer("points/mlp"))
    monkeypatch.setattr(kind, "g", waits)
    monkeypatch.setattr(Subject, "trainer", lambda *_, **__: trainer)
    trainer.turns = list(trainer.recipe.turns())
    result, detail = correctness.never_waits(subject, "points/mlp", "fp32")
    assert result == "failed"
    assert "turn g: tests/device/test_device.py:" in detail


def test_a_package_that_is_absent_skips_by_name(subject, monkeypatch):
    assert missing(ModuleNotFoundError("no", name="soundfile")) == "soundfile"
    assert missing(ModuleNotFoundError("no", name="polygan_audio.gone")) == ""

    def absent(self, id):
        raise ModuleNotFoundError("No module named 'soundfile'", name="soundfile")

    monkeypatch.setattr(Subject, "_open", absent)
    row = next(iter(correctness.check_repeat(subject)))
    assert (row.result, row.detail) == ("skipped", "soundfile is not installed")


def test_runners_are_timed_in_turn(subject, monkeypatch):
    order = []
    runners = {
        name: speed.Runner(lambda name=name: lambda: order.append(name), plain=name == "plain")
        for name in ("plain", "ours")
    }
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    rows = list(speed.compare("part", "title", "steps/s", 1, runners, subject))
    assert order[-2:] == ["plain", "ours"]
    assert [row.what for row in rows] == ["title: plain", "title: ours"]
    assert rows[0].numbers["ratio"] == 1
    assert all(row.result == "measured" for row in rows)


def test_child_processes_find_the_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setattr(sys, "path", list(sys.path))
    paths.make_importable()
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == str(paths.ROOT / "core")
    assert os.environ["PYTHONPATH"].endswith(f"{os.pathsep}elsewhere")
    assert count([]) == "0 passed, 0 failed, 0 skipped, 0 measured"


@pytest.mark.parametrize("id", CASES)
def test_every_recipe_is_made_ready_and_plays_an_iteration(id, tmp_path):
    trainer = Subject(torch.device("cpu"), True, tmp_path).trainer(id, precision="fp32")
    trainer.iterate()
    assert trainer.step == 1
