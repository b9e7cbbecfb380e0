"""SNGAN: spectral norm, the hinge game, the falling rate."""

import pytest
import torch

from polygan import ConfigError, TrainerSettings, make_samples, testing
from polygan.training.trainer import Trainer
from polygan_image.sampling import Sampling
from polygan_image.sngan import SNGAN, Config

TINY = {"latent_dim": 6, "generator_width": 4, "discriminator_width": 4}


def recipe(classes=("a", "b", "c"), size=(16, 16), **options):
    info = {"channels": 3, "height": size[0], "width": size[1], "classes": list(classes), "count": 90}
    return SNGAN(Config(**{**TINY, **options}), info)


def batch(n=8):
    return {"image": torch.rand(n, 3, 16, 16) * 2 - 1, "label": torch.arange(n) % 3}


def trainer(made, steps=8):
    settings = TrainerSettings(steps=steps, batch_size=8, precision="fp32", hang_timeout=0)
    return Trainer(made, {"train": testing.RepeatedBatch(batch())}, settings)


def test_sizes_out_of_reach_name_the_recipe():
    with pytest.raises(ConfigError, match=r"image/sngan cannot make 30x30.*--data.resolution 28"):
        recipe(size=(30, 30))


def test_every_weight_of_the_discriminator_has_norm_one():
    torch.manual_seed(0)
    d = recipe().networks()["discriminator"]
    with torch.no_grad():
        for _ in range(50):
            d(batch()["image"], batch()["label"])
    layers = [m for m in d.modules() if hasattr(m, "parametrizations")]
    assert len(layers) == len(
        [m for m in d.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear, torch.nn.Embedding))]
    )
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.05)


def test_its_turns_and_optimizer_are_the_papers():
    made = recipe(augment="none")
    assert [(t.name, t.players, t.repeat) for t in made.turns()] == [
        ("d", ("discriminator",), 5), ("g", ("generator",), 1), ("statistics", (), 1),
    ]  # fmt: skip
    players = made.players(made.networks(), TrainerSettings())
    (group,) = players["discriminator"].optimizer.param_groups
    assert (group["lr"], group["betas"]) == (2e-4, (0.0, 0.9))


def test_the_losses_are_the_hinge():
    t = trainer(recipe(augment="none", critic_steps=1))
    context, d = t.context, t.actors["discriminator"].module.eval()
    context.turn, data = "d", batch()
    terms = t.recipe.discriminator_loss(context, data)
    fake = context.cache["fakes"].images
    with torch.no_grad():
        real_logits, fake_logits = d(data["image"], data["label"]), d(fake, data["label"])
    assert terms["real"].item() == pytest.approx((1 - real_logits).clamp(min=0).mean().item(), rel=1e-5)
    assert terms["fake"].item() == pytest.approx((1 + fake_logits).clamp(min=0).mean().item(), rel=1e-5)
    assert t.recipe.generator_loss(context, data)["adversarial"].item() == pytest.approx(
        -fake_logits.mean().item(), rel=1e-4
    )


def test_the_rate_falls_linearly_to_nothing():
    t = trainer(recipe(critic_steps=2), steps=4)
    rates = []
    while t.step < 4:
        rates.append(t.actors["generator"].optimizer.param_groups[0]["lr"])
        t.iterate()
    assert rates == pytest.approx([2e-4, 1.5e-4, 1e-4, 5e-5])
    assert t.actors["discriminator"].optimizer.param_groups[0]["lr"] == 0


def test_generation():
    made = recipe()
    networks = made.networks()
    testing.check_prefix(made, networks, Sampling())
    samples = make_samples(made, networks, 6, 0, Sampling(label="b"))
    assert samples.data.shape == (6, 3, 16, 16)
    assert samples.labels.tolist() == [1] * 6


@pytest.mark.parametrize(
    "options",
    [{"latent_dim": 0}, {"generator_width": 0}, {"discriminator_width": 0}, {"critic_steps": 0}, {"learning_rate": 2.0},
     {"beta1": 1.0}, {"beta2": -1.0}, {"ema_half_life": float("inf")}],
    ids=str,
)  # fmt: skip
def test_bad_settings_are_one_clear_line(options):
    with pytest.raises(ConfigError, match=f"model.{next(iter(options))} = "):
        Config(**options)
