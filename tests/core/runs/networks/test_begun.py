"""What a run began with, as scores see it: the networks of the seed with the tensors of ``init_from``, or a line and none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sorted_gan
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import polygan
from polygan.plugins import load_catalogue, set_catalogue
from polygan.training.trainer import Trainer

SORTED = Path(__file__).parents[3] / "sorted_gan.py"


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Tensors that trainings began with, by turns; tensors that evaluations take for these."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(SORTED.parent))
    set_catalogue(load_catalogue(files=[SORTED.with_name("toy_gan.py"), SORTED]))
    found = {"begun": [], "evaluated": []}
    fit, spread = Trainer.fit, sorted_gan.toy_gan.spread

    def fitted(trainer):
        found["begun"].append(tensors(trainer.networks()))
        fit(trainer)

    def scored(evaluation):
        begun = None if evaluation.start is None else evaluation.start()
        found["evaluated"].append((begun and tensors(begun), evaluation.started_from))
        return spread(evaluation)

    monkeypatch.setattr(Trainer, "fit", fitted)
    monkeypatch.setattr(sorted_gan.toy_gan, "spread", scored)
    yield found
    set_catalogue(None)


def tensors(networks):
    return {f"{n}.{k}": t.clone() for n, module in networks.items() for k, t in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def train(name, classes="a,b,c", **options):
    settings = {"steps": 2, "batch_size": 4, "precision": "fp32", "hang_timeout": 0, "sample_every": 0, "seed": 3}
    settings |= {"metrics": ["points/spread"], "model": {"learning_rate": 0.01}}
    data = {"source": "sorted", "names": classes, "size": 2}
    return polygan.train("points/sorted", data, name=name, quiet=True, **{**settings, **options})


def evaluated(run, seen):
    """What an evaluation of a run of before takes for its start."""
    polygan.load(run).evaluate(quiet=True)
    return seen["evaluated"][-1][0]


@pytest.mark.parametrize(
    ("how", "classes"),
    [
        ("new", "a,b,c"),
        ("run", "a,b,c"),
        ("checkpoint", "v,w,x,y"),
        ("export", "a,b,c"),
        ("export", "c,b,d"),
    ],
)
def test_scores_see_what_training_began_with(how, classes, seen):
    source = train("source", seed=1)
    start = {"run": source.folder, "export": source.export("model")[0], "new": ""}.get(how)
    start = str(next(source.folder.glob("checkpoints/step-*")) if start is None else start)
    run = train("on", classes, init_from=start, evaluate_every=1)
    begun = seen["begun"][-1]
    assert not same(tensors(run.networks), begun)
    if start and classes == "a,b,c":
        assert same(begun, tensors(source.networks))
    assert len(seen["evaluated"]) == 2  # during training
    assert all(same(begun, found) and name == start for found, name in seen["evaluated"])
    assert same(evaluated(run.folder, seen), begun)
    polygan.resume(run.folder, steps=3, quiet=True)
    assert same(evaluated(run.folder, seen), begun)


def test_the_generators_of_the_caller_do_not_advance(seen):
    run = train("on")
    state = torch.get_rng_state()
    evaluated(run.folder, seen)
    assert torch.equal(torch.get_rng_state(), state)


def gone(start, run):
    start.unlink()


def changed(start, run):
    tensors = load_file(start)
    tensors["generator.first.bias"][0] += 1e-6
    with safe_open(start, "pt") as file:
        save_file(tensors, start, file.metadata())


def without_a_checksum(start, run):
    log = run / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(f"{json.dumps({k: v for k, v in line.items() if k != 'start'})}\n" for line in lines))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (gone, "model.safetensors does not exist; name a run"),
        (changed, "init_from = model.safetensors holds other weights than those that the run began with; restore"),
        (without_a_checksum, "its log has no checksum of init_from = model.safetensors"),
    ],
)
def test_what_is_no_longer_known_is_one_line_and_no_start(harm, said, seen, capsys):
    start = train("source", seed=1).export("model")[0]
    run = train("on", init_from="model.safetensors").folder
    assert evaluated(run, seen) is not None
    capsys.readouterr()
    harm(start, run)
    assert evaluated(run, seen) is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"polygan: no score compares with what run {run} began with: {said}")


def test_a_start_that_trained_on_is_another_one(seen, capsys):
    source = train("source", seed=1).folder
    run = train("on", init_from=str(source)).folder
    assert evaluated(run, seen) is not None
    polygan.resume(source, steps=4, quiet=True)
    assert evaluated(run, seen) is None
    assert "holds other weights" in capsys.readouterr().err
    named = Path(run, "config.yaml")
    checkpoint = source / "checkpoints" / "step-00000002"
    named.write_text(named.read_text().replace(f"init_from: {source}", f"init_from: {checkpoint}"))
    assert evaluated(run, seen) is not None


def test_an_exported_model_does_not_tell_what_its_run_began_with(seen):
    model = train("source").export("model")[0]
    polygan.load(model).evaluate(data="sorted", quiet=True)
    assert seen["evaluated"][-1] == (None, "")
