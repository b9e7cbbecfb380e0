"""Adversarial losses and penalties: pure functions of logits and inputs.

Logits have any shape. A term is the mean over all logits, a scalar in float32 or float64. Notation: x is a real sample,
z a latent, D a discriminator's logit, s the logistic function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from .errors import ConfigError
from .foreach import clamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Terms = dict[str, Tensor]


class Adversarial(NamedTuple):
    """A game: ``discriminator(real_logits, fake_logits)`` and ``generator(fake_logits, real_logits=None)``.

    Both return named scalar terms whose sum is minimised. Only the relativistic generator needs real logits.
    """

    discriminator: Callable[[Tensor, Tensor], Terms]
    generator: Callable[..., Terms]


def _wide(x: Tensor) -> Tensor:
    """``x`` in float32 if it has half precision, else unchanged."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _softplus(x: Tensor) -> Tensor:
    """E log(1 + exp(x)), finite for every logit. -log s(x) is softplus(-x), -log(1 - s(x)) is softplus(x)."""
    return F.softplus(_wide(x)).mean()


def minimax_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Terms:
    """-log s(D(x)) - log(1 - s(D(G(z)))) (Goodfellow et al. 2014, eq. 1). 2 log 2 at zero logits."""
    return {"real": _softplus(-real_logits), "fake": _softplus(fake_logits)}


def minimax_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Terms:
    """-log s(D(G(z))), the non-saturating form (Goodfellow et al. 2014, section 3)."""
    return {"adversarial": _softplus(-fake_logits)}


def saturating_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Terms:
    """log(1 - s(D(G(z)))) (Goodfellow et al. 2014, eq. 1). Its gradient vanishes where D is sure."""
    return {"adversarial": -_softplus(fake_logits)}


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Terms:
    """1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2 (Mao et al. 2017, eq. 9): targets 1 and 0, the paper's factor 1/2."""
    return {
        "real": (_wide(real_logits) - 1).square().mean() / 2,
        "fake": _wide(fake_logits).square().mean() / 2,
    }


def least_squares_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Terms:
    """1/2 (D(G(z)) - 1)^2 (Mao et al. 2017, eq. 9)."""
    return {"adversarial": (_wide(fake_logits) - 1).square().mean() / 2}


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Terms:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) (Lim & Ye 2017; Miyato et al. 2018, eq. 16)."""
    return {"real": F.relu(1 - _wide(real_logits)).mean(), "fake": F.relu(1 + _wide(fake_logits)).mean()}


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Terms:
    """D(G(z)) - D(x) (Arjovsky et al. 2017, eq. 2). D needs a bounded slope: clip, penalty, spectral norm."""
    return {"real": -_wide(real_logits).mean(), "fake": _wide(fake_logits).mean()}


def linear_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Terms:
    """-D(G(z)), the generator of the hinge and the Wasserstein game."""
    return {"adversarial": -_wide(fake_logits).mean()}


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """Logits ``a`` - ``b`` of one shape. Broadcasting would pair the wrong samples."""
    if a.shape != b.shape:
        raise ConfigError(
            f"the relativistic loss pairs logits of one shape, got {tuple(a.shape)} and {tuple(b.shape)}: "
            "draw as many fakes as there are real samples"
        )
    return _wide(a) - _wide(b)


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Terms:
    """-log s(D(x) - D(G(z))), real i with fake i (Jolicoeur-Martineau 2018; Huang et al. 2024, eq. 2)."""
    return {"pair": _softplus(_difference(fake_logits, real_logits))}


def relativistic_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Terms:
    """-log s(D(G(z)) - D(x)); raises `ConfigError` without real logits of the same shape."""
    if real_logits is None:
        raise ConfigError(
            "the relativistic loss of the generator got no real_logits: pass the logits of real samples too"
        )
    return {"adversarial": _softplus(_difference(real_logits, fake_logits))}


ADVERSARIAL: dict[str, Adversarial] = {
    "minimax": Adversarial(minimax_discriminator, minimax_generator),
    "saturating": Adversarial(minimax_discriminator, saturating_generator),
    "least_squares": Adversarial(least_squares_discriminator, least_squares_generator),
    "hinge": Adversarial(hinge_discriminator, linear_generator),
    "wasserstein": Adversarial(wasserstein_discriminator, linear_generator),
    "relativistic": Adversarial(relativistic_discriminator, relativistic_generator),
}
"""The games by name. Example: ``ADVERSARIAL["hinge"].generator(fake_logits)``."""


def _gradient(logits: Tensor, x: Tensor) -> Tensor:
    """The gradient (n, d) of each sample's summed logits by the sample, with graph."""
    if not x.requires_grad:
        raise ConfigError("a gradient penalty got inputs that record no gradient: call x.requires_grad_() before D(x)")
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return _wide(gradient).reshape(len(x), -1)


def r1(logits: Tensor, real: Tensor, gamma: float) -> Tensor:
    """gamma/2 E |grad_x D(x)|^2 over real samples (Mescheder et al. 2018, eq. 9).

    ``logits`` (n, ...) were computed from ``real`` (n, ...), which required gradients; row i must depend on
    sample i alone (no batch norm). Returns a scalar with graph. Raises `ConfigError` if ``real`` required no gradients.
    """
    return _gradient(logits, real).square().sum(1).mean() * (gamma / 2)


def r2(logits: Tensor, fake: Tensor, gamma: float) -> Tensor:
    """gamma/2 E |grad_x D(x)|^2 over fakes (Mescheder et al. 2018, eq. 10): `r1` of a detached ``fake``."""
    return r1(logits, fake, gamma)


def _slope_penalty(discriminator: Callable[[Tensor], Tensor], x: Tensor, weight: float) -> Tensor:
    """weight * E (|grad_x D(x)| - 1)^2 at the points ``x`` (n, ...)."""
    x = x.detach().requires_grad_()
    return (torch.linalg.vector_norm(_gradient(discriminator(x), x), dim=1) - 1).square().mean() * weight


def wgan_gp(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor, weight: float = 10
) -> Tensor:
    """weight * E (|grad D(x)| - 1)^2 at x = mix * real + (1 - mix) * fake (Gulrajani et al. 2017, alg. 1).

    ``discriminator`` maps inputs (n, ...) to logits; pass a conditional discriminator as a closure over its labels. ``mix`` (n,)
    is uniform in [0, 1). Returns a scalar with graph. Raises `ConfigError` for shapes that do not fit.
    """
    if real.shape != fake.shape or mix.shape != real.shape[:1]:
        raise ConfigError(
            f"wgan_gp got real {tuple(real.shape)}, fake {tuple(fake.shape)}, mix {tuple(mix.shape)}: "
            "pass real and fake of one shape (n, ...) and mix (n,)"
        )
    mix = _wide(mix).reshape(-1, *[1] * (real.dim() - 1))  # (n, 1, ...)
    return _slope_penalty(discriminator, mix * _wide(real) + (1 - mix) * _wide(fake), weight)


def dragan(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, noise: Tensor, weight: float = 10, scale: float = 0.25
) -> Tensor:
    """weight * E (|grad D(x + scale * noise)| - 1)^2 around real samples (Kodali et al. 2017, with k = 1).

    ``real`` and ``noise`` have shape (n, ...), and the noise is standard normal. ``scale`` is the root of the paper's c, in units
    of the data: about half its standard deviation (0.25 suits images in [-1, 1]). Returns a scalar with graph. Raises
    `ConfigError` for shapes that do not fit.
    """
    if noise.shape != real.shape:
        raise ConfigError(
            f"dragan got real {tuple(real.shape)} and noise {tuple(noise.shape)}: draw noise of real's shape"
        )
    return _slope_penalty(discriminator, _wide(real) + scale * _wide(noise), weight)


def mode_seeking(samples: Tensor, latents: Tensor, labels: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """1 / (E |G(a) - G(b)| / E |a - b| + eps): smaller where distant latents give distant samples (Mao et al. 2019, eq. 2).

    ``samples`` (n, ...) were generated from ``latents`` (n, ...); |.| is the mean absolute difference. The pairs are neighbours in
    the batch. With ``labels`` (n,) the batch is first sorted by label, and pairs of two classes do not count. Returns a scalar
    with graph, 0 where there is no pair or all latents are equal. Raises `ConfigError` for shapes that do not fit.
    """
    if len(latents) != len(samples) or (labels is not None and labels.shape != samples.shape[:1]):
        told = "" if labels is None else f", labels {tuple(labels.shape)}"
        raise ConfigError(
            f"mode_seeking got samples {tuple(samples.shape)}, latents {tuple(latents.shape)}{told}: "
            "pass a latent, and a label if any, for each sample"
        )
    order = torch.arange(len(samples), device=samples.device) if labels is None else labels.argsort(stable=True)
    a, b = order[:-1], order[1:]

    def distances(x: Tensor) -> Tensor:
        x = _wide(x).flatten(1)
        return (x[a] - x[b]).abs().mean(1)

    same = torch.ones_like(a) if labels is None else labels[a] == labels[b]
    near, far = (distances(samples) * same).sum(), (distances(latents) * same).sum()
    found = far > 0
    return torch.where(found, 1 / (near / torch.where(found, far, 1) + eps), 0)


@torch.no_grad()
def clamp_weights(module: nn.Module, bound: float) -> None:
    """Clamp every parameter to [-bound, bound] in place (Arjovsky et al. 2017, alg. 1); ``bound`` > 0."""
    if not bound > 0:
        raise ConfigError(f"clamp_weights: bound = {bound} must be positive; 0.01 is the paper's")
    parameters: list[Tensor] = list(module.parameters())
    if parameters:
        clamp(parameters, bound)


def spectral_norm(module: nn.Module) -> nn.Module:
    """Divide the weight of every convolution, linear and embedding layer by its largest singular value.

    Miyato et al. 2018, algorithm 1: one power iteration per forward pass in training mode. Changes ``module``
    and returns it. A layer with spectral norm stays unchanged. Raises `ConfigError` if there is no such layer.
    """
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    kinds += (nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag)
    layers = [m for m in module.modules() if isinstance(m, kinds)]
    if not layers:
        raise ConfigError(
            f"spectral_norm found no convolution, linear or embedding layer in {type(module).__name__}; "
            "apply it to a network that has one"
        )
    for layer in layers:
        if not parametrize.is_parametrized(layer, "weight"):
            parametrizations.spectral_norm(layer)
    return module
