"""StyleGAN2: its configuration, its turns and the real trainer."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from small_stylegan import awake, recipe

from polygan import ConfigError, DataError, Noise, TrainerSettings, make_samples, testing
from polygan.training.checkpoint import Checkpoints
from polygan.training.trainer import Trainer
from polygan_image import latent
from polygan_image.networks.stylegan import Generator
from polygan_image.stylegan import Config, path_lengths


def batch(n=8, channels=3, side=32, seed=0):
    image = torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return {"image": image, "label": torch.arange(n) % 3}


class Batches:
    def batch(self, i):
        return batch(seed=i)


def trainer(made, steps=10, streams=None, **options):
    settings = TrainerSettings(steps=steps, batch_size=8, precision="fp32", hang_timeout=0)
    return Trainer(made, {"train": streams or Batches()}, settings, **options)


# Configuration


@pytest.mark.parametrize(
    "options",
    [{"latent_dim": 0}, {"mapping_layers": 0}, {"channel_base": 0}, {"channel_max": 0}, {"group": 0}, {"mixing": 1.1},
     {"gamma": -1.0}, {"r1_every": 0}, {"path_weight": float("nan")}, {"path_every": 0}, {"path_decay": 0.0},
     {"learning_rate": 0.0}, {"beta1": 1.0}, {"beta2": -0.1}, {"ema_half_life": -1.0}, {"augment": "adda"},
     {"augment_target": 1.0}, {"augment_horizon": 0.0}, {"augment_limit": 1.5}],
    ids=str,
)  # fmt: skip
def test_bad_settings_are_one_clear_line(options):
    with pytest.raises(ConfigError, match=f"model.{next(iter(options))} = ") as error:
        Config(**options)
    assert "\n" not in str(error.value)


def test_gamma_and_the_average_follow_the_published_rules():
    made = recipe(side=64)
    training = TrainerSettings(batch_size=16)
    assert made.gamma(training) == pytest.approx(0.0002 * 64**2 / 16)
    assert any("gamma = 0.0512, by the rule" in note for note in made.notes(training))
    assert made.players(made.networks(), training)["generator"].ema_half_life == 5000
    made = recipe(side=64, gamma=2.0)
    assert made.gamma(training) == 2
    assert any("gamma = 2;" in note for note in made.notes(training))


def test_adam_is_corrected_for_lazy_penalties():
    made = recipe(path_weight=2.0, path_every=4, r1_every=16)
    players = {r: r.players(r.networks(), TrainerSettings()) for r in (made, recipe())}
    groups = {n: p.optimizer.param_groups[0] for n, p in players.pop(made).items()}
    for name, ratio in (("generator", 4 / 5), ("discriminator", 16 / 17)):
        assert groups[name]["lr"] == pytest.approx(2.5e-3 * ratio)
        assert groups[name]["betas"] == pytest.approx((0.0, 0.99**ratio))
        assert all(type(b) is float for b in groups[name]["betas"])  # integers crash fused optimizers
    (plain_ones,) = players.values()
    assert plain_ones["generator"].optimizer.param_groups[0]["lr"] == 2.5e-3


# The method


def test_whole_iterations_play_on_the_meta_device():
    testing.check_devices(recipe(augment="ada", path_weight=2.0), batch(), accumulate=2)


def test_diffaugment_plays_on_the_meta_device():
    made = recipe(augment="diffaugment")
    context = trainer(made, device="meta").context
    assert made._augment(context, batch()["image"].to("meta")).shape == (8, 3, 32, 32)


def test_r1_against_finite_differences():
    """The input gradient by moving pixels one by one, and the penalty as the formula makes it of that gradient."""
    made = recipe(augment="none", gamma=3.0, r1_every=4)
    t = trainer(made)
    d = awake(t.actors["discriminator"].module.double())
    data = {k: v.double() if v.is_floating_point() else v for k, v in batch(4).items()}
    x = data["image"].clone().requires_grad_()
    (slopes,) = torch.autograd.grad(d(x, data["label"]).sum(), x)
    pixels = torch.randperm(x.numel(), generator=torch.Generator().manual_seed(0))[:20]
    with torch.no_grad():
        for k in pixels.tolist():
            sides = [data["image"].clone() for _ in range(2)]
            for side, sign in zip(sides, (1, -1), strict=True):
                side.view(-1)[k] += sign * 1e-6
            slope = (d(sides[0], data["label"]).sum() - d(sides[1], data["label"]).sum()) / 2e-6
            assert slope.item() == pytest.approx(slopes.flatten()[k].item(), rel=1e-5, abs=1e-7)
    t.context.turn = "r1"
    penalty = made.r1(t.context, data)["penalty"].item()
    assert penalty == pytest.approx(3.0 * 4 / 2 * slopes.square().sum((1, 2, 3)).mean().item(), rel=1e-9)


def test_the_gradient_of_r1_against_finite_differences():
    torch.manual_seed(0)
    made = recipe(augment="ada", gamma=1.0)
    t = trainer(made)
    actor = t.actors["discriminator"]
    actor.module.double()
    awake(actor.module)
    t.actors["augmentation"].module.p.fill_(0.7)
    data = {k: v.double() if v.is_floating_point() else v for k, v in batch(4).items()}
    t.context.turn = "r1"

    def penalty():
        t.context.noise.reset(5)
        return made.r1(t.context, data)["penalty"]

    parameter = actor.module.blocks[1].second.weight
    parameter.requires_grad_(True)
    (analytic,) = torch.autograd.grad(penalty(), parameter)
    where = (1, 2, 0, 1)
    values = []
    for step in (1e-4, -1e-4):
        with torch.no_grad():
            parameter[where] += step
        values.append(penalty().item())
        with torch.no_grad():
            parameter[where] -= step
    assert analytic[where].item() == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-2)
    assert analytic[where].abs() > 0


def test_path_lengths_against_finite_differences():
    """J^T y by moving each number of a style, and the penalty's gradient by moving a weight."""
    torch.manual_seed(0)
    g = awake(Generator(1, 32, latent_dim=5, channel_base=64, channel_max=4)).double()
    styles = g.styles(torch.randn(2, 5).double()).detach().clone().requires_grad_()
    noise = [torch.randn(1, 1, s, s).double() for s in g.noise_sizes]
    y = torch.randn(2, 1, 32, 32).double()
    lengths = path_lengths(g.synthesise(styles, noise), styles, lambda *shape: y)
    step, squares = 1e-6, torch.zeros(2, g.style_count).double()
    with torch.no_grad():
        for layer in range(g.style_count):
            for k in range(5):
                outs = []
                for sign in (1, -1):
                    moved = styles.clone()
                    moved[:, layer, k] += sign * step
                    outs.append((g.synthesise(moved, noise) * y / 32).sum((1, 2, 3)))
                squares[:, layer] += ((outs[0] - outs[1]) / (2 * step)).square()
    torch.testing.assert_close(lengths, squares.mean(1).sqrt(), rtol=1e-6, atol=0)
    weight = g.layers[2].conv.weight
    (analytic,) = torch.autograd.grad((lengths - 0.3).square().mean(), weight)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[1, 1, 0, 2] += sign * 1e-5
        values.append((path_lengths(g.synthesise(styles, noise), styles, lambda *s: y) - 0.3).square().mean().item())
        with torch.no_grad():
            weight[1, 1, 0, 2] -= sign * 1e-5
    assert analytic[1, 1, 0, 2].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def test_the_path_penalty_pulls_towards_its_running_mean():
    made = recipe(path_weight=2.0, path_every=3, path_decay=0.25, augment="none")
    t = trainer(made)
    g = t.actors["generator"].module
    g.path_mean.fill_(0.5)
    t._hand_over(next(turn for turn in t.turns if turn.players == ("generator",)))
    t.context.turn = "path"
    penalty = made.path_length(t.context, batch())["penalty"].item()
    (_, mean), t.context.observations = t.context.observations[-1], []
    length = (mean.item() - 0.75 * 0.5) / 0.25  # the mean over half the batch
    assert g.path_mean.item() == mean.item()
    assert penalty >= 6 * (length - 0.5) ** 2  # Jensen: the mean of squares
    assert penalty < 6 * ((length - 0.5) ** 2 + length**2)


def test_only_the_trained_network_learns_in_each_turn():
    made = recipe(path_weight=2.0, path_every=2, r1_every=2, augment="ada")
    t = trainer(made)
    trained = {turn.name: turn.players for turn in t.turns}
    assert trained == {
        "d": ("discriminator",), "r1": ("discriminator",), "g": ("generator",), "path": ("generator",), "ada": (),
    }  # fmt: skip
    for index, turn in enumerate(t.turns):
        before = {n: [p.clone() for p in a.module.parameters()] for n, a in t.actors.items()}
        t.play(turn, index, 0, [{}])
        for name, actor in t.actors.items():
            changed = any(not torch.equal(a, b) for a, b in zip(before[name], actor.module.parameters(), strict=True))
            assert changed == (name in turn.players), (turn.name, name)


def test_resume_is_the_same_to_the_bit_with_its_probability_and_path_mean(tmp_path):
    options = {"augment": "ada", "augment_horizon": 200.0, "augment_target": 0.01, "path_weight": 2.0}
    whole = trainer(recipe(**options), 10)
    whole.fit()
    checkpoints = Checkpoints(tmp_path)
    trainer(recipe(**options), 5, checkpoints=checkpoints).fit()
    resumed = trainer(recipe(**options), 10, checkpoints=checkpoints)
    resumed.restore(checkpoints.load())
    resumed.fit()
    for name, network in whole.networks(averaged=False).items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, resumed.networks(averaged=False)[name].state_dict()[key]), f"{name}.{key}"
    state = whole.networks(averaged=False)
    assert 0 < state["augmentation"].p < 1
    assert state["generator"].path_mean > 0


@pytest.mark.slow
def test_traced_networks_train_as_eager_ones_do(monkeypatch):
    """Without a compiler's kernels: that buffers move and fakes wait for their turn in a traced graph as well."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module: compile_(module, backend="aot_eager"))
    states = []
    for traced in (False, True):
        settings = TrainerSettings(steps=3, batch_size=8, precision="fp32", hang_timeout=0, compile=traced)
        t = Trainer(recipe(path_weight=2.0, learning_rate=1e-4), {"train": Batches()}, settings)
        t.fit()
        states.append({f"{n}.{k}": v for n, m in t.networks().items() for k, v in m.state_dict().items()})
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, atol=1e-5, rtol=1e-4, msg=name)


def test_noise_of_the_protocol_reaches_every_layer():
    t = trainer(recipe())
    inputs = t.recipe._inputs(t.context, 8)
    assert [tuple(n.shape) for n in inputs["noise"]] == [(8, 1, s, s) for s in (4, 8, 8, 16, 16, 32, 32)]
    t.context.noise = Noise().reset(1)
    many = t.recipe._inputs(t.context, 4000)["crossover"]
    assert (many == 8).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert set(many.tolist()) == set(range(1, 9))


def test_without_noise_there_is_none(tmp_path):
    t = trainer(recipe(noise=False), 2)
    assert t.recipe._inputs(t.context, 8)["noise"] == []
    t.fit()
    g = t.networks()["generator"]
    assert not [name for name in g.state_dict() if "strength" in name]
    assert make_samples(t.recipe, t.networks(), 4).data.shape == (4, 3, 32, 32)
    Image.new("L", (40, 50)).save(tmp_path / "target.png")
    assert latent.read_target(g, str(tmp_path / "target.png"), {}).shape == (1, 3, 32, 32)


def test_a_picture_to_project_is_fitted_as_the_data_was(tmp_path):
    g = recipe().networks()["generator"]
    Image.new("RGBA", (40, 80), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    path = str(tmp_path / "clear.png")
    assert latent.read_target(g, path, {})[0, :, 16, 16].tolist() == [1, 1, 1]  # white, as data without a background
    red = latent.read_target(g, path, {"fit": "pad", "background": "#ff0000"})
    assert red[0].flatten(1).unique(dim=1).flatten().tolist() == [1, -1, -1]


def test_small_micro_batches_are_said():
    made = recipe()
    for accumulate, said in ((1, False), (8, True)):
        notes = made.notes(TrainerSettings(batch_size=8, accumulate=accumulate))
        assert any("no group of 2 to 4 fits micro-batches of 1 " in note for note in notes) is said


def test_a_picture_to_project_keeps_deep_values(tmp_path):
    g = recipe().networks()["generator"]
    np.save(tmp_path / "target.npy", np.full((32, 32, 3), 1000, np.uint16))
    facts = {"dtype": "uint16", "window": [0, 4000]}
    found = latent.read_target(g, str(tmp_path / "target.npy"), facts)
    assert found.unique().tolist() == [-0.5]
    np.save(tmp_path / "target.npy", np.zeros((32, 32, 3), np.float32))
    with pytest.raises(DataError, match=r"target\.npy: has fractions"):
        latent.read_target(g, str(tmp_path / "target.npy"), facts)
