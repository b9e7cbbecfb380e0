"""R3GAN: the relativistic game with both penalties."""

import pytest
import torch
import torch.nn.functional as F

from polygan import ConfigError, TrainerSettings, make_samples, testing
from polygan.training.trainer import Trainer
from polygan_image.r3gan import R3GAN, Config
from polygan_image.sampling import Sampling

TINY = {"latent_dim": 6, "generator_width": 4, "discriminator_width": 4, "depth": 1, "group": 2}


def recipe(classes=("a", "b", "c"), size=(16, 16), **options):
    info = {"channels": 3, "height": size[0], "width": size[1], "classes": list(classes), "count": 90}
    return R3GAN(Config(**{**TINY, **options}), info)


def batch(n=8):
    return {"image": torch.rand(n, 3, 16, 16) * 2 - 1, "label": torch.arange(n) % 3}


def trainer(made):
    settings = TrainerSettings(steps=8, batch_size=8, precision="fp32", hang_timeout=0)
    return Trainer(made, {"train": testing.RepeatedBatch(batch())}, settings)


def test_there_is_no_normalisation_and_no_batch_dependence():
    made = recipe()
    for network in made.networks().values():
        assert not [m for m in network.modules() if "Norm" in type(m).__name__]
    d = made.networks()["discriminator"]
    x, y = batch()["image"], batch()["label"]
    torch.testing.assert_close(d(x, y)[:2], d(x[:2], y[:2]), atol=1e-5, rtol=1e-4)


def test_the_terms_are_the_papers():
    """-log s(D(x) - D(G(z))) + gamma/2 (|grad D(x)|^2 + |grad D(G(z))|^2), both means over samples."""
    made = recipe(augment="none", gamma=0.7)
    t = trainer(made)
    d, data = t.actors["discriminator"].module, batch()
    t.context.turn = "d"
    terms = {k: v.item() for k, v in made.discriminator_loss(t.context, data).items()}
    fake = t.context.cache["fakes"].images
    logits, squares = [], []
    for x in (data["image"], fake.detach()):
        x = x.clone().requires_grad_()
        out = d(x, data["label"])
        squares.append(
            torch.stack([torch.autograd.grad(o, x, retain_graph=True)[0].square().sum() for o in out]).mean()
        )
        logits.append(out)
    assert terms["pair"] == pytest.approx(F.softplus(logits[1] - logits[0]).mean().item(), rel=1e-5)
    assert terms["r1"] == pytest.approx(0.35 * squares[0].item(), rel=1e-4)
    assert terms["r2"] == pytest.approx(0.35 * squares[1].item(), rel=1e-4)
    expected = F.softplus(logits[0] - logits[1]).mean().item()
    assert made.generator_loss(t.context, data)["adversarial"].item() == pytest.approx(expected, rel=1e-5)


def test_the_penalties_of_every_step_differentiate_twice_in_full_precision():
    (d, g, *rest) = recipe().turns()
    assert (d.name, d.every, d.differentiates_twice) == ("d", 1, True)
    assert (g.name, g.differentiates_twice) == ("g", False)
    assert [turn.name for turn in rest] == ["ada"]


def test_lazy_penalties_leave_the_step_and_weigh_as_many_times_more():
    """The expected gradient of ``k`` iterations is that of the penalties in every step; the step itself differentiates once."""
    made = recipe(augment="none", gamma=0.7, penalty_every=3)
    d, penalties, g = made.turns()
    assert (d.differentiates_twice, g.name) == (False, "g")
    assert (penalties.name, penalties.every, penalties.differentiates_twice) == ("penalties", 3, True)
    t = trainer(made)
    network, data = t.actors["discriminator"].module, batch()
    t.context.turn = "d"
    assert set(made.discriminator_loss(t.context, data)) == {"pair"}
    t.context.turn = "penalties"
    terms = made.lazy_penalty(t.context, data)
    x = data["image"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x, data["label"]).sum(), x)
    squares = gradient.square().sum((1, 2, 3)).mean().item()
    assert terms["r1"].item() == pytest.approx(3 * 0.35 * squares, rel=1e-4)
    assert terms["r2"].item() > 0
    for _ in range(2):  # with penalties, and without
        before = [p.detach().clone() for p in network.parameters()]
        t.iterate()
        assert not any(
            torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True) if b.abs().sum() > 0
        )


def test_generation():
    made = recipe()
    networks = made.networks()
    testing.check_prefix(made, networks, Sampling())
    assert make_samples(made, networks, 6).data.abs().max() <= 1


def test_sizes_out_of_reach_name_the_recipe():
    with pytest.raises(ConfigError, match=r"image/r3gan cannot make 30x30.*--data.resolution 28"):
        recipe(size=(30, 30))


@pytest.mark.parametrize(
    "options",
    [{"latent_dim": 0}, {"generator_width": 0}, {"discriminator_width": 0}, {"depth": 0}, {"group": 0}, {"gamma": -1.0},
     {"penalty_every": 0}, {"learning_rate": 0.0}, {"beta1": 1.0}, {"beta2": -1.0}, {"ema_half_life": -1.0}],
    ids=str,
)  # fmt: skip
def test_bad_settings_are_one_clear_line(options):
    with pytest.raises(ConfigError, match=f"model.{next(iter(options))} = "):
        Config(**options)
