"""Runs in this process: the folder, the Python API and the command line's verbs."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import polygan
from polygan.cli import command_line as cli
from polygan.plugins import get_catalogue, load_catalogue, set_catalogue
from polygan.runs.folder import locked

TOY = Path(__file__).parents[2] / "toy_gan.py"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=[TOY]))
    yield
    set_catalogue(None)


def command(*words, code=0, capsys=None):
    with pytest.raises(SystemExit) as end:
        cli.main(["--plugin", str(TOY), *map(str, words)])
    out = capsys.readouterr() if capsys else None
    assert (end.value.code or 0) == code, out
    return out


def train(**kw):
    return polygan.train("points/mlp", "ring", **{"quiet": True, "precision": "fp32", "hang_timeout": 0, **kw})


def records(run):
    return [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]


def state(run):
    return {f"{n}.{k}": v.clone() for n, m in run.networks.items() for k, v in m.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for k in a:
        assert torch.equal(a[k], b[k]), k


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


def test_scores_stand_next_to_their_floor_and_pick_the_best_checkpoint():
    run = train(evaluate_every=5, steps=30, keep=1)
    scores = [r for r in records(run) if r["event"] == "evaluated"]
    assert len(scores) == 6
    assert scores[0]["scores"][0]["name"] == "points/spread"
    assert scores[0]["scores"][0]["floor"] < 0.1
    best = min((r["scores"][0]["value"], r["step"]) for r in scores)[1]
    assert {int(p.name[5:]) for p in (run.folder / "checkpoints").iterdir()} == {best, 30}
    (score,) = polygan.load(run.folder).evaluate(samples=100, quiet=True)
    assert score.value < 3


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


def test_a_failing_run_is_recorded_as_failed():
    with pytest.raises(polygan.DivergenceError):
        train(name="nan", steps=100, max_skips=2, max_rollbacks=1, model={"poison_at": 12})
    lines = [json.loads(line) for line in Path("runs/nan/log.jsonl").read_text().splitlines()]
    assert lines[-1]["status"] == "failed"
    assert [r["event"] for r in lines].count("diverged") == 2
    page = Path("runs/nan/report.html").read_text()
    assert "Diverged" in page


# Hooks


def test_listeners_hear_the_whole_run(tmp_path):
    heard = tmp_path / "ears.py"
    heard.write_text(
        "import polygan\nheard = []\n"
        + "".join(
            f"@polygan.hookimpl\ndef polygan_{name}(event{args}):\n    heard.append(('{name}', event.step))\n"
            for name, args in [
                ("run_started", ""),
                ("logged", ", values"),
                ("sampled", ", pieces"),
                ("evaluated", ", scores"),
                ("saved", ", checkpoint"),
                ("run_ended", ", status"),
            ]
        )
    )
    set_catalogue(load_catalogue(files=[TOY, heard]))
    train(steps=10, evaluate_every=10)
    assert sys.modules["ears"].heard == [
        ("run_started", 0), ("logged", 5), ("saved", 5), ("logged", 10), ("sampled", 10), ("evaluated", 10), ("saved", 10),
        ("run_ended", 10),
    ]  # fmt: skip


def test_a_listener_that_raises_does_not_stop_the_run(tmp_path, capsys):
    bad = tmp_path / "bad_ears.py"
    bad.write_text("import polygan\n@polygan.hookimpl\ndef polygan_logged(event, values):\n    raise OSError('full')\n")
    set_catalogue(load_catalogue(files=[TOY, bad]))
    assert train(steps=10).step == 10
    err = capsys.readouterr().err
    assert err.count("polygan_logged raised") == 2  # the first time, and the count of the others at the end
    assert "bad_ears" in err


# The command line


def test_verbs(capsys, tmp_path):
    out = command(
        "train", "points/mlp", "--data", "ring", "--steps", "6", "--model.width", "8", "--name", "a", capsys=capsys
    )
    assert "report: runs/a/report.html" in out.out
    assert "step 5/6" in out.err
    out = command("generate", "runs/a", "-n", "5", "--seed", "1", "--out", "five.csv", "--scale", "0.5", capsys=capsys)
    assert "5 samples: five.csv" in out.out
    assert np.loadtxt("five.csv", delimiter=",").shape == (5, 2)
    out = command("evaluate", "runs/a", "--samples", "64", "--json", capsys=capsys)
    assert json.loads(out.out)[0]["name"] == "points/spread"
    out = command("report", "runs/a", capsys=capsys)
    assert Path(out.out.strip()).exists()
    out = command("resume", "runs/a", "--steps", "9", capsys=capsys)
    assert polygan.load("runs/a").step == 9
    out = command("export", "runs/a", "--out", "toy.safetensors", capsys=capsys)
    assert Path("toy.safetensors").exists()
    out = command("list", "--json", capsys=capsys)
    assert "points/mlp" in {r["id"] for r in json.loads(out.out)}
    assert "points/mlp" in command("list", capsys=capsys).out
    assert "toy_gan" in command("plugins", capsys=capsys).out


def test_dry_run_prints_what_would_be_trained_and_trains_nothing(capsys):
    out = command("train", "points/mlp", "--data", "ring", "--model.loss", "hinge", "--dry-run", capsys=capsys)
    assert yaml.safe_load(out.out)["model"]["loss"] == "hinge"
    assert not Path("runs").exists()
    Path("s.yaml").write_text(out.out)
    again = command("train", "--config", "s.yaml", "--dry-run", capsys=capsys)
    assert again.out == out.out


@pytest.mark.parametrize(
    ("words", "recipe", "width"),
    [
        ("--config s.yaml --model.width 5", "points/mlp", 5),
        ("points/mlp --model.width 5 --data ring", "points/mlp", 5),
        ("--dry-run points/mlp --data ring --model.width=5", "points/mlp", 5),
        ("--config s.yaml points/mlp --data=ring", "points/mlp", 7),
        ("--config s.yaml", "points/mlp", 7),
    ],
)
def test_a_value_of_an_option_is_not_taken_for_the_recipe(words, recipe, width, capsys):
    Path("s.yaml").write_text("recipe: points/mlp\ndata: {source: ring}\nmodel: {width: 7}\n")
    out = command("train", *words.split(), *([] if "--dry-run" in words else ["--dry-run"]), capsys=capsys)
    settings = yaml.safe_load(out.out)
    assert (settings["recipe"], settings["model"]["width"]) == (recipe, width)


def test_options_are_parsed_once_and_the_settings_file_is_read_once(monkeypatch, capsys):
    from polygan.settings import parser

    Path("s.yaml").write_text("recipe: points/mlp\ndata: {source: ring}\nsteps: 1\n")
    read, parsed = [], []
    load, parse = parser.yaml.safe_load, parser.SettingsParser.parse
    monkeypatch.setattr(parser.yaml, "safe_load", lambda text: read.append(text) or load(text))
    monkeypatch.setattr(parser.SettingsParser, "parse", lambda *a: parsed.append(a) or parse(*a))
    command("train", "--config", "s.yaml", "--name", "once", capsys=capsys)
    assert (len([text for text in read if "data: {source" in str(text)]), len(parsed)) == (1, 1)
    assert polygan.load("runs/once").step == 1


def test_help(capsys):
    assert "image/dcgan" in command("--help", capsys=capsys).out
    assert "RECIPE" in command("train", "--help", capsys=capsys).out
    first = command("train", "points/mlp", "--help", capsys=capsys).out
    assert "--model.width INT" in first
    assert "--hang_timeout" not in first
    everything = command("train", "points/mlp", "--help", "all", capsys=capsys).out
    assert "--hang_timeout NUMBER" in everything
    assert max(map(len, first.splitlines())) <= 110
    assert "--samples" in command("evaluate", "--help", capsys=capsys).out
    assert "options of the run" in command("generate", "--help", capsys=capsys).out
    assert "[RECIPE] [options]" in command("train", "-h", capsys=capsys).out
    train(name="h", steps=1)
    assert "--scale" in command("generate", "runs/h", "--help", capsys=capsys).out
    for words, message in (
        (
            ("--scal", "3"),
            "unknown option --scal of polygan generate with points/mlp (did you mean --scale?); the recipe has",
        ),
        (("--sed", "3"), "did you mean --seed"),
        (("3",), "unexpected '3'"),
        (("--scale",), "--scale needs a value"),
        (("--scale", "big"), "scale = big is not of the right type; it takes float"),
    ):
        assert message in command("generate", "runs/h", *words, code=2, capsys=capsys).err
    assert "which run?" in command("generate", code=2, capsys=capsys).err
    assert polygan.__version__ in command("--version", capsys=capsys).out


def test_a_recipe_names_the_options_that_its_help_shows_first(monkeypatch, capsys):
    kind = get_catalogue().resolve(get_catalogue().recipe("points/mlp"))
    monkeypatch.setattr(kind, "first_options", ("r1", "loss"), raising=False)
    shown = command("train", "points/mlp", "--help", capsys=capsys).out
    assert [w for w in shown.split() if w.startswith("--model.")] == ["--model.r1", "--model.loss"]
    assert "--steps INT" in shown
    assert "default: 20)" in shown  # the recipe's own default


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["tran"], "unknown command 'tran' (did you mean 'train'?)", 2),
        (["train"], "which recipe?", 2),
        (["train", "--model.width", "5", "points/mlp"], "which recipe? It comes first", 2),
        (["train", "--config", "s.yaml", "--model.width", "5", "points/mlp"], "s.yaml", 2),
        (["train", "points/mlp", "--out", "x"], "unknown option --out of polygan train points/mlp (did you mean --runs?)", 2),
        (["train", "points/mlp", "ring"], "unexpected 'ring'", 2),
        (["train", "points/mlp", "--data"], "--data needs a value", 2),
        (["train", "points/mpl"], "did you mean 'points/mlp'", 2),
        (["train", "points/mlp"], "no data", 1),
        (["train", "points/mlp", "--data", "rign"], "did you mean 'ring'", 1),
        (["train", "points/mlp", "--data", "nowhere/at/all"], "neither a path that exists", 1),
        (["train", "points/mlp", "--data", "ring", "--step", "3"], "did you mean --steps", 2),
        (["train", "points/mlp", "--data", "ring", "--metrics", "points/spraed"], "did you mean 'points/spread'", 2),
        (["train", "points/mlp", "--data", "ring", "--batch_size", "4096"], "4096", 1),
        (["train", "points/mlp", "--data", "ring", "--batch_size", "0"], "batch_size = 0 is too small", 2),
        (["train", "points/mlp", "--data", "ring", "--name", "../up"], "is not a folder name", 2),
        (["train", "points/mlp", "--data", "ring", "--device", "cuda:99"], "cuda:99 is absent", 2),
        (["train", "points/mlp", "--data", "ring", "--accumulate", "5"], "multiple of 5", 2),
        (["train", "points/mlp", "--data", "ring", "--data.cache", "/proc/nope"], "/proc/nope", 1),
        (["train", "points/mlp", "--data", "ring", "--runs", "/proc/nope"], "/proc/nope", 2),
        (["train", "--config", "missing.yaml"], "missing.yaml", 2),
        (["evaluate", "runs/none"], "is not a run", 2),
        (["evaluate", "runs/none", "--metric", "x"], "--metric", 2),
        (["report", "."], "is not a run", 2),
        (["report"], "which run? `polygan report RUN [options]`", 2),
        (["report", "a", "b"], "unexpected 'b'", 2),
        (["export", "runs/a"], "--out is missing: `polygan export RUN --out FILE [options]`", 2),
        (["generate", "--scale", "2", "runs/a"], "which run? `polygan generate RUN [options]`; RUN comes first", 2),
        (["resume", "runs/a", "--steps", "--device", "cpu"], "--steps needs a value", 2),
        (["--jsn", "list"], "the command comes first", 2),
        (["--plugin"], "--plugin needs a value", 2),
        (["list", "--jsn"], "did you mean --json", 2),
        (["--no-plugin", "imagee", "list"], "imagee", 2),
        (["--plugin", "nowhere.py", "list"], "nowhere.py", 1),
        (["generate", "runs/none", "-n", "many"], "-n = 'many' is not of the right type; it takes int", 2),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(words, message, code, capsys):
    out = command(*words, code=code, capsys=capsys)
    assert message in out.err
    assert "Traceback" not in out.err
    assert out.err.strip().splitlines()[-1].startswith("polygan: ")


def test_traceback_on_demand(capsys):
    assert "Traceback" in command("train", "points/mlp", "--traceback", code=1, capsys=capsys).err


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
    second = train(steps=10)
    assert second.folder == first.folder
    assert "resumed" in [r["event"] for r in records(second)]
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "other job")
    assert train(steps=5).folder != first.folder


def test_the_environment_is_left_as_it_was():
    before = dict(os.environ)
    train(steps=1)
    assert dict(os.environ) == before


@pytest.mark.parametrize("native", [True, False])
def test_a_precision_that_the_hardware_lacks_is_said(monkeypatch, capsys, native):
    monkeypatch.setattr("polygan.training.device._cpu_multiplies_bf16", lambda: native)
    train(precision="bf16", steps=2, quiet=False)
    assert ("precision = bf16 is emulated on this cpu device" in capsys.readouterr().err) is not native
    train(precision="fp32", steps=2, quiet=False)
    assert "emulated" not in capsys.readouterr().err


def test_data_that_changed_is_named_by_its_fact(tmp_path):
    from polygan.runs.folder import check_data

    def store(count, **info):
        return type("Store", (), {"info": info, "__len__": lambda self: count})()

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


def test_what_a_recipe_settles_by_itself_is_said_and_kept(monkeypatch, capsys):
    kind = get_catalogue().resolve(get_catalogue().recipe("points/mlp"))
    monkeypatch.setattr(kind, "notes", lambda self, training: [f"gamma is {1 / training.batch_size} & so on"])
    run = train(steps=2, batch_size=8, quiet=False)
    note = "gamma is 0.125 & so on"
    assert note in capsys.readouterr().err.splitlines()
    assert next(r for r in records(run) if r["event"] == "started")["notes"] == [note]
    assert note.replace("&", "&amp;") in run.report().read_text()


def test_metrics_are_told_what_to_measure_with(monkeypatch, capsys):
    told = []
    spread = get_catalogue().resolve(get_catalogue().metric("points/spread"))
    monkeypatch.setitem(spread.__globals__, "spread", lambda e: [told.append(e.features), *spread(e)][1:])
    run = train(steps=2, features="network.pt")
    for words, features in ((("--features", "other.pt"), "other.pt"), ((), "network.pt")):
        command("evaluate", run.folder, *words, capsys=capsys)
        assert told.pop() == features
    run.evaluate(features="", quiet=True)
    assert told == [""]


def test_a_metric_that_raises_loses_neither_the_run_nor_the_other_scores(monkeypatch, capsys):
    catalogue = get_catalogue()
    spread = catalogue.resolve(catalogue.metric("points/spread"))

    def careless(evaluation):
        raise KeyError("no such column")

    monkeypatch.setitem(spread.__globals__, "careless", careless)
    target = f"{spread.__module__}:careless"
    monkeypatch.setitem(catalogue.metrics, "points/careless", polygan.MetricSpec("points/careless", target, ""))
    monkeypatch.setitem(catalogue._owners, ("metric", "points/careless"), catalogue.owner("metric", "points/spread"))
    run = train(steps=2, evaluate_every=2, quiet=False)
    said = next(line for line in capsys.readouterr().err.splitlines() if "careless" in line)
    assert "points/careless was left out: plugin 'toy_gan'" in said
    assert "raised KeyError: 'no such column' at " in said
    assert [s["name"] for s in next(r for r in records(run) if r["event"] == "evaluated")["scores"]] == [
        "points/spread"
    ]
    monkeypatch.setattr(catalogue, "strict", True)
    with pytest.raises(polygan.PluginError, match="metric 'points/careless' of plugin 'toy_gan'"):
        run.evaluate()


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


def test_only_the_first_metric_chooses_the_best_checkpoint(monkeypatch):
    catalogue = get_catalogue()
    spread = catalogue.resolve(catalogue.metric("points/spread"))
    calls = []

    def first(evaluation):
        calls.append(None)
        if len(calls) == 2:
            raise MemoryError("for once")
        return [polygan.Score("points/first", 35.0)]

    def second(evaluation):
        return [polygan.Score("points/second", 0.7, better="higher")]

    for name, function in (("first", first), ("second", second)):
        monkeypatch.setitem(spread.__globals__, name, function)
        spec = polygan.MetricSpec(f"points/{name}", f"{spread.__module__}:{name}", "")
        monkeypatch.setitem(catalogue.metrics, spec.id, spec)
        monkeypatch.setitem(catalogue._owners, ("metric", spec.id), catalogue.owner("metric", "points/spread"))
    run = train(steps=3, evaluate_every=1, save_every=1, metrics=("points/first", "points/second"), keep=9)
    found = {e.step: e.score for e in polygan.Checkpoints(run.folder / "checkpoints").entries()}
    assert found == {1: 35.0, 2: None, 3: 35.0}


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


def test_listeners_from_python_hear_what_plugins_hear():
    heard = []

    class Ears(polygan.Listener):
        def logged(self, trainer, values):
            heard.append(("logged", trainer.step))

        def sample(self, trainer):
            heard.append(("sample", trainer.step))

        def saved(self, trainer, path):
            heard.append(("saved", path.name))

    run = train(steps=4, log_every=2, sample_every=2, save_every=4, listeners=[Ears()])
    assert heard == [
        ("logged", 2),
        ("sample", 2),
        ("logged", 4),
        ("sample", 4),
        ("saved", "step-00000004"),
    ]
    polygan.resume(run.folder, steps=5, listeners=[Ears()], quiet=True)
    assert heard[5:] == [("logged", 5), ("sample", 5), ("saved", "step-00000005")]
    assert run.report().exists()  # the run's own record is kept beside
