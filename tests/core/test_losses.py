"""Losses and penalties equal values computed by hand, stay finite, and pull the players in opposite directions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from polygan import ConfigError, losses
from polygan.losses import ADVERSARIAL

REAL, FAKE = [2.0, -0.5, 0.25], [-1.5, 0.75, 3.0]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def mean(function, *columns):
    return sum(map(function, *columns)) / len(columns[0])


EXPECTED = {
    "minimax": (
        {
            "real": mean(lambda x: -math.log(sigmoid(x)), REAL),
            "fake": mean(lambda x: -math.log(1 - sigmoid(x)), FAKE),
        },
        mean(lambda x: -math.log(sigmoid(x)), FAKE),
    ),
    "saturating": (
        {
            "real": mean(lambda x: -math.log(sigmoid(x)), REAL),
            "fake": mean(lambda x: -math.log(1 - sigmoid(x)), FAKE),
        },
        mean(lambda x: math.log(1 - sigmoid(x)), FAKE),
    ),
    "least_squares": (
        {"real": (1**2 + 1.5**2 + 0.75**2) / 6, "fake": (1.5**2 + 0.75**2 + 3**2) / 6},
        (2.5**2 + 0.25**2 + 2**2) / 6,
    ),
    "hinge": ({"real": (0 + 1.5 + 0.75) / 3, "fake": (0 + 1.75 + 4) / 3}, -2.25 / 3),
    "wasserstein": ({"real": -1.75 / 3, "fake": 2.25 / 3}, -2.25 / 3),
    "relativistic": (
        {"pair": mean(lambda r, f: -math.log(sigmoid(r - f)), REAL, FAKE)},
        mean(lambda r, f: -math.log(sigmoid(f - r)), REAL, FAKE),
    ),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_terms_equal_hand_computed_values(name, dtype):
    real, fake = torch.tensor(REAL, dtype=dtype), torch.tensor(FAKE, dtype=dtype)
    expected_d, expected_g = EXPECTED[name]
    d, g = ADVERSARIAL[name].discriminator(real, fake), ADVERSARIAL[name].generator(fake, real)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    assert d.keys() == expected_d.keys()
    assert g.keys() == {"adversarial"}
    for term, value in expected_d.items():
        assert d[term].item() == pytest.approx(value, abs=tolerance)
    assert g["adversarial"].item() == pytest.approx(expected_g, abs=tolerance)
    assert all(t.dtype == dtype and t.shape == () for t in (*d.values(), *g.values()))


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_give_float32_terms(name, dtype):
    """REAL and FAKE are exact in both types, so the terms must be those of float32."""
    real, fake = torch.tensor(REAL, dtype=dtype), torch.tensor(FAKE, dtype=dtype)
    terms = ADVERSARIAL[name].discriminator(real, fake)
    assert {t.dtype for t in terms.values()} == {torch.float32}
    for term, value in EXPECTED[name][0].items():
        assert terms[term].item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_are_finite_with_finite_gradients(name, size):
    real = torch.full((4,), size, requires_grad=True)
    fake = torch.full((4,), -size, requires_grad=True)
    terms = {**ADVERSARIAL[name].discriminator(real, fake), **ADVERSARIAL[name].generator(fake, real)}
    total = torch.stack(list(terms.values())).sum()
    gradients = torch.autograd.grad(total, (real, fake))
    assert torch.isfinite(total)
    assert all(torch.isfinite(g).all() for g in gradients)


def test_only_the_saturating_generator_loses_its_gradient_when_the_discriminator_is_sure():
    slope = {}
    for name in ("minimax", "saturating"):
        fake = torch.tensor([-30.0], requires_grad=True)
        ADVERSARIAL[name].generator(fake)["adversarial"].backward()
        slope[name] = fake.grad.item()
    assert slope["minimax"] == pytest.approx(-1, abs=1e-6)
    assert slope["saturating"] == pytest.approx(-math.exp(-30), rel=1e-4)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_players_pull_in_opposite_directions(name):
    real, fake = torch.zeros(3, requires_grad=True), torch.full((3,), 0.5, requires_grad=True)
    d = sum(ADVERSARIAL[name].discriminator(real, fake).values())
    up_real, up_fake = torch.autograd.grad(d, (real, fake))
    (g,) = torch.autograd.grad(ADVERSARIAL[name].generator(fake, real)["adversarial"], fake)
    assert (up_real < 0).all()
    assert (up_fake > 0).all()
    assert (g < 0).all()


@pytest.mark.parametrize("name", sorted(set(ADVERSARIAL) - {"relativistic"}))
def test_logits_of_any_shape(name):
    real = torch.tensor(REAL * 4).reshape(3, 1, 2, 2)
    fake = torch.tensor(FAKE * 2).reshape(2, 3)
    for term, value in ADVERSARIAL[name].discriminator(real, fake).items():
        assert term in ("real", "fake")
        assert value.item() == pytest.approx(EXPECTED[name][0][term], abs=1e-6)


def test_relativistic_needs_paired_real_logits():
    with pytest.raises(ConfigError, match="real_logits"):
        ADVERSARIAL["relativistic"].generator(torch.zeros(2))
    with pytest.raises(ConfigError, match=r"\(2, 1\)"):
        ADVERSARIAL["relativistic"].discriminator(torch.zeros(2), torch.zeros(2, 1))
    with pytest.raises(ConfigError, match=r"\(3,\)"):
        ADVERSARIAL["relativistic"].generator(torch.zeros(3), torch.zeros(1))


# Penalties. The critic w.x has gradient w everywhere; x.A.x/2 with symmetric A has gradient A x.

W = torch.tensor([0.5, -2.0, 1.0, 0.25, 3.0, -1.0], dtype=torch.float64)
W_SQUARED = 0.25 + 4 + 1 + 0.0625 + 9 + 1


@pytest.mark.parametrize("shape", [(5, 6), (5, 2, 3), (5, 1, 6, 1)])
def test_penalties_of_a_linear_critic_are_closed_forms(shape):
    def critic(x):
        return x.flatten(1) @ W

    real = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    fake, mix = torch.randn(shape, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    slope = (math.sqrt(W_SQUARED) - 1) ** 2
    assert losses.r1(critic(real), real, 3.0).item() == pytest.approx(1.5 * W_SQUARED, rel=1e-12)
    assert losses.r2(critic(real), real, 0.5).item() == pytest.approx(0.25 * W_SQUARED, rel=1e-12)
    assert losses.wgan_gp(critic, real, fake, mix).item() == pytest.approx(10 * slope, rel=1e-12)
    assert losses.dragan(critic, real, fake, weight=2).item() == pytest.approx(2 * slope, rel=1e-12)


def test_inputs_without_feature_dimension():
    x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    assert losses.r1(x**2, x, 1.0).item() == pytest.approx((4 + 16 + 36) / 3 / 2)
    assert losses.wgan_gp(lambda x: 4 * x, x, x, torch.rand(3), 1).item() == pytest.approx(9)


def test_penalties_of_a_quadratic_critic_name_the_points_they_are_taken_at():
    """D(x) = |x|^2 / 2 has gradient x: the penalties tell where they looked."""

    def critic(x):
        return x.square().sum(1) / 2

    real = torch.tensor([[3.0, 4.0], [0.0, 2.0]], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([[1.0, 0.0], [4.0, 2.0]], dtype=torch.float64)
    assert losses.r1(critic(real), real, 1.0).item() == pytest.approx((25 + 4) / 2 / 2)
    # (1/4 of real + 3/4 of fake; 1/2 and 1/2) = (1.5, 1), (2, 2)
    mix = torch.tensor([0.25, 0.5], dtype=torch.float64)
    expected = ((math.sqrt(3.25) - 1) ** 2 + (math.sqrt(8) - 1) ** 2) / 2
    assert losses.wgan_gp(critic, real, fake, mix, weight=1).item() == pytest.approx(expected)
    # real + fake / 2 = (3.5, 4), (2, 3)
    expected = ((math.sqrt(28.25) - 1) ** 2 + (math.sqrt(13) - 1) ** 2) / 2
    assert losses.dragan(critic, real, fake, weight=1, scale=0.5).item() == pytest.approx(expected)


class Critic(nn.Module):
    """A smooth critic of (n, 2, 3) in float64, deterministic."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(4, 6, generator=generator, dtype=torch.float64))
        self.second = nn.Parameter(torch.randn(4, generator=generator, dtype=torch.float64))

    def forward(self, x):
        return torch.tanh(x.flatten(1) @ self.first.T) @ self.second


def penalties(critic):
    generator = torch.Generator().manual_seed(1)
    real, fake, noise = torch.randn(3, 4, 2, 3, generator=generator, dtype=torch.float64)
    mix = torch.rand(4, generator=generator, dtype=torch.float64)
    leaf = real.clone().requires_grad_()
    return {
        "r1": lambda: losses.r1(critic(leaf), leaf, 0.7),
        "r2": lambda: losses.r2(critic(leaf), leaf, 0.7),
        "wgan_gp": lambda: losses.wgan_gp(critic, real, fake, mix),
        "dragan": lambda: losses.dragan(critic, real, noise),
    }


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp", "dragan"])
def test_double_backward_equals_finite_differences(name):
    critic = Critic()
    penalty = penalties(critic)[name]
    penalty().backward()
    for parameter in critic.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), 3):
            kept, step = flat[i].item(), 1e-5
            flat[i] = kept + step
            up = penalty().item()
            flat[i] = kept - step
            down = penalty().item()
            flat[i] = kept
            assert gradient[i].item() == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-8)
        assert gradient.abs().sum() > 0


def test_penalty_value_equals_finite_differences_of_the_critic():
    critic, step = Critic(), 1e-6
    x = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    squared = torch.zeros(2, dtype=torch.float64)
    for i in range(6):
        shift = torch.zeros(6, dtype=torch.float64)
        shift[i] = step
        shift = shift.view(2, 3)
        squared += ((critic(x + shift) - critic(x - shift)) / (2 * step)).detach() ** 2
    assert losses.r1(critic(x), x, 2.0).item() == pytest.approx(squared.mean().item(), rel=1e-6)


def test_a_flat_critic_has_finite_penalty_gradients():
    weight = torch.zeros(3, requires_grad=True)
    losses.wgan_gp(lambda x: x @ weight, torch.ones(2, 3), torch.zeros(2, 3), torch.rand(2)).backward()
    assert torch.isfinite(weight.grad).all()


def test_penalties_upcast_half_precision_inputs():
    net = nn.Linear(6, 1)

    def critic(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return net(x)

    real, fake = torch.randn(2, 4, 6).bfloat16()
    leaf = real.clone().requires_grad_()
    for penalty in (
        losses.r1(critic(leaf), leaf, 1.0),
        losses.wgan_gp(critic, real, fake, torch.rand(4)),
        losses.dragan(critic, real, fake),
    ):
        assert penalty.dtype == torch.float32
        net.zero_grad()
        penalty.backward()
        assert torch.isfinite(net.weight.grad).all()
        assert net.weight.grad.abs().sum() > 0


def test_penalties_leave_real_and_fake_without_gradients():
    critic = Critic()
    real, fake = torch.randn(2, 4, 2, 3, dtype=torch.float64)
    fake.requires_grad_()
    losses.wgan_gp(critic, real, fake, torch.rand(4, dtype=torch.float64)).backward()
    assert fake.grad is None
    assert not real.requires_grad


def test_penalties_refuse_what_does_not_fit():
    x = torch.zeros(4, 3)
    with pytest.raises(ConfigError, match="requires_grad_"):
        losses.r1(x.sum(1), x, 1.0)
    with pytest.raises(ConfigError, match=r"mix \(4, 1\)"):
        losses.wgan_gp(lambda x: x.sum(1), x, x, torch.zeros(4, 1))
    with pytest.raises(ConfigError, match=r"fake \(3, 3\)"):
        losses.wgan_gp(lambda x: x.sum(1), x, x[:3], torch.zeros(4))
    with pytest.raises(ConfigError, match=r"noise \(4,\)"):
        losses.dragan(lambda x: x.sum(1), x, torch.zeros(4))


def test_mode_seeking_is_the_latent_distance_over_the_distance_of_samples():
    samples = torch.tensor([[0.0, 1.0], [2.0, 0.0], [2.5, 4.0]])  # neighbours at mean |difference| 1.5 and 2.25
    latents = torch.tensor([[0.0], [-3.0], [-4.0]])  # 3 and 1
    assert losses.mode_seeking(samples, latents, eps=0.0).item() == pytest.approx((3 + 1) / (1.5 + 2.25))
    assert losses.mode_seeking(samples, latents, eps=0.5).item() == pytest.approx(1 / (3.75 / 4 + 0.5))
    # The first and the last are a class; the one between has no pair.
    of_classes = losses.mode_seeking(samples, latents, torch.tensor([1, 0, 1]), eps=0.0)
    assert of_classes.item() == pytest.approx(4 / 2.75)
    pictures = samples.reshape(3, 1, 2).bfloat16()
    assert losses.mode_seeking(pictures, latents, eps=0.0).dtype == torch.float32


def test_mode_seeking_without_a_pair_is_zero_with_zero_gradients():
    samples, latents = torch.ones(2, 3, requires_grad=True), torch.zeros(2, 3)
    # Two classes, one sample, one sample of a class, equal latents.
    for n, labels in ((2, torch.tensor([0, 1])), (1, None), (1, torch.tensor([0])), (2, None)):
        samples.grad = None
        loss = losses.mode_seeking(samples[:n], latents[:n], labels)
        loss.backward()
        assert loss.item() == 0
        assert torch.equal(samples.grad, torch.zeros(2, 3))


def test_mode_seeking_refuses_what_does_not_fit():
    x = torch.zeros(4, 3)
    with pytest.raises(ConfigError, match=r"latents \(3, 3\): pass a latent"):
        losses.mode_seeking(x, x[:3])
    with pytest.raises(ConfigError, match=r"labels \(4, 1\): pass a latent"):
        losses.mode_seeking(x, x, torch.zeros(4, 1))


def test_mode_seeking_moves_samples_apart():
    latents = torch.randn(6, 2, dtype=torch.float64)
    samples = (0.1 * torch.randn(6, 4, dtype=torch.float64)).requires_grad_()
    labels = torch.tensor([0, 1, 0, 1, 1, 0])
    before = losses.mode_seeking(samples, latents, labels)
    before.backward()
    moved = samples.detach() - 1e-4 * samples.grad
    assert losses.mode_seeking(moved, latents, labels) < before
    for c in (0, 1):
        assert torch.pdist(moved[labels == c]).mean() > torch.pdist(samples.detach()[labels == c]).mean()
    assert torch.autograd.gradcheck(
        lambda x: losses.mode_seeking(x, latents, labels), samples.detach().requires_grad_()
    )


def test_losses_and_penalties_play_on_meta():
    real, fake = torch.zeros(4, 3, device="meta", requires_grad=True), torch.zeros(4, 3, device="meta")
    net = nn.Linear(3, 1).to("meta")
    terms = [
        losses.r1(net(real), real, 1.0),
        losses.wgan_gp(net, real, fake, torch.zeros(4, device="meta")),
        losses.dragan(net, real, fake),
        losses.mode_seeking(net(real), fake, torch.zeros(4, dtype=torch.int64, device="meta")),
    ]
    for game in ADVERSARIAL.values():
        terms += [*game.discriminator(net(real), net(fake)).values()]
        terms += [*game.generator(net(fake), net(real)).values()]
    torch.stack(terms).sum().backward()
    losses.clamp_weights(net, 0.1)
    assert net.weight.grad is not None


def test_clamp_weights_is_in_place():
    net = nn.Sequential(nn.Linear(20, 20), nn.BatchNorm1d(20))
    before = [p.detach().clone() for p in net.parameters()]
    pointers = [p.data_ptr() for p in net.parameters()]
    losses.clamp_weights(net, 0.1)
    for p, old, pointer in zip(net.parameters(), before, pointers, strict=True):
        assert torch.equal(p, old.clamp(-0.1, 0.1))
        assert p.data_ptr() == pointer
        assert p.requires_grad
    assert before[0].abs().max() > 0.1
    losses.clamp_weights(nn.ReLU(), 0.1)


@pytest.mark.parametrize("bound", [0, -1.0, float("nan")])
def test_clamp_weights_refuses_a_bound_that_is_not_positive(bound):
    with pytest.raises(ConfigError, match="bound"):
        losses.clamp_weights(nn.Linear(1, 1), bound)


LAYERS = {
    "conv": (lambda: nn.Conv2d(3, 8, 3), torch.randn(1, 3, 5, 5), 0),
    "transposed": (lambda: nn.ConvTranspose2d(3, 8, 3), torch.randn(1, 3, 5, 5), 1),
    "conv1d": (lambda: nn.Conv1d(3, 8, 3), torch.randn(1, 3, 9), 0),
    "linear": (lambda: nn.Linear(3, 8), torch.randn(1, 3), 0),
    "embedding": (lambda: nn.Embedding(6, 3), torch.tensor([1]), 0),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_spectral_norm_makes_the_largest_singular_value_one(layer):
    torch.manual_seed(0)
    make, x, output = LAYERS[layer]
    net = nn.Sequential(make())
    with torch.no_grad():
        net[0].weight.mul_(5)
    assert losses.spectral_norm(net) is net
    for _ in range(200):
        net(x)
    weight = net.eval()[0].weight.detach().movedim(output, 0).flatten(1)
    assert torch.linalg.svdvals(weight)[0].item() == pytest.approx(1, abs=1e-3)


def test_spectral_norm_covers_each_layer_once_and_keeps_norm_layers():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Sequential(nn.Flatten(), nn.Linear(8, 1)))
    losses.spectral_norm(losses.spectral_norm(net))
    names = sorted(name for name, _ in net.named_parameters() if "original" in name)
    assert names == ["0.parametrizations.weight.original", "2.1.parametrizations.weight.original"]
    x = torch.randn(2, 1, 4, 4, requires_grad=True)
    (net(x).sum() + losses.r1(net(x), x, 1.0)).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_spectral_norm_refuses_a_module_without_layers():
    with pytest.raises(ConfigError, match="ReLU"):
        losses.spectral_norm(nn.ReLU())
