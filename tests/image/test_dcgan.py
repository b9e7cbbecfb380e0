"""The DCGAN recipe: networks, configuration, the method turn by turn, and what it generates."""

import typing
from dataclasses import fields, replace

import pytest
import torch

from polygan import ConfigError, Context, Noise, Recipe, Request, TrainerSettings
from polygan.game.protocol import complete_players
from polygan.losses import ADVERSARIAL
from polygan_image.dcgan import DCGAN, Config, Discriminator, Generator
from polygan_image.networks.dcgan import strides
from polygan_image.sampling import Sampling, apportion, slerp_rows

DIGITS = ("zero", "one", "two")
TINY = {"latent_dim": 5, "generator_width": 4, "discriminator_width": 4, "embedding_dim": 3}
TRAINING = TrainerSettings(steps=100, batch_size=4)
PENALTIES = typing.get_args(typing.get_type_hints(Config)["penalty"])


def recipe(classes=DIGITS, size=(8, 8), channels=1, **options):
    info = {"channels": channels, "height": size[0], "width": size[1], "classes": list(classes), "count": 9}
    return DCGAN(Config(**{**TINY, **options}), info)


def players_of(recipe):
    networks = recipe.networks()
    return complete_players(networks, recipe.players(networks, TRAINING))


class Loop:
    """The protocol without everything else: hands over gradients, calls losses, steps."""

    def __init__(self, recipe: Recipe, device="cpu", seed=0):
        torch.manual_seed(seed)
        self.recipe, self.seed = recipe, seed
        self.players = players_of(recipe)
        for player in self.players.values():
            player.module = player.module.to(device)
        self.context = Context(self.players, torch.device(device), TRAINING)
        self.turns = {turn.name: turn for turn in recipe.turns() if turn.players}

    def batch(self, n=4):
        info, device = self.recipe.info, self.context.device
        noise = Noise(device).reset(self.seed, 77)
        image = noise.uniform(n, info["channels"], info["height"], info["width"]) * 2 - 1
        label = noise.integers(max(len(info["classes"]), 1), n)
        return {"image": image, "label": label} if info["classes"] else {"image": image}

    def play(self, name, repeat=0, step=True, batch=None):
        """One turn; returns its terms, leaves gradients in place."""
        turn, context = self.turns[name], self.context
        for key, player in self.players.items():
            player.module.requires_grad_(key in turn.players)
            player.module.zero_grad()
        context.turn = name
        context.noise.reset(self.seed, list(self.turns).index(name), repeat)
        terms = dict(turn.loss(context, self.batch() if batch is None else batch))
        torch.stack(list(terms.values())).sum().backward()
        for key in turn.players if step else ():
            self.players[key].optimizer.step()
        return terms

    def iterate(self):
        self.context.cache = {}
        return {
            name: [self.play(name, repeat) for repeat in range(turn.repeat)][-1] for name, turn in self.turns.items()
        }

    def gradients(self, name):
        return {k: p.grad for k, p in self.players[name].module.named_parameters()}


def networks(recipe, seed=0):
    torch.manual_seed(seed)
    return {name: network.eval() for name, network in recipe.networks().items()}


def generate(recipe, n, nets=None, **options):
    noise = Noise(block=16).reset(0)
    with torch.no_grad():
        nets = nets or networks(recipe)
        device = next(nets["generator"].parameters()).device
        return recipe.generate(nets, Request(n, noise, Sampling(**options), device))


# Networks


SIZES = [(28, 28), (32, 32), (40, 40), (48, 48), (56, 56), (64, 64), (96, 96), (8, 8), (32, 56), (80, 64)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes_of_every_size(size, channels):
    g, d = Generator(channels, *size, 2, 5), Discriminator(channels, *size, 2)
    image = g(torch.randn(2, 5))
    assert image.shape == (2, channels, *size)
    assert image.abs().max() <= 1
    assert d(image).shape == (2,)


def test_parameter_counts_are_those_of_the_pytorch_example():
    """The generator and discriminator of pytorch/examples/dcgan at 64x64x3, nz 100, ngf = ndf = 64."""
    g, d = Generator(3, 64, 64), Discriminator(3, 64, 64)
    assert sum(p.numel() for p in g.parameters()) == 3_576_704
    assert sum(p.numel() for p in d.parameters()) == 2_765_568


def test_layers_are_those_of_the_paper():
    g, d = Generator(3, 64, 64), Discriminator(3, 64, 64)
    ups = [m for m in g.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    downs = [m for m in d.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in ups] == [(512, 256), (256, 128), (128, 64), (64, 3)]
    assert [(m.in_channels, m.out_channels) for m in downs] == [(3, 64), (64, 128), (128, 256), (256, 512)]
    assert {(*m.kernel_size, *m.stride) for m in ups + downs} == {(4, 4, 2, 2)}
    assert not [m for m in d.downsample[:2] if isinstance(m, torch.nn.BatchNorm2d)]
    for m in ups + downs:
        assert m.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for m in g.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            assert m.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert 0 < m.weight.std().item() < 0.04


def test_widths_stop_at_eight_times():
    ups = [m for m in Generator(1, 256, 256, 1).modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert [m.in_channels for m in ups] == [8, 8, 8, 4, 2, 1]


@pytest.mark.parametrize(("height", "width", "k"), [(28, 28, 2), (32, 32, 3), (64, 64, 4), (32, 56, 3), (14, 8, 1)])
def test_strides(height, width, k):
    assert strides(height, width) == k


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((30, 30), ["30x30", "28, 32", "--data.resolution 28"]),
        ((65, 65), ["64, 80", "--data.resolution 64"]),
        ((36, 36), ["32, 40"]),
        ((60, 32), ["32x60", "32, 56, 64", "--data.resolution 56"]),
        ((32, 64), ["64x32", "32, 64", "--data.resolution 64"]),
        ((7, 7), ["--data.resolution 8"]),
        ((1, 1), ["--data.resolution 8"]),
        ((99999, 99999), ["--data.resolution 14336"]),
    ],
)
def test_a_size_out_of_reach_is_refused_before_anything_is_built(size, words):
    with pytest.raises(ConfigError) as error:
        recipe(size=size)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_suggested_sizes_work():
    for size in range(8, 200):
        try:
            strides(size, size)
        except ConfigError as error:
            best = int(str(error).rpartition(" ")[2])
            assert strides(best, best) >= 1
            assert abs(best - size) <= size / 8 + 1


# Configuration


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"latent_dim": 0}, "latent_dim"),
        ({"generator_width": -1}, "generator_width"),
        ({"discriminator_width": 0}, "discriminator_width"),
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"penalty_every": 0}, "penalty_every"),
        ({"critic_steps": 0}, "critic_steps"),
        ({"penalty_weight": -1.0}, "penalty_weight"),
        ({"penalty_weight": float("nan")}, "penalty_weight"),
        ({"weight_clip": -0.1}, "weight_clip"),
        ({"ema_half_life": float("inf")}, "ema_half_life"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"discriminator_learning_rate": 1.5}, "discriminator_learning_rate"),
        ({"beta1": 1.0}, "beta1"),
        ({"beta2": -0.1}, "beta2"),
        ({"loss": "minmax"}, "did you mean 'minimax'"),
        ({"penalty": "gp"}, "wgan_gp"),
        ({"norm": "layer"}, "batch"),
        ({"optimizer": "sgd"}, "rmsprop"),
        ({"conditional": "maybe"}, "auto"),
        ({"norm": "batch", "penalty": "wgan_gp"}, "wgan_gp"),
        ({"norm": "batch", "penalty": "r1", "penalty_every": 16}, "norm auto"),
    ],
)
def test_bad_settings_are_one_clear_line(options, word):
    with pytest.raises(ConfigError, match=word) as error:
        Config(**options)
    assert "\n" not in str(error.value)


def test_defaults_are_the_papers():
    c = Config()
    assert (c.latent_dim, c.learning_rate, c.beta1, c.beta2) == (100, 2e-4, 0.5, 0.999)


def test_every_game_can_be_chosen():
    assert set(typing.get_args(typing.get_type_hints(Config)["loss"])) == set(ADVERSARIAL)


CHANGED = {
    "latent_dim": 6,
    "generator_width": 5,
    "discriminator_width": 5,
    "conditional": "no",
    "embedding_dim": 4,
    "loss": "hinge",
    "penalty": "r1",
    "critic_steps": 2,
    "optimizer": "rmsprop",
    "learning_rate": 1e-3,
    "discriminator_learning_rate": 1e-3,
    "beta1": 0.0,
    "beta2": 0.9,
    "norm": "none",
    "spectral_norm": True,
    "reuse_fakes": False,
    "mode_seeking": 0.0,
    "penalty_weight": 5.0,
    "penalty_every": 2,
    "weight_clip": 0.5,
    "ema_half_life": 5.0,
    "augment": "diffaugment",
}


def fingerprint(**options):
    loop = Loop(recipe(**options))
    terms = loop.iterate() | {"again": loop.iterate()["d"]}
    values = [(turn, name, t.item()) for turn, named in terms.items() for name, t in named.items()]
    settings = [(p.ema_half_life, p.weight_clip) for p in loop.players.values()]
    parameters = [p.sum().item() for q in loop.players.values() for p in q.module.parameters()]
    return values, settings, parameters


# The settings of adaptive augmentation are those of test_augment.py.
@pytest.mark.parametrize("name", [f.name for f in fields(Config) if not f.name.startswith("augment_")])
def test_every_setting_changes_something(name):
    base = {"penalty": "r1"} if name.startswith("penalty_") else {}
    assert fingerprint(**base) == fingerprint(**base)
    assert fingerprint(**base) != fingerprint(**base, **{name: CHANGED[name]})


def test_auto_takes_classes_when_there_are_two():
    assert recipe(classes=("a", "b")).classes == ("a", "b")
    assert recipe(classes=("a",)).classes == ()
    assert recipe(classes=(), conditional="auto").classes == ()
    assert recipe(conditional="no").classes == ()
    with pytest.raises(ConfigError, match="two classes"):
        recipe(classes=("a",), conditional="yes")


def batch_norms(**options):
    d = recipe(size=(16, 16), **options).networks()["discriminator"]
    return sum(isinstance(m, torch.nn.BatchNorm2d) for m in d.modules())


def test_auto_norm():
    assert batch_norms() == batch_norms(norm="batch") == batch_norms(norm="batch", spectral_norm=True) == 1
    assert batch_norms(norm="none") == batch_norms(penalty="r1") == batch_norms(spectral_norm=True) == 0


def test_spectral_norm_covers_every_layer_of_the_discriminator_only():
    nets = recipe(spectral_norm=True).networks()
    names = [n for n, _ in nets["discriminator"].named_parameters() if "weight" in n]
    assert len(names) == 3  # one convolution, the logit, the classes
    assert all("parametrizations" in n for n in names)
    assert not any("parametrizations" in n for n, _ in nets["generator"].named_parameters())


def test_players_and_turns():
    r = recipe(critic_steps=3, discriminator_learning_rate=4e-4, weight_clip=0.01)
    players, turns = players_of(r), r.turns()
    g, d = players["generator"], players["discriminator"]
    assert (g.ema_half_life, g.weight_clip, d.ema_half_life, d.weight_clip) == (20_000, 0, 0, 0.01)
    assert g.optimizer.param_groups[0]["lr"] == 2e-4
    assert d.optimizer.param_groups[0]["lr"] == 4e-4
    assert g.optimizer.param_groups[0]["betas"] == (0.5, 0.999)
    assert [(t.name, t.players, t.every) for t in turns[2:]] == [("statistics", (), 4)]
    assert len(recipe(ema_half_life=0.0).turns()) == 2
    assert [(t.name, t.repeat, t.differentiates_twice) for t in turns[:2]] == [("d", 3, False), ("g", 1, False)]
    assert [(t.name, t.differentiates_twice) for t in recipe(penalty="r1").turns()[:2]] == [("d", True), ("g", False)]
    lazy = recipe(penalty="r1r2", penalty_every=16).turns()[:3]
    assert [(t.name, t.every, t.differentiates_twice) for t in lazy] == [
        ("d", 1, False),
        ("r1r2", 16, True),
        ("g", 1, False),
    ]


# The method


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", ADVERSARIAL)
@pytest.mark.parametrize("every", [1, 4])
def test_every_loss_with_every_penalty(loss, penalty, every, device):
    if penalty == "none" and every > 1:
        return
    loop = Loop(recipe(loss=loss, penalty=penalty, penalty_every=every), device)
    terms = loop.iterate()
    expected = {"r1r2": {"r1", "r2"}, "none": set()}.get(penalty, {penalty})
    where = terms["d"] if every == 1 else terms.get(penalty, {})
    assert expected <= where.keys()
    assert terms["g"].keys() == {"adversarial", "mode_seeking"}
    for named in terms.values():
        assert all(t.shape == () and t.device.type == device for t in named.values())
    if device == "cpu":
        assert all(torch.isfinite(t) for named in terms.values() for t in named.values())
        for player in loop.players.values():
            assert all(torch.isfinite(p).all() for p in player.module.parameters())


@pytest.mark.parametrize("options", [{}, {"spectral_norm": True}, {"critic_steps": 2}, {"reuse_fakes": False}])
@pytest.mark.parametrize("classes", [DIGITS, ()])
def test_other_choices_play_on_meta(options, classes):
    assert Loop(recipe(classes, **options), "meta").iterate().keys() == {"d", "g"}


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("penalty", ["none", "r1r2", "wgan_gp"])
@pytest.mark.parametrize("every", [1, 2])
def test_gradients_reach_the_acting_player_and_no_other(reuse, penalty, every):
    if penalty == "none" and every > 1:
        return
    loop = Loop(recipe(penalty=penalty, penalty_every=every, reuse_fakes=reuse, loss="relativistic"))
    loop.context.cache = {}
    for name, turn in loop.turns.items():
        loop.play(name)
        for player in loop.players:
            gradients = loop.gradients(player)
            if player not in turn.players:
                assert all(g is None for g in gradients.values())
            elif name in ("d", "g"):
                assert all(g is not None and g.abs().sum() > 0 for k, g in gradients.items() if "bias" not in k)
            else:
                assert sum(g.abs().sum() for g in gradients.values() if g is not None) > 0


@pytest.mark.parametrize("lazy", [False, True])
def test_reused_fakes_give_the_gradient_of_the_same_noise(lazy):
    """Batch norm in training mode, the discriminator trained in between: reuse is exact."""
    options = {"norm": "batch"} if not lazy else {"penalty": "r2", "penalty_every": 2}
    one, two = (
        Loop(recipe(size=(16, 16), **options)),
        Loop(recipe(size=(16, 16), reuse_fakes=False, **options)),
    )
    for loop in (one, two):
        loop.context.cache = {}
        loop.play("d")
        if lazy:
            loop.play("r2")
    assert "fakes" in one.context.cache
    assert "fakes" not in two.context.cache
    one.play("g", step=False)
    two.turns = {"g": two.turns["g"]}  # counts as turn 0, so that it draws the noise of the discriminator's turn
    two.play("g", step=False)
    for name, gradient in one.gradients("generator").items():
        torch.testing.assert_close(gradient, two.gradients("generator")[name], rtol=1e-5, atol=1e-8)
        assert gradient.abs().sum() > 0
    assert "fakes" not in one.context.cache


def test_only_the_last_critic_step_leaves_its_fakes_and_their_classes():
    loop = Loop(recipe(critic_steps=3))
    loop.context.cache = {}
    batches = [loop.batch() | {"label": torch.full((4,), k)} for k in range(3)]
    for repeat, batch in enumerate(batches):
        loop.play("d", repeat, batch=batch)
        assert ("fakes" in loop.context.cache) == (repeat == 2)
    fakes = loop.context.cache["fakes"]
    assert fakes.batch is batches[2]
    assert fakes.images.requires_grad
    terms = loop.play("g", batch=batches[0], step=False)
    logits = loop.context["discriminator"](fakes.images, batches[2]["label"])
    expected = ADVERSARIAL["minimax"].generator(logits)["adversarial"]
    torch.testing.assert_close(terms["adversarial"], expected)


def test_without_a_cache_the_generator_draws_its_own():
    loop = Loop(recipe())
    loop.context.cache = {}
    loop.play("g")
    assert all(g is not None for g in loop.gradients("generator").values())


def test_lazy_and_inline_penalty_are_the_same_up_to_the_interval():
    inline, lazy = Loop(recipe(penalty="r1")), Loop(recipe(penalty="r1", penalty_every=8))
    inline.context.cache, lazy.context.cache = {}, {}
    term = inline.play("d", step=False)["r1"]
    torch.testing.assert_close(lazy.play("r1", step=False)["r1"], 8 * term)


def test_weight_zero_is_the_papers_ten():
    def term(weight):
        loop = Loop(recipe(penalty="wgan_gp", penalty_weight=weight))
        loop.context.cache = {}
        return loop.play("d", step=False)["wgan_gp"]

    torch.testing.assert_close(term(0.0), term(10.0))
    torch.testing.assert_close(term(5.0) * 2, term(10.0))


def test_the_batch_is_left_as_it_was():
    loop = Loop(recipe(penalty="r1"))
    loop.context.cache = {}
    batch = loop.batch()
    kept = batch["image"].clone()
    loop.play("d", batch=batch)
    assert torch.equal(batch["image"], kept)
    assert not batch["image"].requires_grad
    assert batch["image"].grad is None


@pytest.mark.parametrize(("loss", "seen"), [("minimax", True), ("wasserstein", False), ("relativistic", True)])
def test_observed_logits(loss, seen):
    loop = Loop(recipe(loss=loss))
    loop.context.cache = {}
    loop.play("d")
    assert [name for name, _ in loop.context.observations] == (["d/r_t", "d/accuracy"] if seen else [])


def test_least_squares_logits_are_centred_on_a_half():
    r = recipe(loss="least_squares")
    loop = Loop(r)
    r._played(loop.context, torch.tensor([0.9, 0.6, 0.4]), torch.tensor([0.1, 0.3, 0.7]))
    values = {name.rpartition("/")[2]: float(v) for name, v in loop.context.observations}
    assert values["r_t"] == pytest.approx(1 / 3)
    assert values["accuracy"] == pytest.approx(4 / 6)


def test_autocast_plays_every_turn():
    loop = Loop(recipe(size=(16, 16), loss="relativistic", spectral_norm=True))
    with torch.autocast("cpu", torch.bfloat16):
        terms = loop.iterate()
    assert all(t.dtype == torch.float32 for named in terms.values() for t in named.values())


def test_the_class_matters_to_both_networks():
    r = recipe()
    nets, latent = networks(r), torch.randn(1, TINY["latent_dim"])
    with torch.no_grad():
        pictures = [nets["generator"](latent, torch.tensor([k])) for k in range(3)]
        logits = [nets["discriminator"](pictures[0], torch.tensor([k])) for k in range(3)]
    assert not torch.equal(pictures[0], pictures[1])
    assert not torch.equal(logits[0], logits[1])


def test_at_first_the_latent_speaks_louder_than_the_class():
    """Otherwise the generator settles on one picture per class, whatever the latent says."""
    g = Generator(1, 28, 28, 16, classes=10)
    latent, label = torch.randn(64, 100), torch.arange(64) % 10
    with torch.no_grad():
        pictures = g.project(torch.cat([latent, g.embedding(label)], 1))
        by_class = torch.stack([pictures[label == k].mean(0) for k in range(10)])
    within = (pictures - by_class[label]).square().mean()
    classes = g.project.weight[:, 100:] @ (g.embedding.weight - g.embedding.weight.mean(0)).T
    assert classes.square().mean() < 0.2 * within


def test_the_projection_is_linear_in_the_embedding():
    d = recipe(norm="none").networks()["discriminator"].eval()
    image, label = torch.randn(2, 1, 8, 8), torch.tensor([0, 2])
    h = d.downsample(image)
    expected = h @ d.logit.weight[0] + d.logit.bias
    expected += torch.stack([h[0] @ d.embedding.weight[0], h[1] @ d.embedding.weight[2]])
    torch.testing.assert_close(d(image, label), expected)


def test_critic_gives_logits_of_a_batch():
    r = recipe()
    nets, loop = networks(r), Loop(r)
    batch = loop.batch()
    logits = r.critic(nets, batch)
    assert logits.shape == (4,)
    assert torch.equal(logits, nets["discriminator"](batch["image"], batch["label"]))
    plain = recipe(classes=())
    assert plain.critic(networks(plain), {"image": batch["image"]}).shape == (4,)


# Generation


def test_samples_are_what_the_domain_wants():
    out = generate(recipe(channels=3), 7)
    assert out.data.shape == (7, 3, 8, 8)
    assert out.data.dtype == torch.float32
    assert out.data.abs().max() <= 1
    assert out.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert tuple(out.classes) == DIGITS
    assert (out.kind, out.domain) == ("set", None)  # the core fills the domain in
    plain = generate(recipe(classes=()), 3)
    assert plain.labels is None
    assert tuple(plain.classes) == ()


@pytest.mark.parametrize("counts", [(1, 2, 7), (0, 5, 3), (85, 153, 2445), (1, 1, 1), (3, 0, 0)])
def test_classes_are_as_often_as_in_the_data(counts):
    """Every beginning is Webster's apportionment (Balinski & Young 1982): no picture given had a later turn than one not given."""
    whole = apportion(200, counts)
    assert whole.dtype == torch.int64
    for n in (0, 1, 2, 3, 11, 200):
        got = apportion(n, counts)
        assert torch.equal(got, whole[:n])
        seats = got.bincount(minlength=3).tolist()
        gained = [(2 * a - 1) / c for a, c in zip(seats, counts, strict=True) if a]
        refused = [(2 * a + 1) / c for a, c in zip(seats, counts, strict=True) if c]
        assert max(gained, default=0) <= min(refused)
        assert all(a == 0 for a, c in zip(seats, counts, strict=True) if not c)


def test_samples_have_the_classes_of_the_data_and_rows_have_each():
    r = recipe()
    r.info["class_counts"] = [1, 2, 7]
    nets = networks(r)
    assert generate(r, 100, nets).labels.bincount().tolist() == [10, 20, 70]
    assert generate(r, 12, nets, grid=True).labels.bincount().tolist() == [4, 4, 4]
    assert generate(r, 4, nets, label="zero").labels.tolist() == [0] * 4


@pytest.mark.parametrize("options", [{}, {"label": 1}, {"interpolate": 4}])
def test_sample_i_does_not_depend_on_how_many_are_asked_for(options):
    r = recipe()
    nets = networks(r)
    few, many = generate(r, 4, nets, **options), generate(r, 300, nets, **options)
    torch.testing.assert_close(few.data, many.data[:4])
    assert torch.equal(few.labels, many.labels[:4])
    assert not torch.allclose(many.data[0], many.data[3])


def test_label_by_name_and_by_index():
    r = recipe()
    nets = networks(r)
    by_name, by_index = generate(r, 5, nets, label="two"), generate(r, 5, nets, label=2)
    assert torch.equal(by_name.data, by_index.data)
    assert by_name.labels.tolist() == [2] * 5
    assert not torch.equal(by_name.data, generate(r, 5, nets, label=0).data)


@pytest.mark.parametrize(
    ("label", "classes", "word"),
    [
        ("tow", DIGITS, "did you mean 'two'"),
        ("cat", DIGITS, "zero, one, two"),
        (3, DIGITS, r"\[0, 2\]"),
        (-1, DIGITS, r"\[0, 2\]"),
        (0, (), "without classes"),
    ],
)
def test_an_unknown_label_is_refused(label, classes, word):
    with pytest.raises(ConfigError, match=word):
        generate(recipe(classes), 2, label=label)


def test_a_grid_has_a_row_per_class():
    out = generate(recipe(), 12, grid=True)
    assert (out.kind, out.columns) == ("grid", 4)
    assert out.labels.view(3, 4).tolist() == [[0] * 4, [1] * 4, [2] * 4]
    with pytest.raises(ConfigError, match="ask for 12"):
        generate(recipe(), 10, grid=True)


@pytest.mark.parametrize("options", [{"classes": ()}, {}])
def test_a_grid_of_one_kind_is_square(options):
    label = {"label": 1} if not options else {}
    out = generate(recipe(**options), 9, grid=True, **label)
    assert (out.kind, out.columns, len(out)) == ("grid", 3, 9)
    assert generate(recipe(**options), 10, grid=True, **label).columns == 4


def test_walks_go_from_one_latent_to_the_next():
    r = recipe(classes=())
    nets = networks(r)
    walk, ends = generate(r, 15, nets, interpolate=5), generate(r, 4, nets)
    assert (walk.kind, walk.columns, len(walk)) == ("walk", 5, 15)
    for row in range(3):
        torch.testing.assert_close(walk.data[5 * row], ends.data[row])
        torch.testing.assert_close(walk.data[5 * row + 4], ends.data[row + 1])
        assert not torch.allclose(walk.data[5 * row + 2], ends.data[row])
    assert generate(recipe(), 15, interpolate=5).labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5


def test_walks_are_spherical():
    latent = torch.tensor([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0]])
    points = slerp_rows(latent, 3).view(2, 3, 2)
    half = 3 * 0.5**0.5
    torch.testing.assert_close(points[0], torch.tensor([[3.0, 0.0], [half, half], [0.0, 3.0]]))
    torch.testing.assert_close(points.norm(dim=-1), torch.full((2, 3), 3.0))
    torch.testing.assert_close(slerp_rows(torch.tensor([[1.0], [3.0]]), 3), torch.tensor([[1.0], [2.0], [3.0]]))


@pytest.mark.parametrize("options", [{"interpolate": 1}, {"interpolate": -2}, {"interpolate": 3, "grid": True}])
def test_bad_sampling_options(options):
    with pytest.raises(ConfigError, match="interpolate"):
        Sampling(**options)


def test_preview():
    assert recipe().preview() == (24, Sampling(grid=True))
    assert recipe(classes=()).preview() == (64, Sampling())
    many = recipe(classes=[f"c{i}" for i in range(13)])
    assert many.preview() == (64, Sampling())
    n, options = recipe().preview()
    out = generate(recipe(), n, **vars(options))
    assert (out.kind, out.columns) == ("grid", 8)


def test_generation_follows_the_networks_device():
    r = recipe()
    nets = {name: net.to("meta") for name, net in networks(r).items()}
    with pytest.raises(NotImplementedError, match="meta"):  # copying the result to the CPU is what fails there
        generate(r, 2, nets)


def test_the_recipe_says_how_it_is_trained():
    assert DCGAN.domain == "image"
    assert DCGAN.memory_format is torch.channels_last
    assert DCGAN.defaults.keys() == {"steps", "batch_size"}
    assert DCGAN.Config is Config
    assert replace(Config(), latent_dim=3).latent_dim == 3
