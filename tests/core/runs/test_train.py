"""Training runs in this process: the folder, resuming, and what a run leaves behind."""

from __future__ import annotations

import errno
import json
import os
import random
import shlex
import shutil
import signal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from toy_runs import TOY, assert_same, command, records, state, train

import polygan
from polygan.plugins import load_catalogue, set_catalogue
from polygan.runs.folder import locked

pytestmark = pytest.mark.usefixtures("toys")


# A run


def test_a_run_leaves_what_reproduces_it():
    run = train(model={"width": 8})
    assert run.folder == Path("runs/mlp-ring")
    assert run.step == 20
    settings = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert settings["recipe"] == "points/mlp"
    assert settings["steps"] == 20
    assert settings["model"]["width"] == 8
    assert settings["data"]["source"] == "ring"
    again = polygan.train("points/mlp", config=run.folder / "config.yaml", quiet=True, name="again")
    assert_same(state(run), state(again))
    facts = json.loads((run.folder / "data.json").read_text())
    assert (facts["count"], facts["train"], facts["held_out"]) == (512, 461, 51)
    assert json.loads((run.folder / "environment.json").read_text())["torch"] == torch.__version__
    events = [r["event"] for r in records(run)]
    assert events[0] == "started"
    assert events[-1] == "ended"
    assert {"logged", "health", "sampled", "saved"} <= set(events)
    logged = [r for r in records(run) if r["event"] == "logged"]
    assert [r["step"] for r in logged] == [5, 10, 15, 20]
    assert logged[0]["samples"] == 160
    health = next(r["values"] for r in records(run) if r["event"] == "health")
    assert {"nn_ratio", "duplicates"} <= set(health)
    assert (run.folder / "report.html").stat().st_size > 1000


def test_names_are_numbered_and_never_overwritten():
    assert train(steps=1).folder.name == "mlp-ring"
    assert train(steps=1).folder.name == "mlp-ring-2"
    train(steps=1, name="mine")
    with pytest.raises(polygan.ConfigError, match=r"run runs/mine exists; `polygan resume runs/mine`"):
        train(steps=1, name="mine")


def test_samples_by_seed_do_not_depend_on_their_number():
    run = train()
    few, many = run.generate(3, seed=1).data, run.generate(200, seed=1).data
    torch.testing.assert_close(few, many[:3], rtol=0, atol=1e-6)  # kernels round differently for other batch sizes
    assert not torch.equal(few, run.generate(3, seed=2).data)
    assert torch.equal(few, polygan.load(run.folder, device="cpu").generate(3, seed=1).data)
    assert not torch.equal(few, run.generate(3, seed=1, scale=2.0).data)
    with pytest.raises(polygan.ConfigError, match="unknown option 'scal' of generate with points/mlp"):
        run.generate(3, scal=2.0)
    with pytest.raises(polygan.ConfigError, match="n = 0"):
        run.generate(0)


def test_generating_disturbs_neither_modes_nor_training(tmp_path):
    plain = train(name="plain", model={"batch_norm": True}, sample_every=0, evaluate_every=0)
    looked = train(name="looked", model={"batch_norm": True}, sample_every=1, evaluate_every=3)
    assert_same(state(plain), state(looked))


def test_resume_continues_to_the_bit_and_cuts_the_log():
    whole = train(name="whole", steps=30)
    part = train(name="part", steps=30, keep=9)
    for step in (20, 25, 30):
        folder = part.folder / "checkpoints" / f"step-{step:08d}"
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    part = polygan.resume(part.folder, quiet=True)
    assert_same(state(whole), state(part))
    steps = [r["step"] for r in records(part) if r["event"] == "logged"]
    assert steps == [5, 10, 15, 20, 25, 30]
    assert "resumed" in [r["event"] for r in records(part)]
    more = polygan.resume(part.folder, steps=40, quiet=True)
    assert more.step == 40
    assert yaml.safe_load((more.folder / "config.yaml").read_text())["steps"] == 40
    longer = train(name="longer", steps=40)
    assert_same(state(longer), state(more))


def test_resume_refuses_what_cannot_be_continued():
    run = train(name="done")
    with pytest.raises(polygan.ConfigError, match=r"finished at step 20; `polygan resume runs/done --steps 40`"):
        polygan.resume(run.folder)
    with pytest.raises(polygan.ConfigError, match=r"'runs/dome' is not a run.*did you mean 'done'"):
        polygan.resume("runs/dome")
    with locked(run.folder), pytest.raises(polygan.ConfigError, match="being trained by another process"):
        polygan.resume(run.folder, steps=30)


def test_other_data_under_the_same_name_is_refused():
    np.save("points.npy", np.random.default_rng(0).standard_normal((200, 2)))
    run = polygan.train("points/mlp", "points.npy", name="own", quiet=True, steps=5)
    np.save("points.npy", np.random.default_rng(0).standard_normal((300, 2)))
    with pytest.raises(polygan.DataError, match="count was 200 and is 300"):
        polygan.resume(run.folder, steps=10)


def test_a_damaged_checkpoint_falls_back_and_says_so(capsys):
    run = train(name="hurt", steps=20)
    newest = run.folder / "checkpoints" / "step-00000020" / "generator.safetensors"
    newest.write_bytes(newest.read_bytes()[:-10])
    loaded = polygan.load(run.folder)
    assert loaded.step == 15
    assert "step-00000020" in capsys.readouterr().err


def test_init_from_starts_with_the_networks_alone():
    source = train(name="source", steps=20)
    target = train(name="target", steps=1, init_from=str(source.folder), model={"learning_rate": 1e-9})
    for key, value in polygan.load(source.folder).networks["generator"].state_dict().items():
        assert target.networks["generator"].state_dict()[key].shape == value.shape
    raw = torch.cat([p.flatten() for p in target.networks["discriminator"].parameters()])
    old = torch.cat([p.flatten() for p in polygan.load(source.folder).networks["discriminator"].parameters()])
    torch.testing.assert_close(raw, old, atol=1e-6, rtol=0)
    assert target.step == 1
    with pytest.raises(polygan.CheckpointError, match="missing-run"):
        train(name="t2", init_from="missing-run")
    with pytest.raises(polygan.CheckpointError, match="in the checkpoint and"):
        train(name="t3", init_from=str(source.folder), model={"width": 8})


def test_export_is_one_file_of_weights_and_one_of_facts(tmp_path):
    from safetensors.torch import load_file

    run = train()
    weights, facts = run.export(tmp_path / "out" / "toy")
    tensors = load_file(weights)
    torch.testing.assert_close(tensors["generator.0.weight"], run.networks["generator"][0].weight)
    assert json.loads(facts.read_text())["recipe"] == "points/mlp"


def test_a_source_of_nothing_but_bad_samples_is_an_error_before_training(capsys):
    np.save("nan.npy", np.full((50, 2), np.nan))
    out = command("train", "points/mlp", "--data", "nan.npy", code=1, capsys=capsys)
    assert "DataError" in out.err
    assert not Path("runs").exists()


def test_the_report_is_safe_against_markup_in_samples_and_settings():
    run = train(name="a b", steps=5)

    class Tags(HTMLParser):
        seen = set()

        def handle_starttag(self, tag, attrs):
            self.seen.add(tag)

    page = (run.folder / "report.html").read_text()
    Tags().feed(page)
    assert "script" not in Tags.seen
    assert "points" not in Tags.seen  # the toy's caption is "<points>"
    assert "&lt;points&gt;" in page


def test_torchelastic_restarts_find_their_run(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    first = train(steps=5)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    second = train(steps=5)
    assert second.folder == first.folder
    assert "resumed" in [r["event"] for r in records(second)]
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert train(steps=10).folder != first.folder
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "other job")
    assert train(steps=5).folder != first.folder


def test_the_environment_is_left_as_it_was():
    before = dict(os.environ)
    train(steps=1)
    assert dict(os.environ) == before


@pytest.mark.parametrize("native", [True, False])
def test_a_precision_that_the_hardware_lacks_is_said(monkeypatch, capsys, native):
    monkeypatch.setattr("polygan.training.distributed._cpu_multiplies_bf16", lambda: native)
    train(precision="bf16", steps=2, quiet=False)
    assert ("precision = bf16 is emulated on this cpu device" in capsys.readouterr().err) is not native
    train(precision="fp32", steps=2, quiet=False)
    assert "emulated" not in capsys.readouterr().err


def test_data_that_changed_is_named_by_its_fact(tmp_path):
    from polygan.runs.folder import check_data

    def store(count, **info):
        return type("Store", (), {"info": info, "key": "k", "content": "", "__len__": lambda self: count})()

    facts = {"count": 5, "info": {"vocabulary": 7, "tokenizer": "x" * 1000}}
    (tmp_path / "data.json").write_text(json.dumps(facts))
    check_data(tmp_path, store(5, vocabulary=7, tokenizer="x" * 1000))
    for changed, message in (
        (store(6, vocabulary=7, tokenizer="x" * 1000), "count was 5 and is 6; restore it"),
        (store(5, vocabulary=8, tokenizer="x" * 1000), "info.vocabulary was 7 and is 8"),
        (store(5, vocabulary=7), r"info.tokenizer was x{100}… \(1,000 characters\) and is None"),
    ):
        with pytest.raises(polygan.DataError, match=message) as error:
            check_data(tmp_path, changed)
        assert len(str(error.value)) < 500 + 2 * len(str(tmp_path))


def test_no_samples_are_refused():
    run = train(steps=1)
    for samples in (0, -5):
        with pytest.raises(polygan.ConfigError, match=f"samples = {samples} is too small"):
            run.evaluate(samples=samples)


def test_a_run_that_never_began_leaves_no_folder_and_its_name_free():
    for bad in ({"accumulate": 5}, {"init_from": "nowhere"}):
        with pytest.raises(polygan.PolyganError):
            train(name="mine", steps=1, batch_size=8, **bad)
        assert not Path("runs/mine").exists()
    assert train(name="mine", steps=1).folder == Path("runs/mine")


def test_a_translated_sample_does_not_depend_on_their_number(monkeypatch):
    set_catalogue(load_catalogue(files=[TOY, TOY.with_name("mirror_gan.py")]))
    run = polygan.train("points/mirror", "ring", steps=2, batch_size=8, precision="fp32", quiet=True)
    torch.testing.assert_close(run.generate(3).data, run.generate(8).data[:3])


def test_a_run_leaves_the_process_as_it_found_it():
    """Generators, number of threads, default dtype and handlers of signals are the caller's own."""

    def facts():
        handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
        generators = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
        return torch.get_default_dtype(), torch.get_num_threads(), handlers, generators

    handler = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        before = facts()
        run = train(steps=2, threads=2, evaluate_every=1)
        assert facts() == before
        polygan.load(run.folder).generate(3)
        assert facts() == before
        polygan.load(run.folder).evaluate(quiet=True)
        assert facts() == before
        with pytest.raises(polygan.ConfigError):
            train(steps=2, threads=2, batch_size=3, accumulate=2)
        assert facts() == before
    finally:
        signal.signal(signal.SIGUSR1, handler)


def test_a_run_that_never_began_leaves_folders_of_the_user_alone():
    Path("mine").mkdir()
    for runs, stays in (("mine", True), ("made", False)):
        with pytest.raises(polygan.DataError, match="batch_size = 5000 is larger than the data"):
            train(steps=2, batch_size=5000, runs=runs)
        assert Path(runs).exists() is stays
        assert not list(Path().glob(f"{runs}/*"))


@pytest.mark.parametrize("name", ["my run (copy)", "run#1", "-dash", "a[1]*?'$HOME", "größe-日本", ".hidden"])
def test_a_renamed_run_opens(made, name, capsys):
    """Whatever the folder is called by now: it generates, scores, reports, exports and resumes."""
    try:
        shutil.copytree(made, name)
    except (OSError, ValueError):
        pytest.skip("this file system cannot have the name")
    typed = ["--", name] if name.startswith("-") else [name]
    assert polygan.load(name).generate(2).data.shape == (2, 2)
    out = command("resume", *typed, code=2, capsys=capsys)
    assert shlex.split(out.err.split("`")[1])[:3] == [
        "polygan",
        "resume",
        f"./{name}" if name.startswith("-") else name,
    ]
    if name in ("my run (copy)", "-dash"):  # the commands that only open a run
        command("generate", f"./{name}", "-n", "2", "--out", "made.csv", capsys=capsys)
        command("evaluate", "--samples", "16", *typed, capsys=capsys)
        command("report", *typed, capsys=capsys)
        command("export", "--out", "toy.safetensors", *typed, capsys=capsys)
    command("resume", "--steps", "4", *typed, capsys=capsys)
    assert polygan.load(name).step == 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run of two steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOY.parent))
        set_catalogue(load_catalogue(files=[TOY]))
        run = train(steps=2, runs=str(tmp_path_factory.mktemp("made")), name="made")
        set_catalogue(None)
        return run.folder


def test_the_current_folder_may_be_the_run(monkeypatch):
    run = train(steps=2, name="a")
    monkeypatch.chdir(run.folder)
    assert polygan.resume(".", steps=3, quiet=True).step == 3
    monkeypatch.chdir("checkpoints")
    assert polygan.load("..").step == 3


def test_a_seed_of_63_bits_trains():
    assert train(steps=2, seed=2**63 - 1).step == 2


def test_the_first_checkpoint_comes_after_a_minute_and_changes_nothing(monkeypatch):
    from polygan.training import trainer

    plain = train(name="plain", save_every=8)
    monkeypatch.setattr(trainer, "FIRST_SAVE", 0.0)
    early = train(name="early", save_every=8)
    none = train(name="none", save_every=0)
    assert_same(state(plain), state(early))

    def saved(run):
        return [r["step"] for r in records(run) if r["event"] == "saved"]

    assert (saved(plain), saved(early), saved(none)) == ([8, 16, 20], [1, 8, 16, 20], [20])
    polygan.resume(early.folder, steps=22, quiet=True)
    assert saved(early) == [1, 8, 16, 20, 22]


@pytest.mark.parametrize("where", ["data.json", "environment.json", "log.jsonl", "samples"])
def test_a_full_disk_is_one_line_wherever_it_comes(where, monkeypatch, capsys):
    from polygan.record import log, recorder
    from polygan.runs import folder

    def full(path, *rest, **more):
        if path.name == where or (where == "samples" and "samples" in path.parts):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, *rest, **more)

    module, name = {"log.jsonl": (log, "append_line"), "samples": (recorder, "save_pieces")}.get(
        where, (folder, "write_text")
    )
    real = getattr(module, name)
    words = ("train", "points/mlp", "--data", "ring", "--steps", "4", "--precision", "fp32", "--name", "a")
    with monkeypatch.context() as patch:
        patch.setattr(module, name, full)
        out = command(*words, code=1, capsys=capsys)
    (line,) = [x for x in out.err.splitlines() if x.startswith("polygan: C")]
    assert "run runs/a cannot be written (No space left on device)" in line
    assert line.endswith("free some space, then `polygan resume runs/a`")
    command("resume", "runs/a", capsys=capsys)
    assert polygan.load("runs/a").step == 4
