"""Checkpoints: exact round trips, every kind of damage, full disks, kills at random moments."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoint_files import TENSORS, flip, keep_one, same, truncate, two
from safetensors.torch import load_file
from torch import nn

from polygan.errors import CheckpointError
from polygan.training import checkpoint, statefile
from polygan.training.checkpoint import Checkpoints
from polygan.training.weights import load_weights

# What comes back


def test_tensors_come_back_to_the_bit(tmp_path):
    back = keep_one(tmp_path, {"all": TENSORS}, {"g": TENSORS, "g.ema": {"x": TENSORS["half"]}}, step=12)
    assert back.step == 12
    assert back.path.name == "step-00000012"
    assert same({k: back.networks["g"][k] for k in TENSORS}, TENSORS)
    assert same(back.training, {"all": TENSORS})
    assert set(back.networks) == {"g", "g.ema"}


def test_files_are_read_by_the_safetensors_library(tmp_path):
    path = keep_one(tmp_path, {}, {"g": TENSORS}).path
    tensors = load_file(path / "g.safetensors")
    assert same({k: tensors[k] for k in TENSORS}, TENSORS)


def test_plain_state_comes_back_with_its_types(tmp_path):
    state = {
        "numbers": [0, -1, 2**70, 0.1, 1e-300, math.inf, math.nan, True, None],
        "nested": ((1, (2.5, "x")), [(), [], {}]),
        3: {"$": "tensor", "key": "none"},
        ("a", 1): torch.tensor(1),
        "text": 'line\n"quoted" é\u2028',
    }
    assert same(keep_one(tmp_path, state).training, state)


def test_keys_that_look_alike_keep_their_own_tensor(tmp_path):
    one, two, three = torch.ones(2), torch.zeros(2), torch.full((2,), 3.0)
    state = {1: one, "1": two, "a/b": one, "a": {"b": three}}
    assert same(keep_one(tmp_path, state).training, state)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, 1e-3, betas=(0.5, 0.999), amsgrad=True),
        lambda p: torch.optim.AdamW(p, torch.tensor(1e-3)),
        lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9, nesterov=True),
        lambda p: torch.optim.RMSprop(p, 1e-3, centered=True),
    ],
    ids=["adam", "adamw", "sgd", "rmsprop"],
)
def test_optimizers_and_schedulers_continue_to_the_bit(tmp_path, make):
    def fresh():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        optimizer = make(net.parameters())
        first = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
        rest = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        return net, optimizer, torch.optim.lr_scheduler.SequentialLR(optimizer, [first, rest], [3])

    def play(net, optimizer, scheduler, steps):
        for i in steps:
            optimizer.zero_grad()
            net(torch.randn(8, 3, generator=torch.Generator().manual_seed(i))).square().mean().backward()
            optimizer.step()
            scheduler.step()
        return net

    net, optimizer, scheduler = fresh()
    play(net, optimizer, scheduler, range(5))
    state = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    back = keep_one(tmp_path, state, {"net": net.state_dict()})
    assert same(back.training["optimizer"], state["optimizer"])
    play(net, optimizer, scheduler, range(5, 9))
    other, other_optimizer, other_scheduler = fresh()
    other.load_state_dict(back.networks["net"])
    other_optimizer.load_state_dict(back.training["optimizer"])
    other_scheduler.load_state_dict(back.training["scheduler"])
    play(other, other_optimizer, other_scheduler, range(5, 9))
    assert same(other.state_dict(), net.state_dict())


def test_no_pickle(tmp_path):
    path = keep_one(tmp_path, {"all": TENSORS, "t": (1,)}, {"g": TENSORS}).path
    for file in path.iterdir():
        start = file.read_bytes()[:4]
        assert not start.startswith((b"\x80", b"PK"))
        if file.suffix == ".json":
            json.loads(file.read_text("utf-8"))
    for module in (checkpoint, statefile):
        source = Path(module.__file__).read_text("utf-8")
        assert "import pickle" not in source
        assert "torch.load" not in source
        assert "torch.save" not in source


@pytest.mark.parametrize(
    ("networks", "training", "words"),
    [
        ({}, {"a": {"b": {1, 2}}}, ["training/a/b", "set"]),
        ({"g": {"w": torch.zeros(2, dtype=torch.complex128)}}, {}, ["tensor w", "complex128"]),
        ({"g": {"w": torch.zeros(2, device="meta")}}, {}, ["tensor w", "meta"]),
        ({"training": {}}, {}, ["'training'", "rename"]),
        ({"../g": {}}, {}, ["'../g'", "rename"]),
    ],
)
def test_what_cannot_be_held_is_named_and_leaves_nothing(tmp_path, networks, training, words):
    keep_one(tmp_path, {"n": 1})
    with pytest.raises(CheckpointError) as error:
        Checkpoints(tmp_path).save(2, networks, training, seed=0, good=True)
    assert all(word in str(error.value) for word in words)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


# Damage


def flip_seed(path):
    """A digit of a number that nothing else repeats."""
    text = (path / "manifest.json").read_text()
    assert text.count('"seed": 40') == 1
    (path / "manifest.json").write_text(text.replace('"seed": 40', '"seed": 41'))


def half_written(path):
    (path / "manifest.json").unlink()
    path.rename(path.with_name(".writing-" + path.name))


def newer(path):
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))


DAMAGE = {
    "truncated tensors": (truncate, "g.safetensors has"),
    "flipped bit in tensors": (lambda p: flip(p, "g.safetensors", -1), "g.safetensors does not match its checksum"),
    "flipped bit in plain state": (lambda p: flip(p, "training.json", 10), "training.json does not match"),
    "flipped bit in manifest": (flip_seed, "manifest.json (damaged: it does not match its checksum)"),
    "missing file": (
        lambda p: (p / "training.safetensors").unlink(),
        "training.safetensors cannot be read (No such file",
    ),
    "half written": (half_written, None),
    "empty manifest": (lambda p: (p / "manifest.json").write_text(""), "manifest.json (damaged"),
    "manifest of another kind": (lambda p: (p / "manifest.json").write_text("[1]"), "manifest.json (damaged"),
    "no manifest": (lambda p: (p / "manifest.json").unlink(), "manifest.json (No such file"),
    "newer format": (newer, "has format 2, and this polygan reads 1: upgrade polygan"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_falls_back_and_is_said_in_one_line(tmp_path, kind):
    damage, words = DAMAGE[kind]
    damage(two(tmp_path))
    said = []
    back = Checkpoints(tmp_path, warn=said.append).load()
    assert back.step == 10
    assert torch.equal(back.networks["g"]["w"], torch.full((1000,), 10.0))
    if words is None:
        assert said == []
    else:
        (line,) = said
        assert "step-00000020" in line
        assert words in line
        assert line.endswith("trying an older checkpoint")
        assert "\n" not in line


def test_a_manifest_reads_no_file_outside_its_folder(tmp_path):
    path = keep_one(tmp_path, {"n": 1}).path
    manifest = json.loads((path / "manifest.json").read_text())
    manifest.pop("sha256")
    manifest["files"]["../outside.safetensors"] = manifest["files"]["training.safetensors"]
    shutil.copy(path / "training.safetensors", tmp_path / "outside.safetensors")
    (path / "manifest.json").write_text(json.dumps({**manifest, "sha256": checkpoint._digest(manifest)}))
    with pytest.raises(CheckpointError, match=r"names '../outside.safetensors', which is no file of the folder"):
        checkpoint.read_checkpoint(path)


def test_every_byte_of_the_manifest_counts(tmp_path):
    path = two(tmp_path)
    good = (path / "manifest.json").read_bytes()
    reference = checkpoint._read_manifest(path)
    for at in range(0, len(good), 3):
        flip(path, "manifest.json", at)
        try:
            manifest = checkpoint._read_manifest(path)
        except CheckpointError:
            pass
        else:  # white space may differ
            assert manifest == reference
        (path / "manifest.json").write_bytes(good)


def test_a_folder_renamed_to_another_step_is_refused(tmp_path):
    two(tmp_path).rename(tmp_path / "step-00000030")
    said = []
    assert Checkpoints(tmp_path, warn=said.append).load().step == 10
    assert len(said) == 1
    assert "step-00000030 holds step 20" in said[0]


def test_files_that_match_their_checksum_but_hold_something_else(tmp_path, monkeypatch):
    real = checkpoint.tensor_blocks
    monkeypatch.setattr(checkpoint, "tensor_blocks", lambda t: [b"not tensors"] if t else real(t))
    two(tmp_path)
    with pytest.raises(CheckpointError, match=r"safetensors cannot be decoded"):
        Checkpoints(tmp_path).load(20)


def test_default_warning_goes_to_the_messages(tmp_path, capsys):
    truncate(two(tmp_path))
    Checkpoints(tmp_path).load()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("polygan: checkpoint file ")
    assert captured.err.count("\n") == 1


def test_nothing_valid_names_every_reason(tmp_path):
    truncate(two(tmp_path))
    (tmp_path / "step-00000010" / "manifest.json").write_text("")
    with pytest.raises(CheckpointError, match=r"no valid checkpoint: .*step-00000020.*step-00000010.*manifest"):
        Checkpoints(tmp_path, warn=lambda _: None).load()
    with pytest.raises(CheckpointError, match=r"no valid checkpoint$"):
        Checkpoints(tmp_path / "nowhere").load()


def test_explicit_step(tmp_path):
    path = two(tmp_path)
    assert Checkpoints(tmp_path).load(10).step == 10
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 15; it has 10, 20"):
        Checkpoints(tmp_path).load(15)
    truncate(path)
    with pytest.raises(CheckpointError, match=r"g.safetensors has"):  # asked for by name: no other will do
        Checkpoints(tmp_path).load(20)


def test_only_a_good_one(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step, good in ((1, True), (2, False)):
        checkpoints.save(step, {}, {}, seed=0, good=good)
    assert checkpoints.load().step == 2
    assert checkpoints.load(good_only=True).step == 1
    with pytest.raises(CheckpointError, match="no valid good checkpoint"):
        Checkpoints(tmp_path / "none").load(good_only=True)


# What is kept


def kept(folder):
    return [e.step for e in Checkpoints(folder).entries()]


def test_newest_last_good_and_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step, good, score in [
        (1, True, 5.0),
        (2, True, 1.0),
        (3, True, 3.0),
        (4, False, None),
        (5, False, math.nan),
        (6, False, 2.0),
    ]:
        checkpoints.save(step, {}, {}, seed=0, good=good, score=score)
    assert kept(tmp_path) == [2, 3, 5, 6]
    assert all(not p.name.startswith(".") for p in tmp_path.iterdir())


def test_what_was_just_saved_is_kept_and_abandoned_steps_go(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    for step in (10, 20, 30):
        checkpoints.keep = 3
        checkpoints.save(step, {}, {}, seed=0, good=True, score=1 / step)
    checkpoints.keep = 1
    checkpoints.save(15, {}, {}, seed=0, good=True)  # after going back to 10
    assert kept(tmp_path) == [10, 15]  # 10 has the best score of those that are left
    assert checkpoints.load().step == 15


def renamed_player(found):
    """Format 1 from a made-up format 0, in which the generator was called "maker" and the step stood beside the counters."""
    networks = {name.replace("maker", "g"): state for name, state in found.networks.items()}
    training = {"n": found.training["counters"]["n"]}
    return dataclasses.replace(found, networks=networks, training=training)


def older(path, **changes):
    """A folder as a made-up format 0 had it."""
    checkpoints = Checkpoints(path)
    checkpoints.save(10, {"maker": {"w": torch.arange(3.0)}}, {"counters": {"n": 7}}, seed=0, good=True)
    manifest = path / "step-00000010/manifest.json"
    facts = {**json.loads(manifest.read_text()), "format": 0, **changes}
    del facts["sha256"]
    manifest.write_text(json.dumps({**facts, "sha256": checkpoint._digest(facts)}))
    return checkpoints


def test_an_older_format_is_migrated_when_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setitem(checkpoint.CHECKPOINT.migrations, 0, renamed_player)
    checkpoints = older(tmp_path)
    assert not checkpoints.entries()[0].foreign
    found = checkpoints.load()
    assert found.training == {"n": 7}
    assert torch.equal(found.networks["g"]["w"], torch.arange(3.0))
    assert load_weights(tmp_path / "step-00000010", ["g"]).keys() == {"g"}
    checkpoints.save(20, found.networks, found.training, seed=0, good=True)
    assert checkpoints.load().manifest["format"] == 1
    monkeypatch.setitem(checkpoint.CHECKPOINT.migrations, 0, lambda found: found.training["counters"]["lost"])
    with pytest.raises(CheckpointError, match="step-00000010 is not complete for format 0"):
        checkpoints.load(10)


def test_an_older_format_is_verified_before_it_is_migrated(tmp_path, monkeypatch):
    monkeypatch.setitem(checkpoint.CHECKPOINT.migrations, 0, renamed_player)
    older(tmp_path)
    manifest = tmp_path / "step-00000010/manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        Checkpoints(tmp_path).load(10)


def test_an_older_format_without_a_migration_says_who_reads_it(tmp_path, monkeypatch):
    checkpoints = older(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"has format 0, .*the older format has no migration; use the polygan that wrote it"
    ):
        checkpoints.load(10)
    monkeypatch.setitem(checkpoint.CHECKPOINT.readers, 0, "0.0.9")
    with pytest.raises(CheckpointError, match=r"polygan 0\.0\.9 reads it: pip install polygan==0\.0\.9"):
        checkpoints.load(10)
    keep_one(tmp_path, {"n": 1}, step=30)
    assert [e.step for e in checkpoints.entries() if e.foreign] == [10]  # left alone
    older(tmp_path / "odd", format="one")
    with pytest.raises(CheckpointError, match=r"has format 'one', .*the file is damaged"):
        Checkpoints(tmp_path / "odd").load(10)


def test_a_newer_format_is_never_removed(tmp_path):
    newer(two(tmp_path))
    checkpoints = Checkpoints(tmp_path, keep=1, warn=lambda _: None)
    for step in (11, 12):
        checkpoints.save(step, {}, {}, seed=0, good=True)
    assert kept(tmp_path) == [12, 20]
    assert checkpoints.load().step == 12


def test_steps_beyond_eight_digits_are_in_order(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (99_999_999, 100_000_000):
        checkpoints.save(step, {}, {}, seed=0, good=True)
    assert kept(tmp_path) == [99_999_999, 100_000_000]
    assert checkpoints.load().step == 100_000_000


def test_an_existing_step_is_replaced(tmp_path):
    assert keep_one(tmp_path, {"n": 1}).training == {"n": 1}
    assert keep_one(tmp_path, {"n": 2}).training == {"n": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


def test_a_replacement_that_fails_or_dies_midway_loses_nothing(tmp_path, monkeypatch):
    keep_one(tmp_path, {"n": 1})
    rename = Path.rename

    def fail(self, target):
        if self.name.startswith(".writing-"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(CheckpointError, match=r"step-00000001 cannot be written \(Input/output error\)"):
            keep_one(tmp_path, {"n": 2})
    assert Checkpoints(tmp_path).load().training == {"n": 1}
    (tmp_path / "step-00000001").rename(tmp_path / ".replaced-step-00000001")  # killed between the two renames
    assert Checkpoints(tmp_path, writable=True).load().training == {"n": 1}


def test_leftovers_are_swept_by_the_writer_only(tmp_path):
    two(tmp_path)
    for name in (".writing-step-00000030", ".doomed-step-00000005", ".replaced-step-00000020"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "g.safetensors").write_bytes(b"half")
    Checkpoints(tmp_path).load()
    assert len(list(tmp_path.iterdir())) == 5
    assert Checkpoints(tmp_path, writable=True).load().step == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000020"]


def test_an_old_one_that_cannot_be_removed_is_said(tmp_path, monkeypatch):
    said = []
    checkpoints = Checkpoints(tmp_path, keep=1, warn=said.append)
    checkpoints.save(1, {}, {}, seed=0, good=True)
    rename = Path.rename

    def fail(self, target):
        if Path(target).name.startswith(".doomed-"):
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    checkpoints.save(2, {}, {}, seed=0, good=True)
    assert kept(tmp_path) == [1, 2]
    assert len(said) == 1
    assert "step-00000001 cannot be removed (Permission denied)" in said[0]


# A full disk, interruptions, kills


def test_no_space(tmp_path, monkeypatch):
    keep_one(tmp_path, {"n": 1})

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        CheckpointError, match=r"No space left on device.*older checkpoints are intact: free some space"
    ):
        keep_one(tmp_path, {"n": 2}, step=2)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    assert Checkpoints(tmp_path).load().training == {"n": 1}


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot be written .*remove the cause, then resume"):
        keep_one(tmp_path / "file" / "checkpoints", {})


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_save_leaves_nothing(tmp_path, monkeypatch, error):
    keep_one(tmp_path, {"n": 1})

    def stop(*_):
        raise error

    monkeypatch.setattr(checkpoint, "write_blocks", stop)
    with pytest.raises(error):
        keep_one(tmp_path, {"n": 2}, step=2)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


WORKER = """
import os, random, sys, time
from pathlib import Path

import torch

from polygan.training.checkpoint import Checkpoints, read_checkpoint
from polygan.errors import CheckpointError

torch.set_num_threads(1)
folder = Path(sys.argv[2])


def save(checkpoints, step):
    state = {"w": torch.full((100_000,), float(step))}
    checkpoints.save(step, {"g": state, "d": state}, {"step": step, "m": state["w"] + 1}, seed=0, good=True)


def full_disk():
    import resource

    checkpoints = Checkpoints(folder)
    save(checkpoints, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        save(checkpoints, 2)
    except CheckpointError as error:
        print(error)
    assert [p.name for p in folder.iterdir()] == ["step-00000001"], list(folder.iterdir())
    assert checkpoints.load().step == 1


def child(told):
    checkpoints = Checkpoints(folder, keep=2, writable=True)
    entries = checkpoints.entries()
    step = checkpoints.load().step if entries else 0
    while True:
        step += 1
        for _ in range(2):  # the second time it replaces
            save(checkpoints, step)
            os.write(told, step.to_bytes(4, "little"))


def kills(seed):
    rng, unclean = random.Random(seed), 0
    for round in range(12):
        listen, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(told)
            finally:
                os._exit(1)
        os.close(told)
        first = os.read(listen, 4)
        time.sleep(rng.uniform(0, 0.06))
        os.kill(pid, 9)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        said = first + os.read(listen, 1 << 16)
        os.close(listen)
        saved = int.from_bytes(said[-4:], "little")
        warnings = []
        assert Checkpoints(folder, warn=warnings.append).load().step >= saved - 1
        unclean += any(p.name.startswith(".") for p in folder.iterdir())
        back = Checkpoints(folder, writable=True, warn=warnings.append).load()
        assert back.step in (saved, saved + 1), (back.step, saved)
        assert back.training["step"] == back.step and bool((back.training["m"] == back.step + 1).all())
        assert all(bool((back.networks[n]["w"] == back.step).all()) for n in ("g", "d"))
        assert not warnings, warnings
        assert not [p for p in folder.iterdir() if p.name.startswith(".")]
        assert [read_checkpoint(e.path).step for e in Checkpoints(folder).entries()][-1] == back.step
    print("kills that left something to sweep:", unclean)
    assert unclean


{"full": full_disk, "kill": lambda: kills(int(sys.argv[3]))}[sys.argv[1]]()
"""


def work(tmp_path, *arguments):
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    command = [sys.executable, str(script), arguments[0], str(tmp_path / "checkpoints"), *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(os.name == "nt", reason="limits of file size are POSIX")
def test_a_file_that_cannot_grow(tmp_path):
    line = work(tmp_path, "full")
    assert "step-00000002 cannot be written (File too large); the older checkpoints are intact: free some space" in line
    assert line.count("\n") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments(tmp_path):
    work(tmp_path, "kill", "0")
