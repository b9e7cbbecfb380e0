"""The game of two networks of pictures: a loss, a penalty on the discriminator, and how often each is due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from polygan import Turn, losses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from polygan import Noise

    Critic = Callable[[Tensor], Tensor]
    Loss = Callable[..., Mapping[str, Tensor]]

Adversarial = Literal["minimax", "saturating", "least_squares", "hinge", "wasserstein", "relativistic"]
Penalty = Literal["none", "r1", "r2", "r1r2", "wgan_gp", "dragan"]


@dataclass(frozen=True)
class Game:
    """A game of ``generator`` and ``discriminator``: its terms are pure functions of logits and pictures.

    A penalty of every iteration is part of the discriminator's turn. A rarer penalty has its own turn, and
    a weight that is larger by the number of iterations between two penalties (Karras et al. 2020, "StyleGAN2", appendix B).
    """

    loss: Adversarial = "minimax"
    penalty: Penalty = "none"
    weight: float = 0.0
    """Weight of the penalty: gamma of r1 and r2, lambda of wgan_gp and dragan."""
    every: int = 1
    """Iterations between two penalties."""
    critic_steps: int = 1
    """Discriminator steps an iteration."""

    @property
    def inline(self) -> bool:
        """Whether the discriminator's turn holds the penalty."""
        return self.penalty != "none" and self.every == 1

    @property
    def lazy(self) -> bool:
        """Whether the penalty has a turn of its own."""
        return self.penalty != "none" and self.every > 1

    @property
    def pairs(self) -> bool:
        """Whether the generator's loss compares fakes with real pictures."""
        return self.loss == "relativistic"

    @property
    def signed(self) -> bool:
        """Whether the sign of a logit says real or fake; a Wasserstein critic's sign has no meaning."""
        return self.loss != "wasserstein"

    # Turns

    def turns(self, discriminator: Loss, penalty: Loss, generator: Loss, name: str = "") -> list[Turn]:
        """``d``, the penalty if it is lazy (called ``name``, or by its penalty), and ``g``."""
        trained = ("discriminator",)
        d = Turn("d", trained, discriminator, repeat=self.critic_steps, differentiates_twice=self.inline)
        lazy = Turn(name or self.penalty, trained, penalty, every=self.every, differentiates_twice=True)
        return [d, *([lazy] if self.lazy else []), Turn("g", ("generator",), generator)]

    # Terms

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """The discriminator's terms of the loss."""
        return losses.ADVERSARIAL[self.loss].discriminator(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> dict[str, Tensor]:
        """The generator's term; a game that `pairs` needs the real logits."""
        return losses.ADVERSARIAL[self.loss].generator(fake_logits, real_logits)

    def signs(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits whose sign says real or fake: shifted for least squares, differences of pairs for the relativistic game."""
        if self.loss == "least_squares":
            return real_logits - 0.5, fake_logits - 0.5
        if self.pairs:
            return real_logits - fake_logits, fake_logits - real_logits
        return real_logits, fake_logits

    def watch(self, real: Tensor, fake: Tensor) -> None:
        """Let gradients reach the pictures that the penalty differentiates by."""
        if "r1" in self.penalty:
            real.requires_grad_()
        if "r2" in self.penalty:
            fake.requires_grad_()

    @property
    def needs_fakes(self) -> bool:
        """Whether the penalty needs fakes."""
        return self.penalty not in ("r1", "dragan")

    def penalties(
        self,
        critic: Critic,
        real: Tensor,
        fake: Tensor,
        noise: Noise,
        logits: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The penalty's terms on pictures with gradients (`watch`), from ``logits`` of real and fake pictures if given."""
        penalty, weight, terms = self.penalty, self.weight * self.every, {}
        if "r1" in penalty:
            terms["r1"] = losses.r1(logits[0] if logits else critic(real), real, weight)
        if "r2" in penalty:
            terms["r2"] = losses.r2(logits[1] if logits else critic(fake), fake, weight)
        if penalty == "wgan_gp":
            terms[penalty] = losses.wgan_gp(critic, real, fake, noise.uniform(len(real)), weight)
        if penalty == "dragan":
            terms[penalty] = losses.dragan(critic, real, noise.normal(*real.shape), weight)
        return terms
