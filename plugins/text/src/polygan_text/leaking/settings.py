"""LeakGAN's settings: None takes the preset's value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polygan import Checked, ConfigError, ranged

from ..discriminator import PAPER_FILTERS
from ..settings import PRESETS


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of LeakGAN. The numbers suit small data; the authors' numbers stand beside."""

    preset: Literal["paper", "code"] = "paper"
    """paper: the equations of Guo et al. 2018, with a reward for each text and token. code: what the authors' program computes.
    There the worker's reward is one number a batch, and the manager's reward has a mean that does not depend on the texts."""
    embedding_dim: int = ranged(32, "[1, inf)")
    """Numbers that stand for a token in the worker (authors: 32, for captions 128)."""
    hidden_dim: int = ranged(32, "[1, inf)")
    """Width of the LSTMs of the worker and the manager (authors: 32, for captions 128)."""
    goal_dim: int = ranged(16, "[1, inf)")
    """Numbers of a projected goal, and of each word's vector in the worker (16)."""
    goal_steps: int = ranged(4, "[1, inf)")
    """Tokens that a goal looks ahead; less than the length of a text (4)."""
    filters: Literal["default", "paper"] = "default"
    """The discriminator's windows of tokens: those of text/seqgan (704 features), or those of the paper (1,720 features)."""
    discriminator_embedding_dim: int = ranged(64, "[1, inf)")
    """Numbers that stand for a token in the discriminator (authors: 64, for captions 256)."""
    discriminator_dropout: float = ranged(0.25, "[0, 1)")
    """Share of the discriminator's features that is dropped while it learns (authors: 0); never while it scores or leaks."""
    mle_steps: int = ranged(2000, "[0, inf)")
    """Iterations of pretraining: maximum likelihood for the worker, transitions of real texts for the manager."""
    pretrain_every: int = ranged(4, "[1, inf)")
    """Iterations of pretraining between steps of the discriminator, which learns in turn with the generator."""
    check_every: int = ranged(50, "[0, inf)")
    """Iterations between checks on held-out data; the game starts from the best generator of all checks. 0: no checks,
    and the game starts from the last generator."""
    check_texts: int = ranged(256, "[1, inf)", usual=256)
    """Held-out texts that a check looks at, the same each time, rounded up to whole batches."""
    tolerance: float = ranged(0.02, "[0, inf)", usual=0.02)
    """Nats a token of held-out text that the game may lose against its start before the console says so."""
    mle_rate: float = ranged(2e-3, "(0, 1]")
    """Learning rate of the manager and the worker in pretraining (authors: 1.5e-3)."""
    adversarial_rate: float = ranged(5e-4, "(0, 1]")
    """Learning rate of the manager and the worker in the game (authors: 1.5e-3)."""
    discriminator_rate: float = ranged(2e-4, "(0, 1]")
    """Learning rate of the discriminator (authors: 1e-4). The generator reads the discriminator's features: slow is safe."""
    discriminator_steps: int = ranged(2, "[1, inf)")
    """Discriminator steps a generator step (authors: 2,340)."""
    rollouts: int = ranged(4, "[1, inf)")
    """Completions of each prefix that is completed (4)."""
    rollout_every: int = ranged(4, "[1, inf)")
    """Tokens between the prefixes that are completed; less than the length of a text (4)."""
    reward: Literal["discriminator", "constant", "random"] = "discriminator"
    """The manager's reward. constant and random are controls: the same steps with rewards that teach nothing."""
    delta: float = ranged(16.0, "[0, inf)")
    """Steepness of the rewards' ranks within a batch (16). 0: the values themselves, no ranks."""
    bootstrap: float = ranged(0.0, "[0, 1]")
    """Real texts that are ranked with the generated ones, as a share of the batch (authors: 0, for captions rising to 1)."""
    temperature: float = ranged(1.0, "(0, inf)")
    """Temperature of the texts and completions that the generator learns from."""
    fake_temperature: float | None = ranged(None, "(0, inf)")
    """Temperature of the texts that the discriminator learns from (paper 1, code 2/3)."""
    teach_every: int = ranged(15, "[0, inf)")
    """Steps of the game between rounds of maximum likelihood (15); 0: none."""
    teach_steps: int = ranged(15, "[1, inf)")
    """Steps of maximum likelihood in such a round (authors: one pass over the data)."""
    clip: float = ranged(5.0, "[0, inf)")
    """Largest gradient norm of each network; 0: not clipped."""

    def fakes(self) -> float:
        """The temperature of the texts that the discriminator learns from."""
        return self.fake_temperature or (1.0 if self.preset == "paper" else 2 / 3)

    def windows(self) -> tuple[tuple[int, int], ...]:
        """(tokens in a window, feature maps) of the discriminator."""
        return PAPER_FILTERS if self.filters == "paper" else PRESETS["default"].filters

    def check(self, length: int) -> None:
        """Raise ConfigError for goals or completions that texts of ``length`` tokens have no room for."""
        for name, value, why in (
            ("goal_steps", self.goal_steps, "no goal of the manager would guide a token"),
            ("rollout_every", self.rollout_every, "no prefix would be completed"),
        ):
            if value >= length:
                remedy = f"use --model.{name} {length - 1} or less" if length > 1 else "use longer texts"
                tokens = f"{length} token{'s' * (length > 1)}"
                raise ConfigError(f"model.{name} = {value}, but a text has {tokens}, so {why}; {remedy}")
