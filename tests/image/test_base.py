"""What every recipe of pictures shares: fakes, gradients, classes, previews, observed logits."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_dcgan import DIGITS, Loop, generate, networks, recipe

from polygan import ConfigError
from polygan.losses import ADVERSARIAL
from polygan_image.sampling import Sampling


def test_auto_takes_classes_when_there_are_two():
    assert recipe(classes=("a", "b")).classes == ("a", "b")
    assert recipe(classes=("a",)).classes == ()
    assert recipe(classes=(), conditional="auto").classes == ()
    assert recipe(conditional="no").classes == ()
    with pytest.raises(ConfigError, match="two classes"):
        recipe(classes=("a",), conditional="yes")


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("penalty", ["none", "r1r2", "wgan_gp"])
@pytest.mark.parametrize("every", [1, 2])
def test_gradients_reach_the_trained_player_and_no_other(reuse, penalty, every):
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


def test_critic_gives_logits_of_a_batch():
    r = recipe()
    nets, loop = networks(r), Loop(r)
    batch = loop.batch()
    logits = r.critic(nets, batch)
    assert logits.shape == (4,)
    assert torch.equal(logits, nets["discriminator"](batch["image"], batch["label"]))
    plain = recipe(classes=())
    assert plain.critic(networks(plain), {"image": batch["image"]}).shape == (4,)


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
