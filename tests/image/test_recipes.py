"""What holds for every recipe of pictures: settings that are read and documented, classes, the walk, the example."""

import ast
import importlib.util
import inspect
import itertools
import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from polygan import ConfigError, TrainerSettings, losses, make_samples, testing
from polygan.training.trainer import Trainer
from polygan_image import base, dcgan, r3gan, settings, sngan, stylegan

MODULES = {"DCGAN": dcgan, "SNGAN": sngan, "R3GAN": r3gan, "StyleGAN": stylegan}
NARROW = {"generator_width": 4, "discriminator_width": 4, "latent_dim": 4}
SMALL = {
    "DCGAN": NARROW,
    "SNGAN": NARROW,
    "R3GAN": NARROW,
    "StyleGAN": {"channel_base": 64, "channel_max": 4, "latent_dim": 4},
}


def recipe(name, classes=("a", "b"), count=50, size=32, **options):
    info = {"channels": 1, "height": size, "width": size, "classes": list(classes), "count": count}
    module = MODULES[name]
    return getattr(module, name)(module.Config(**{**SMALL[name], **options}), info)


def class_bodies(module):
    return {node.name: node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("name", MODULES)
def test_every_setting_is_read_outside_its_validation_and_documented(name):
    module = MODULES[name]
    bodies = [class_bodies(module)[name], class_bodies(base)["ImageGAN"]]
    read = {node.attr for body in bodies for node in ast.walk(body) if isinstance(node, ast.Attribute)}
    names = {f.name for f in fields(module.Config)}
    assert names - read == set()
    documented = {
        node.target.id
        for body in (class_bodies(module)["Config"].body, class_bodies(settings)["ImageConfig"].body)
        for node, after in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr)
    }
    assert documented == names


@pytest.mark.parametrize("channels", [2, 5])
@pytest.mark.parametrize("name", MODULES)
def test_pictures_may_have_any_number_of_channels(name, channels):
    module = MODULES[name]
    info = {
        "channels": channels,
        "height": 32,
        "width": 32,
        "classes": [],
        "count": 50,
        "dtype": "int16",
        "window": [-9, 9],
    }
    made = getattr(module, name)(module.Config(**SMALL[name]), info)
    networks = made.networks()
    samples = make_samples(made, networks, 2)
    assert samples.data.shape == (2, channels, 32, 32)
    assert networks["discriminator"](samples.data, None).shape == (2,)


@pytest.mark.parametrize("name", MODULES)
def test_classes_are_told_if_there_are_any(name):
    assert recipe(name).classes == ("a", "b")
    assert recipe(name, conditional="no").classes == ()
    assert recipe(name, classes=("a",)).classes == ()
    with pytest.raises(ConfigError, match="conditional = yes needs data with two classes"):
        recipe(name, classes=(), conditional="yes")


@pytest.mark.parametrize("name", MODULES)
def test_a_class_changes_the_picture_and_the_logit(name):
    made = recipe(name)
    networks = {n: network.eval() for n, network in made.networks().items()}
    if name == "SNGAN":
        networks["generator"].blocks[0].norms[0].table.weight.data[1] = 1  # all classes start alike
    a, b = (make_samples(made, networks, 2, 0, made.Sampling(label=c)) for c in ("a", "b"))
    assert (a.data - b.data).abs().max() > 1e-5
    logits = [made.critic(networks, {"image": a.data, "label": s.labels}) for s in (a, b)]
    assert logits[0].shape == (2,)
    assert (logits[0] != logits[1]).all()


@pytest.mark.parametrize("name", MODULES)
def test_a_walk_is_closed_and_smooth(name):
    made = recipe(name, classes=())
    samples = make_samples(made, made.networks(), 12, 0, made.Sampling(walk=6))
    assert (samples.kind, len(samples)) == ("frames", 12)
    jumps = [float((samples.data[i] - samples.data[(i + 1) % 12]).square().mean()) for i in range(12)]
    across = float((samples.data[0] - samples.data[6]).square().mean())
    assert max(jumps) < across
    assert min(jumps) > 0


@pytest.mark.parametrize("name", ["SNGAN", "R3GAN", "StyleGAN"])
def test_augmentation_follows_the_number_of_pictures_by_default(name):
    assert "augmentation" in recipe(name).networks()
    assert "augmentation" not in recipe(name, count=200_000).networks()
    assert recipe("DCGAN").augmentation == "none"


def test_the_example_of_ones_own_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for i in range(12):
        picture = np.random.default_rng(i).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "mine" / f"{i}.png")
    path = Path(__file__).parents[2] / "examples/pictures.py"
    spec = importlib.util.spec_from_file_location("pictures_example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    small = {"model": {"channel_base": 64, "channel_max": 4, "latent_dim": 4}, "batch_size": 4, "precision": "fp32"}
    files = module.main("mine", 2, 32, search=5, **small)
    assert [Path(f).name for f in files] == ["walk.webp", "mix.png", "found.png", "report.html"]
    assert all(Path(f).stat().st_size > 300 for f in files)
    assert "gamma = 0.0512, by the rule" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["SNGAN", "R3GAN"])
def test_a_size_out_of_reach_is_refused_before_anything_is_made(name):
    with pytest.raises(ConfigError, match="cannot make 30x30"):
        recipe(name, size=30)


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", MODULES)
def test_mode_seeking_is_a_term_of_the_generator_of_every_recipe(name, reuse):
    """The value is computed from the same fakes that the discriminator sees, with their latents and classes."""
    weight, seen, terms = 0.25, [], {}

    class Watched(getattr(MODULES[name], name)):
        def _shown_fakes(self, ctx, batch):
            seen.append(super()._shown_fakes(ctx, batch))
            return seen[-1]

        def generator_loss(self, ctx, batch):
            terms.update(super().generator_loss(ctx, batch))
            return terms

    made = recipe(name, mode_seeking=weight, reuse_fakes=reuse)
    made = Watched(made.config, made.info)
    batch = {"image": torch.rand(6, 1, 32, 32) * 2 - 1, "label": torch.tensor([0, 1, 0, 0, 1, 1])}
    settings = TrainerSettings(steps=2, batch_size=6, precision="fp32", hang_timeout=0)
    trainer = Trainer(made, {"train": testing.RepeatedBatch(batch)}, settings)
    trainer.iterate()
    (fakes,) = seen
    assert torch.equal(fakes.batch["label"], batch["label"])
    expected = weight * losses.mode_seeking(fakes.images, fakes.latents, batch["label"])
    assert expected > 0
    torch.testing.assert_close(terms["mode_seeking"], expected)


@pytest.mark.parametrize("name", MODULES)
def test_mode_seeking_needs_classes_and_a_weight_that_is_not_negative(name):
    fakes = base.Fakes(torch.rand(4, 1, 32, 32), torch.randn(4, 4), {"label": torch.tensor([0, 1, 0, 1])})
    assert recipe(name, mode_seeking=1.0)._mode_seeking(fakes).keys() == {"mode_seeking"}
    assert recipe(name, mode_seeking=0.0)._mode_seeking(fakes) == {}
    assert recipe(name, classes=(), mode_seeking=1.0)._mode_seeking(fakes) == {}
    for wrong in (-1, math.nan, math.inf):
        with pytest.raises(
            ConfigError, match=r"model\.mode_seeking = .* (too small; the least is|is not finite; use at least) 0"
        ):
            recipe(name, mode_seeking=wrong)
