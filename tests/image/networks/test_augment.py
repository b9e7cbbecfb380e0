"""Augmentation: identity, inverses, frequencies, derivatives, and the probability that follows r_t."""

import math

import pytest
import torch

from polygan import ConfigError, Noise, TrainerSettings, testing
from polygan.training.trainer import Trainer
from polygan_image.dcgan import DCGAN, Config
from polygan_image.networks import augment
from polygan_image.networks.augment import Adaptive, adaptive_augment, diffaugment

ONE, ZERO = torch.ones(()), torch.zeros(())


def pictures(n=4, channels=3, height=16, width=16, seed=0):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def draws(n, seed=0):
    noise = Noise().reset(seed)
    return noise.uniform(n, augment.UNIFORM_DRAWS), noise.normal(n, augment.NORMAL_DRAWS)


def geometric(height=16, width=16, **columns):
    """The matrix of one draw: every gate closed but those whose column is given; u of an open gate is 0."""
    u, g = torch.full((1, 14), 0.99), torch.zeros(1, 4)
    for name, value in columns.items():
        (u if name[0] == "u" else g)[0, int(name[1:])] = value
    return augment.geometric_matrix(torch.tensor(0.5), u, g, height, width)


def colours(**columns):
    u, g = torch.full((1, 7), 0.99), torch.zeros(1, 3)
    for name, value in columns.items():
        (u if name[0] == "u" else g)[0, int(name[1:])] = value
    return augment.colour_matrix(torch.tensor(0.5), u, g)


# Adaptive augmentation's transformations


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(16, 16), (7, 12)])
def test_probability_zero_is_the_identity(channels, size):
    x = pictures(8, channels, *size)
    torch.testing.assert_close(adaptive_augment(x, ZERO, *draws(8)), x, atol=1e-6, rtol=0)
    assert (adaptive_augment(x, ONE, *draws(8)) - x).abs().mean() > 0.1


def test_flips_and_quarter_turns_move_pixels_exactly_and_back():
    x = pictures(1)
    flip = geometric(u0=0.0, u1=0.0)
    assert torch.equal(augment.resample(x, flip), x.flip(3))
    assert torch.equal(augment.resample(augment.resample(x, flip), flip), x)
    turned = {k: augment.resample(x, geometric(u2=0.0, u3=k / 4 + 0.1)) for k in range(4)}
    assert torch.equal(turned[0], x)
    for k in (1, 2, 3):
        assert any(torch.equal(turned[k], torch.rot90(x, way, (2, 3))) for way in ((k,) if k == 2 else (1, 3)))
        back = augment.resample(turned[k], geometric(u2=0.0, u3=(4 - k) / 4 + 0.1))
        assert torch.equal(back, x)
    assert not torch.equal(turned[1], turned[3])


def test_whole_translations_shift_and_mirror():
    x = pictures(1)
    moved = augment.resample(x, geometric(u4=0.0, u5=1.0, u6=0.0))  # 2 pixels to the right, 2 up
    assert torch.equal(moved[..., :14, 2:], x[..., 2:, :14])
    assert torch.equal(moved[..., :14, :2], x[..., 2:, 1:3].flip(3))  # without repeating the border


@pytest.mark.parametrize(
    ("matrix", "inverse"),
    [
        ({"u7": 0.0, "g0": 1.5}, {"u7": 0.0, "g0": -1.5}),
        ({"u8": 0.0, "u9": 0.7}, {"u8": 0.0, "u9": 0.3}),
        ({"u10": 0.0, "u11": 0.9}, {"u10": 0.0, "u11": 0.1}),
        ({"u12": 0.0, "g1": 1.5}, {"u12": 0.0, "g1": -1.5}),
        ({"u13": 0.0, "g2": 0.5, "g3": -1.0}, {"u13": 0.0, "g2": -0.5, "g3": 1.0}),
    ],
    ids=["scale", "rotation", "second rotation", "stretch", "translation"],
)
def test_each_geometric_transformation_has_its_inverse(matrix, inverse):
    a, b = geometric(**matrix), geometric(**inverse)
    torch.testing.assert_close((a @ b)[0], torch.eye(3), atol=1e-5, rtol=0)
    assert (a[0] - torch.eye(3)).abs().max() > 0.1


def test_scale_and_rotation_are_what_they_say():
    torch.testing.assert_close(geometric(u7=0.0, g0=1.0)[0, 0, 0].item(), 2**-0.2)
    r = geometric(u8=0.0, u9=0.75)[0, :2, :2]  # by a quarter turn: (2 * 0.75 - 1) pi
    torch.testing.assert_close(r @ r.T, torch.eye(2), atol=1e-6, rtol=0)
    assert r[0, 0].abs() < 1e-6
    assert geometric(32, 64, u13=0.0, g2=1.0)[0, 0, 2].item() == pytest.approx(-8)  # an eighth of the width


def test_a_rotation_turns_a_smooth_picture_and_back():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 48), indexing="ij")
    smooth = torch.exp(-4 * ((x - 0.3) ** 2 + 2 * y**2))[None, None]
    turned = augment.resample(smooth, geometric(48, 48, u8=0.0, u9=0.65))
    back = augment.resample(turned, geometric(48, 48, u8=0.0, u9=0.35))
    assert (turned - smooth).abs().max() > 0.3
    assert (back - smooth)[..., 8:-8, 8:-8].abs().max() < 0.02


@pytest.mark.parametrize(
    ("matrix", "inverse"),
    [
        ({"u0": 0.0, "g0": 1.0}, {"u0": 0.0, "g0": -1.0}),
        ({"u1": 0.0, "g1": 1.0}, {"u1": 0.0, "g1": -1.0}),
        ({"u2": 0.0, "u3": 0.0}, {"u2": 0.0, "u3": 0.0}),
        ({"u4": 0.0, "u5": 0.8}, {"u4": 0.0, "u5": 0.2}),
        ({"u6": 0.0, "g2": 1.0}, {"u6": 0.0, "g2": -1.0}),
    ],
    ids=["brightness", "contrast", "luma flip", "hue", "saturation"],
)
def test_each_colour_transformation_has_its_inverse(matrix, inverse):
    a, b = colours(**matrix), colours(**inverse)
    torch.testing.assert_close((a @ b)[0], torch.eye(4), atol=1e-5, rtol=0)
    x = pictures(1, 4)
    y = augment.recolour(x, a)
    assert (y - x)[:, :3].abs().max() > 0.1
    assert torch.equal(y[:, 3], x[:, 3])
    torch.testing.assert_close(augment.recolour(y, b), x, atol=1e-5, rtol=0)


def test_hue_and_saturation_leave_luma_and_grey_alone():
    x = pictures(1)
    for matrix in (colours(u4=0.0, u5=0.8), colours(u6=0.0, g2=1.0)):
        torch.testing.assert_close(augment.recolour(x, matrix).mean(1), x.mean(1), atol=1e-5, rtol=0)
        torch.testing.assert_close(augment.recolour(x[:, :1], matrix), x[:, :1], atol=1e-5, rtol=0)
    third = augment.recolour(x, colours(u4=0.0, u5=0.5 + 1 / 3))  # a third of a turn permutes the colours
    torch.testing.assert_close(third, x[:, [2, 0, 1]], atol=1e-5, rtol=0)
    torch.testing.assert_close(augment.recolour(x[:, :1], colours(u2=0.0, u3=0.0)), -x[:, :1], atol=1e-5, rtol=0)
    doubled = augment.recolour(x[:, :1], colours(u1=0.0, g1=2.0, u0=0.0, g0=1.0))
    torch.testing.assert_close(doubled, 2 * (x[:, :1] + 0.2), atol=1e-5, rtol=0)


def test_each_is_applied_as_often_as_the_probability_says():
    p, n = 0.3, 20_000
    u, g = draws(n)
    moved = augment.geometric_matrix(torch.tensor(p), u[:, :14], g[:, :4], 16, 16)
    eye = torch.eye(3)
    flips, turns, whole = p / 2, p * 3 / 4, p * (1 - 1 / 16)  # some draws of these change nothing: 1 in 2, 4; 0 pixels
    still = (1 - flips) * (1 - turns) * (1 - p) ** 4  # whole moves aside; of two rotations none: (sqrt(1 - p))^2
    unmoved = float(((moved - eye).abs().amax((1, 2)) < 1e-6).float().mean())
    assert still * (1 - whole) - 0.01 < unmoved < still * (1 - whole * 0.9) + 0.01
    recoloured = augment.colour_matrix(torch.tensor(p), u[:, 14:], g[:, 4:])
    same = float(((recoloured - torch.eye(4)).abs().amax((1, 2)) < 1e-6).float().mean())
    assert same == pytest.approx((1 - p) ** 4 * (1 - p / 2), abs=0.01)


@pytest.mark.parametrize(("channels", "negatives"), [(1, 0.0), (2, 0.0), (3, 0.5), (5, 0.0)])
def test_grey_pictures_have_no_negatives(channels, negatives):
    bright = adaptive_augment(torch.full((2000, channels, 4, 4), 0.9), ONE, *draws(2000))
    assert float((bright.mean((1, 2, 3)) < 0).float().mean()) == pytest.approx(negatives, abs=0.05)


@pytest.mark.parametrize("channels", [1, 4])
def test_first_and_second_derivatives(channels):
    x = pictures(2, channels, 5, 6).double().requires_grad_()
    u, g = draws(2, seed=3)
    more = Noise().reset(1).uniform(2, augment.DIFFAUGMENT_DRAWS)
    for function in (lambda x: adaptive_augment(x, ONE, u, g), lambda x: diffaugment(x, more)):
        squared = lambda x, f=function: f(x).square() / 2  # noqa: E731 - linear in x: its second derivative would be 0
        assert torch.autograd.gradcheck(squared, x, fast_mode=True, atol=1e-4, rtol=1e-3)
        assert torch.autograd.gradgradcheck(squared, x, fast_mode=True, atol=1e-4, rtol=1e-3)


# Its probability


def test_the_probability_follows_the_signs():
    state = Adaptive()
    state.record(torch.tensor([1.0, 2.0, 0.5, -1.0]))  # r_t = 0.5
    assert state.adapt(0.25, 0.6).item() == 0  # not below 0
    for expected in (0.25, 0.5, 0.75, 1.0, 1.0):
        state.record(torch.ones(8))
        assert state.adapt(0.25, 0.6).item() == expected
    state.record(torch.ones(4))
    state.record(-torch.ones(4))
    assert state.adapt(0.25, 0.6).item() == 0.75
    assert (state.signs.item(), state.count.item()) == (0, 0)
    for expected in (0.85, 0.85):
        state.record(torch.ones(4))
        assert state.adapt(0.25, 0.6, 0.85).item() == pytest.approx(expected)


def dcgan(**options):
    info = {"channels": 1, "height": 8, "width": 8, "classes": [], "count": 50}
    return DCGAN(Config(generator_width=4, discriminator_width=4, latent_dim=4, **options), info)


def trained(steps=9, **options):
    batch = {"image": pictures(16, 1, 8, 8)}
    settings = TrainerSettings(steps=100, batch_size=16, precision="fp32", hang_timeout=0)
    trainer = Trainer(dcgan(**options), {"train": testing.RepeatedBatch(batch)}, settings)
    while trainer.step < steps:
        trainer.iterate()
    return trainer


def test_a_run_moves_it_every_fourth_iteration_by_its_share_of_the_horizon():
    trainer = trained(augment="ada", augment_target=1e-6, augment_horizon=1000, learning_rate=1e-2)
    means = {k: v.item() for k, v in trainer._meter.means().items()}
    assert means["d/r_t"] > 0.2
    p = trainer.networks()["augmentation"].p.item()
    assert p == pytest.approx(3 * 4 * 16 / 1000, rel=1e-5)  # after steps 0, 4 and 8
    assert means["ada/p"] == pytest.approx(2 / 3 * p, rel=1e-5)
    assert trained(augment="ada", augment_target=0.999).networks()["augmentation"].p.item() == 0
    held = trained(augment="ada", augment_target=1e-6, augment_horizon=100, augment_limit=0.5, learning_rate=1e-2)
    assert held.networks()["augmentation"].p.item() == 0.5


@pytest.mark.parametrize("augmented", ["ada", "diffaugment"])
def test_both_networks_see_augmented_pictures_only(augmented, monkeypatch):
    seen = []

    def mark(images, *_):
        seen.append(images.shape)
        return images * 0 + 0.25

    monkeypatch.setattr("polygan_image.base.adaptive_augment", mark)
    monkeypatch.setattr("polygan_image.base.diffaugment", mark)
    trainer = trained(steps=0, augment=augmented, penalty="r1")
    watched = []
    trainer.actors["discriminator"].module.register_forward_pre_hook(lambda _, args: watched.append(args[0]))
    trainer.iterate()
    assert len(seen) == len(watched) == 3
    assert all(torch.equal(x, torch.full_like(x, 0.25)) for x in watched)


@pytest.mark.parametrize(("count", "chosen"), [(200, "ada"), (99_999, "ada"), (100_000, "none")])
def test_the_number_of_pictures_chooses(count, chosen):
    info = {"channels": 1, "height": 8, "width": 8, "classes": [], "count": count}
    recipe = DCGAN(Config(augment="auto"), info)
    assert recipe.augmentation == chosen
    assert ("augmentation" in recipe.networks()) == (chosen == "ada")
    assert [note.split(":")[0] for note in recipe.notes(TrainerSettings())] == [f"model.augment = auto is {chosen}"]


def test_a_critic_without_signs_is_refused():
    with pytest.raises(ConfigError, match="use diffaugment or none"):
        dcgan(loss="wasserstein", augment="ada")
    assert dcgan(loss="wasserstein", augment="diffaugment").augmentation == "diffaugment"


# DiffAugment


def middle(**columns):
    """Draws that change nothing but what ``columns`` say; the hole cannot be left out, and lies at the upper left."""
    u = torch.full((1, 7), 0.5)
    u[0, 5:] = 0
    for name, value in columns.items():
        u[0, int(name[1:])] = value
    return u


def test_diffaugment_is_its_formulas():
    x = pictures(1, 4)
    inside = (slice(None), slice(None), slice(4, None), slice(4, None))
    colour = (slice(None), slice(0, 3), slice(4, None), slice(4, None))
    y = diffaugment(x, middle())
    torch.testing.assert_close(y[inside], x[inside], atol=1e-6, rtol=0)
    assert not y[..., :4, :4].any()
    torch.testing.assert_close(diffaugment(x, middle(u0=0.9))[colour], x[colour] + 0.4, atol=1e-6, rtol=0)
    grey = diffaugment(x, middle(u1=0.0))[colour]
    torch.testing.assert_close(
        grey, x[:, :3].mean(1, keepdim=True).expand(-1, 3, -1, -1)[..., 4:, 4:], atol=1e-6, rtol=0
    )
    mean = x[:, :3].mean()
    expected = (x[colour] - mean) * 1.25 + mean
    torch.testing.assert_close(diffaugment(x, middle(u2=0.75))[colour], expected, atol=1e-6, rtol=0)
    assert torch.equal(diffaugment(x, middle(u0=0.9))[:, 3, 4:, 4:], x[:, 3, 4:, 4:])


def test_diffaugment_moves_and_cuts():
    x = pictures(1, 1) + 3  # nowhere 0
    y = diffaugment(x, middle(u3=0.0, u4=0.999))  # 2 up, 2 to the right
    torch.testing.assert_close(y[..., 4:14, 4:], x[..., 6:, 2:14], atol=1e-6, rtol=0)
    assert not y[..., 14:, :].any()
    hole = diffaugment(x, middle(u5=0.5, u6=0.5)) == 0
    assert hole.sum() == 64
    assert hole[..., 4:12, 4:12].all()
    shifts = diffaugment(x.expand(4000, 1, 16, 16), Noise().reset(0).uniform(4000, 7))
    empty = (shifts == 0).float().mean().item()
    assert empty == pytest.approx(empty_share(16, 2), abs=0.01)


def empty_share(side, most):
    """The expected share of zeros, by all shifts and all places of the hole."""
    inside = [max(0, min(side, c - side // 4 + side // 2) - max(0, c - side // 4)) for c in range(side + 1)]
    total = 0.0
    for dy in range(-most, most + 1):
        for dx in range(-most, most + 1):
            kept = torch.zeros(side, side)
            kept[max(dy, 0) : side + min(dy, 0), max(dx, 0) : side + min(dx, 0)] = 1
            rows = torch.tensor(
                [[max(0, c - side // 4) <= i < c - side // 4 + side // 2 for i in range(side)] for c in range(side + 1)]
            ).float()
            cover = torch.einsum("ci,dj->ij", rows, rows) / (side + 1) ** 2
            total += float((1 - kept * (1 - cover)).mean())
    assert sum(inside) > 0
    return total / (2 * most + 1) ** 2


def test_the_draws_are_of_the_shapes_that_are_said():
    assert math.prod(draws(3)[0].shape) == 3 * 21
    for p in (ZERO, ONE):
        assert adaptive_augment(pictures(3), p, *draws(3)).shape == (3, 3, 16, 16)
