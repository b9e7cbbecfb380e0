"""StyleGAN2: networks against the plain formulation, its turns, the real trainer, and what it generates."""

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import plain

from polygan import ConfigError, DataError, Noise, TrainerSettings, make_samples, testing
from polygan.training.checkpoint import Checkpoints
from polygan.training.trainer import Trainer
from polygan_image import latent
from polygan_image.domain import ImageDomain
from polygan_image.latent import StyleSampling, project
from polygan_image.networks.stylegan import Discriminator, Generator, check_size
from polygan_image.stylegan import Config, StyleGAN, path_lengths

TINY = {"latent_dim": 12, "channel_base": 128, "channel_max": 12}
CLASSES = ("a", "b", "c")


def recipe(classes=CLASSES, channels=3, side=32, count=90, **options):
    info = {"channels": channels, "height": side, "width": side, "classes": list(classes), "count": count}
    return StyleGAN(Config(**{**TINY, **options}), info)


def batch(n=8, channels=3, side=32, seed=0):
    image = torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return {"image": image, "label": torch.arange(n) % 3}


class Batches:
    def batch(self, i):
        return batch(seed=i)


def trainer(made, steps=10, streams=None, **options):
    settings = TrainerSettings(steps=steps, batch_size=8, precision="fp32", hang_timeout=0)
    return Trainer(made, {"train": streams or Batches()}, settings, **options)


def generator(classes=CLASSES, **options):
    torch.manual_seed(0)
    return recipe(classes, **options).networks()["generator"].eval().requires_grad_(False)


def awake(module):
    """The network with every parameter away from its initial value: strengths of noise and biases are 0 at first."""
    with torch.no_grad():
        for p in module.parameters():
            p += 0.3 * torch.randn_like(p)
    return module


# Networks


@pytest.mark.parametrize(("side", "channels"), [(32, 1), (64, 3), (128, 4), (256, 3)])
def test_shapes_of_every_size(side, channels):
    g = Generator(channels, side, latent_dim=8, channel_base=side, channel_max=4)
    d = Discriminator(channels, side, channel_base=side, channel_max=4)
    noise = [torch.randn(2, 1, s, s) for s in g.noise_sizes]
    image = g(torch.randn(2, 8), noise)
    assert image.shape == (2, channels, side, side)
    assert d(image).shape == (2,)
    assert g.style_count == 2 * side.bit_length() - 4


def test_the_size_that_the_benchmark_names():
    g, d = Generator(3, 64), Discriminator(3, 64)
    assert sum(p.numel() for p in g.parameters()) == pytest.approx(4.5e6, rel=0.05)
    assert sum(p.numel() for p in d.parameters()) == pytest.approx(4.7e6, rel=0.05)


def test_the_networks_are_the_plain_formulation():
    torch.manual_seed(0)
    g = awake(Generator(3, 32, latent_dim=16, channel_base=512, channel_max=24))
    d = awake(Discriminator(3, 32, channel_base=512, channel_max=24))
    styles = g.styles(torch.randn(8, 16))
    noise = [torch.randn(8, 1, s, s) for s in g.noise_sizes]
    image = g.synthesise(styles, noise)
    expected = plain.synthesise(g, styles, noise)
    assert (image - expected).abs().max() < 1e-4 * expected.abs().max()
    logits = plain.discriminate(d, expected)
    assert (d(expected) - logits).abs().max() < 1e-4 * logits.abs().max()


def test_styles_cross_over_where_they_are_told():
    g = generator(())
    z, other = torch.randn(3, 12), torch.randn(3, 12)
    first, second = g.styles(z), g.styles(other)
    crossover = torch.tensor([1, 4, g.style_count])
    styles = g.styles(z, None, other, crossover)
    for i, k in enumerate(crossover.tolist()):
        assert torch.equal(styles[i, :k], first[i, :k])
        assert torch.equal(styles[i, k:], second[i, k:])


def test_the_mean_latent_follows_in_training_only():
    g = generator(())
    z = torch.randn(64, 12)
    g.styles(z)
    assert not g.mean_latent.any()
    g.train().styles(z)
    torch.testing.assert_close(g.mean_latent, g.mapping(z).mean(0) * 0.002, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("width", "height", "best"), [(28, 28, 32), (512, 512, 256), (48, 48, 64), (64, 32, 64), (16, 16, 32), (72, 72, 64)]
)
def test_other_sizes_are_refused_in_one_line(width, height, best):
    with pytest.raises(ConfigError, match=rf"{width}x{height} pixels.*--data.resolution {best}$") as error:
        check_size(height, width)
    assert "\n" not in str(error.value)


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
    t._hand_over(("generator",))
    t.context.turn = "path"
    penalty = made.path_length(t.context, batch())["penalty"].item()
    (_, mean), t.context.observations = t.context.observations[-1], []
    length = (mean.item() - 0.75 * 0.5) / 0.25  # the mean over half the batch
    assert g.path_mean.item() == mean.item()
    assert penalty >= 6 * (length - 0.5) ** 2  # Jensen: the mean of squares
    assert penalty < 6 * ((length - 0.5) ** 2 + length**2)


def test_only_the_acting_network_learns_in_each_turn():
    made = recipe(path_weight=2.0, path_every=2, r1_every=2, augment="ada")
    t = trainer(made)
    acting = {turn.name: turn.players for turn in t.turns}
    assert acting == {
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


# Generation


def generate(n, g=None, classes=(), **options):
    made = recipe(classes)
    g = g or generator(classes)
    return make_samples(made, {"generator": g}, n, 0, StyleSampling(**options), domain=ImageDomain())


def test_a_sample_does_not_depend_on_how_many_are_asked_for():
    made = recipe()
    testing.check_prefix(made, {"generator": awake(generator())}, StyleSampling())


def test_truncation_leads_to_the_mean_picture():
    g = generator(())
    g.mean_latent.copy_(torch.randn(12))
    mean = g.synthesise(g.mean_latent.expand(1, g.style_count, -1), latent.fixed_noise(g)).clamp(-1, 1)
    assert torch.allclose(generate(3, g, truncation=0.0).data, mean.expand(3, -1, -1, -1), atol=1e-5)
    w = torch.randn(4, 12)
    torch.testing.assert_close(latent.truncate(g, w, 0.7), 0.7 * w + 0.3 * g.mean_latent)
    assert not torch.allclose(generate(3, g).data, mean.expand(3, -1, -1, -1), atol=1e-2)


def test_classes_follow_the_data_but_in_a_mixing_grid():
    made, g = recipe(), generator()
    made.info["class_counts"] = [0, 1, 3]
    drawn = make_samples(made, {"generator": g}, 8)
    assert drawn.labels.tolist() == [2, 1, 2, 2, 2, 1, 2, 2]
    mixed = (make_samples(made, {"generator": g}, 4, 0, StyleSampling(mix="coarse")) for made in (made, recipe()))
    assert torch.equal(*(m.data for m in mixed))


@pytest.mark.parametrize(("which", "first", "last"), [("coarse", 0, 3), ("middle", 3, 7), ("fine", 7, 8)])
def test_a_mixing_grid_has_its_sources_on_the_diagonal(which, first, last):
    styles = torch.randn(9, 8, 5)
    grid, k = latent.mixed(styles, which)
    assert k == 3
    for i in range(3):
        for j in range(3):
            cell = grid[3 * i + j]
            assert torch.equal(cell[first:last], styles[i, first:last])
            assert torch.equal(cell[:first], styles[j, :first])
            assert torch.equal(cell[last:], styles[j, last:])
    samples = generate(9, mix=which)
    assert (samples.kind, samples.columns) == ("grid", 3)
    plain_ones = generate(9)
    torch.testing.assert_close(samples.data[[0, 4, 8]], plain_ones.data[:3], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("n", "options", "words"),
    [
        (8, {"mix": "coarse"}, "-n 4 or 9"),
        (5, {"walk": 3}, None),
        (3, {"walk": 3}, "-n 6 or more"),
        (4, {"truncation": 3.0}, "truncation = 3.0"),
        (4, {"walk": 1}, "walk = 1"),
        (4, {"mix": "course"}, "^mix = 'course' is unknown .did you mean 'coarse'"),
        (4, {"mix": "coarse", "walk": 2}, "mix and walk"),
        (4, {"project": "x.png", "grid": True}, "project and grid"),
        (4, {"project_steps": 0}, "project_steps = 0"),
    ],
)
def test_bad_options_are_one_clear_line(n, options, words):
    if words is None:
        assert len(generate(n, **options)) == n
        return
    with pytest.raises(ConfigError, match=words) as error:
        generate(n, **options)
    assert "\n" not in str(error.value)


def test_a_closed_walk_of_even_steps():
    g = awake(generator())
    samples = generate(12, g, CLASSES, walk=4)
    assert samples.kind == "frames"
    assert samples.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    data = samples.data
    steps = [float((data[i] - data[(i + 1) % 12]).abs().mean()) for i in range(12)]
    ends = [float((data[i] - data[(i + 6) % 12]).abs().mean()) for i in range(12)]
    assert max(steps) < 0.8 * max(ends)  # also from the last to the first
    assert generate(5, g, CLASSES, walk=4, label="b").labels.tolist() == [1] * 5


def test_walks_become_animations(tmp_path):
    samples = generate(8, walk=4)
    for name in ("walk.webp", "walk.gif"):
        (path,) = samples.save(tmp_path / name)
        with Image.open(path) as picture:
            assert (picture.n_frames, picture.size, picture.info["loop"]) == (8, (32, 32), 0)
    files = samples.save(tmp_path / "frames")
    assert [f.name for f in files] == [*(f"{i:05d}.png" for i in range(8)), "grid.png", "animation.webp"]
    (path,) = samples.save(tmp_path / "walk.png")
    with Image.open(path) as picture:
        assert picture.size == (3 * 34 - 2, 3 * 34 - 2)
    with pytest.raises(ConfigError, match=r"not written as \.gif"):
        generate(2).save(tmp_path / "two.gif")


def test_projection_finds_a_picture_of_the_generator_again(tmp_path):
    g = generator((), channel_base=256)
    with torch.no_grad():
        g.mean_latent.copy_(g.mapping(torch.randn(500, 12)).mean(0))
        styles = g.mapping(torch.randn(1, 12))[:, None].expand(-1, g.style_count, -1)
        target = g.synthesise(styles, latent.fixed_noise(g)).clamp(-1, 1)
    found = project(g, target, steps=120, shown=4)
    start = (found.way[0] - target[0]).square().mean().sqrt()
    assert found.distance.item() < 0.3 * start
    assert torch.equal(found.way[-1:], found.pictures)
    assert len(found.way) == 4
    again = g.synthesise(found.styles, latent.fixed_noise(g)).clamp(-1, 1)
    assert torch.equal(again, found.pictures)
    assert all(p.grad is None for p in g.parameters())


def test_projection_through_the_options(tmp_path):
    Image.new("RGB", (50, 40), (200, 60, 30)).save(tmp_path / "red.png")
    g = generator((), channel_base=256)
    samples = generate(5, g, project=str(tmp_path / "red.png"), project_steps=40)
    assert (len(samples), samples.kind) == (5, "frames")
    red = torch.tensor([200, 60, 30]).view(3, 1, 1) / 127.5 - 1
    errors = (samples.data - red).square().mean((1, 2, 3))
    assert errors[-1] < 0.5 * errors[0]
    with pytest.raises(ConfigError, match="with --label"):
        generate(1, generator(), CLASSES, project=str(tmp_path / "red.png"))
    found = generate(2, generator(), CLASSES, project=str(tmp_path / "red.png"), project_steps=1, label="c")
    assert found.labels.tolist() == [2, 2]
    (tmp_path / "text.png").write_text("no picture")
    for name, words in (("none.png", "No such file"), ("text.png", "not a picture")):
        with pytest.raises(DataError, match=words) as error:
            generate(1, g, project=str(tmp_path / name))
        assert name in str(error.value)


def test_fixed_noise_is_the_same_for_every_picture_and_call():
    g = generator(())
    for a, b in zip(latent.fixed_noise(g), latent.fixed_noise(g), strict=True):
        assert torch.equal(a, b)
    assert [n.shape[-1] for n in latent.fixed_noise(g)] == g.noise_sizes


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
    assert latent.read_target(g, str(tmp_path / "target.png")).shape == (1, 3, 32, 32)


def test_a_mixing_grid_has_no_classes():
    assert generate(9, awake(generator()), CLASSES, mix="coarse").labels is None


def test_small_micro_batches_are_said():
    made = recipe()
    for accumulate, said in ((1, False), (8, True)):
        notes = made.notes(TrainerSettings(batch_size=8, accumulate=accumulate))
        assert any("no group of 2 to 4 fits micro-batches of 1 " in note for note in notes) is said
