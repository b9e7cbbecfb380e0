"""Two networks from a script are trained as a run, which is loaded and resumed with the networks handed in again."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from toy_runs import assert_same, records, state

import polygan
from polygan.plugins import load_catalogue, set_catalogue
from polygan.runs.handed.networks import NetworksConfig

QUICK = {"steps": 4, "batch_size": 8, "precision": "fp32", "hang_timeout": 0, "quiet": True, "latent_dim": 3}


@pytest.fixture(autouse=True)
def _no_plugins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(allow=[]))
    yield
    set_catalogue(None)


def pair(seed=0, classes=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 2), nn.Linear(2, 1)


def points(n=40):
    return torch.rand(n, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Conditional(nn.Module):
    """A layer with a bias for each class."""

    def __init__(self, size, out):
        super().__init__()
        self.layer, self.bias = nn.Linear(size, out), nn.Embedding(2, out)

    def forward(self, x, label):
        return self.layer(x) + self.bias(label)


def test_a_run_of_two_networks_is_loaded_and_scored_with_the_networks_again():
    g, d = pair()
    before = copy.deepcopy(g.state_dict())
    run = polygan.train((g, d), points(), loss="hinge", **QUICK)
    assert_same(before, g.state_dict())  # the script's own networks stay as they are
    assert run.settings.recipe == "tensor/networks"
    assert records(run)[-1]["status"] == "finished"
    again = polygan.load(run.folder, networks=pair(seed=5))
    assert torch.equal(again.generate(5).data, run.generate(5).data)
    (score,) = again.evaluate(quiet=True)
    assert score.name == "tensor/sliced_wasserstein"
    assert score.floor is not None
    assert [s.value for s in run.evaluate(quiet=True)] == [score.value]
    assert (run.folder / "report.html").exists()


def test_a_resumed_run_of_two_networks_is_equal_to_the_bit():
    whole = polygan.train(pair(), points(), **QUICK)
    parts = polygan.train(pair(), points(), **{**QUICK, "steps": 2})
    parts = polygan.resume(parts.folder, steps=4, networks=pair(seed=9), quiet=True)
    assert parts.step == 4
    assert_same(state(whole), state(parts))


def test_a_missing_network_is_an_error_that_says_what_to_type():
    run = polygan.train(pair(), points(), **QUICK)
    for what in (lambda: polygan.load(run.folder), lambda: polygan.resume(run.folder, steps=9)):
        with pytest.raises(polygan.ConfigError, match=r"hand over both again.* networks=\(generator, discriminator\)"):
            what()


def test_an_exported_generator_is_loaded_with_the_networks(tmp_path):
    run = polygan.train(pair(), points(), **QUICK)
    run.export(tmp_path / "model.safetensors")
    again = polygan.load(tmp_path / "model.safetensors", networks=pair(seed=5))
    assert torch.equal(again.generate(5).data, run.generate(5).data)
    with pytest.raises(polygan.ConfigError, match="hand over both again"):
        polygan.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize("loss", ["non-saturating", "saturating", "least-squares", "wasserstein", "relativistic"])
def test_every_loss_trains_both_networks(loss):
    run = polygan.train(pair(), points(), loss=loss, ema_half_life=0, **QUICK)
    g, d = pair()
    for name, fresh in (("generator", g), ("discriminator", d)):
        assert not torch.equal(run.networks[name].weight, fresh.weight), name
    assert any("d/penalty" in r.get("values", {}) for r in records(run)) == (loss == "wasserstein")


def test_the_wasserstein_loss_has_a_penalty_unless_weights_are_clipped():
    assert NetworksConfig(loss="wasserstein").penalty == 10
    assert NetworksConfig(loss="wasserstein", weight_clip=0.01).penalty == 0
    assert NetworksConfig(loss="wasserstein", gradient_penalty=0).penalty == 0
    assert NetworksConfig().penalty == 0


def test_rates_and_betas_reach_the_optimizers():
    kind = polygan.runs.handed.networks.networks_recipe(pair(), "tensor")
    config = NetworksConfig(learning_rate=1e-3, discriminator_learning_rate=4e-3, betas=(0.0, 0.9))
    recipe = kind(config, {})
    players = recipe.players(recipe.networks(), polygan.TrainerSettings())
    rates = {name: player.optimizer.defaults["lr"] for name, player in players.items()}
    assert rates == {"generator": 1e-3, "discriminator": 4e-3}
    assert players["generator"].optimizer.defaults["betas"] == (0.0, 0.9)


def test_functions_make_networks_from_the_seed():
    made = [polygan.train((lambda: nn.Linear(3, 2), lambda: nn.Linear(2, 1)), points(), **QUICK) for _ in range(2)]
    assert_same(state(made[0]), state(made[1]))


def test_networks_with_classes_are_called_with_labels():
    networks = Conditional(3, 2), Conditional(2, 1)
    labels = ["cat", "dog"] * 20
    run = polygan.train(networks, (points(), labels), conditional=True, **QUICK)
    made = run.generate(4, label="dog")
    assert made.class_names() == ["dog"] * 4
    assert not torch.equal(made.data, run.generate(4, label="cat").data)
    with pytest.raises(polygan.ConfigError, match="conditional = True needs labelled data"):
        polygan.train(networks, points(), conditional=True, **QUICK)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ((nn.Linear(3, 5), nn.Linear(2, 1)), r"the generator makes \(8, 5\) for a batch of \(8, 2\)"),
        ((nn.Linear(4, 2), nn.Linear(2, 1)), r"the generator does not take \(8, 3\).*: set latent_dim"),
        ((nn.Linear(3, 2), nn.Linear(2, 3)), r"the discriminator gives \(8, 3\) for 8 samples"),
        ((nn.Linear(3, 2), lambda: 5), "the discriminator is int, not a torch.nn.Module"),
        ((nn.Linear(3, 2),), r"networks are \(generator, discriminator\)"),
    ],
)
def test_networks_that_do_not_fit_are_named(networks, message):
    with pytest.raises(polygan.ConfigError, match=message):
        polygan.train(networks, points(), **QUICK)


def test_a_latent_of_several_dimensions():
    networks = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), nn.Linear(2, 1)
    run = polygan.train(networks, points(), **{**QUICK, "latent_dim": (3, 1, 1)})
    assert run.generate(2).data.shape == (2, 2)
