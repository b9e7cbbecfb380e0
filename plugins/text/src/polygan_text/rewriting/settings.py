"""Settings of text/seq2seq."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polygan import Checked, ConfigError, ranged

from ..settings import Drawing


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of ``text/seq2seq``."""

    policy: Literal["lstm", "transformer"] = "lstm"
    """An LSTM in both directions and an LSTM with attention (See et al. 2017), or a transformer with norms before each part. Both can copy words."""
    rewards: Literal["dense", "rollouts"] = "dense"
    """dense: each token's reward is what the discriminator adds up from this token on; rollouts: mean logits of completions of each prefix."""
    embedding_dim: int = ranged(128, "[1, inf)")
    """Numbers that stand for a token in the LSTM (paper 128); a transformer's are ``hidden_dim``."""
    hidden_dim: int = ranged(256, "[2, inf)")
    """Width of the policy (paper 256)."""
    layers: int | None = ranged(None, "[1, inf)")
    """Layers of the decoder, and of a transformer's encoder too (default: lstm 1, transformer 3)."""
    heads: int = ranged(4, "[1, inf)")
    """Attention heads of the transformer; hidden_dim must be a multiple of heads."""
    dropout: float = ranged(0.2, "[0, 1)")
    """Share of the policy's numbers that is dropped while it learns by maximum likelihood; never elsewhere."""
    coverage: float = ranged(0.0, "[0, inf)")
    """Weight of attending to the same source words again (See et al. 2017, eq. 12; paper 1, at the end of training)."""
    mle_steps: int = ranged(3000, "[0, inf)")
    """Iterations of maximum likelihood before everything else."""
    check_every: int = ranged(100, "[0, inf)")
    """Iterations between checks on held-out pairs; the game starts from the best policy of all checks. 0: no checks,
    and the game starts from the last policy."""
    check_texts: int = ranged(512, "[1, inf)")
    """Held-out pairs that a check looks at, the same each time, rounded up to whole batches."""
    mle_rate: float = ranged(1e-3, "(0, 1]")
    """Learning rate of maximum likelihood."""
    pretrain_steps: int = ranged(400, "[0, inf)")
    """Iterations of the discriminator alone."""
    adversarial_rate: float = ranged(1e-4, "(0, 1]")
    """Learning rate of the policy in the game."""
    discriminator_rate: float = ranged(1e-3, "(0, 1]")
    """Learning rate of the discriminator."""
    discriminator_steps: int = ranged(1, "[1, inf)")
    """Discriminator steps a generator step."""
    discriminator_embedding_dim: int = ranged(64, "[1, inf)")
    """Numbers that stand for a token in the discriminator."""
    discriminator_dim: int = ranged(64, "[2, inf)")
    """Width of the discriminator."""
    discriminator_dropout: float = ranged(0.25, "[0, 1)")
    """Share of the discriminator's numbers that is dropped while it learns; never while it scores."""
    mismatched: float = ranged(0.25, "[0, 1)", hint="0 uses generated texts alone")
    """Share of real texts with the source of another text among what the discriminator learns to refuse."""
    rollouts: int = ranged(4, "[1, inf)")
    """Completions of each prefix, with ``rewards`` rollouts."""
    reward: Literal["discriminator", "constant", "random"] = "discriminator"
    """constant and random are controls: the same steps with rewards that teach nothing."""
    entropy: float = ranged(0.01, "[0, inf)")
    """Weight of the entropy bonus in nats a token."""
    teach: float = ranged(1.0, "[0, inf)")
    """Weight of maximum likelihood beside the policy gradient in the game, in nats a token."""
    probation: Literal["undo", "tell"] = "undo"
    """What becomes of a game that makes held-out text less likely than its start does, by more than `tolerance`.
    undo: the policy goes back to the start; tell: the game goes on and the console says so. Both need checks (`check_every`)."""
    tolerance: float = ranged(0.02, "[0, inf)", usual=0.02)
    """Nats a token of held-out text that the game may lose against its start."""
    clip: float = ranged(5.0, "[0, inf)")
    """Largest gradient norm; 0: not clipped."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy == "transformer" and self.hidden_dim % self.heads:
            raise ConfigError(
                f"model.hidden_dim = {self.hidden_dim} is no multiple of model.heads = {self.heads}; change either"
            )

    @property
    def begin(self) -> int:
        """The step at which the game begins."""
        return self.mle_steps + self.pretrain_steps


@dataclass(frozen=True, kw_only=True)
class Sampling(Drawing):
    """How a text is written for each source."""

    beams: int | None = ranged(None, "[0, 64]", hint="1 takes the likeliest token each time, 0 draws each token")
    """Beginnings that a beam search keeps; the text with the most nats a token wins. Unless set: 4, or 0 where ``rerank``,
    ``temperature``, ``top_k`` or ``top_p`` ask for drawn texts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beams and self.draws:
            raise ConfigError(
                f"beams = {self.beams}: a beam search draws nothing, so rerank, temperature, top_k and top_p do not fit; "
                "leave them out, or use --beams 0"
            )

    @property
    def draws(self) -> bool:
        """Whether an option asks for drawn texts."""
        return self.rerank > 1 or self.temperature != 1 or self.top_k > 0 or self.top_p < 1

    @property
    def width(self) -> int:
        """The beams of the search; 0: tokens are drawn."""
        return (0 if self.draws else 4) if self.beams is None else self.beams
