"""SeqGAN's settings: what is left at None is taken from the preset."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from polygan import ConfigError, did_you_mean

from .discriminator import PAPER_FILTERS

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class Method:
    """The numbers of a preset."""

    embedding_dim: int = 64
    hidden_dim: int = 128
    init_std: float = 0.0
    mle_steps: int = 2000
    pretrain_steps: int = 600
    check_every: int = 50
    check_batches: int = 4
    mle_rate: float = 2e-3
    adversarial_rate: float = 5e-4
    discriminator_rate: float = 1e-3
    discriminator_steps: int = 2
    rollouts: int = 4
    rollout_lag: float = 0.8
    baseline: bool = True
    summed: bool = False
    entropy: float = 0.01
    teach: bool = True
    l2: float = 0.0
    filters: tuple[tuple[int, int], ...] = ((1, 64), (2, 128), (3, 128), (4, 128), (5, 128), (7, 64), (10, 64))


PRESETS = {
    "default": Method(),
    # 10,000 sequences are 156 batches of 64. The paper's classifier sees as many fakes as real ones in a batch of 64, ours 64
    # of each: its 50 x 3 epochs are as many passes over the data here. 5 x 3 epochs follow each generator step.
    "paper": Method(
        embedding_dim=32,
        hidden_dim=32,
        init_std=0.1,
        mle_steps=120 * 156,
        pretrain_steps=50 * 3 * 156,
        check_every=0,
        mle_rate=0.01,
        adversarial_rate=0.01,
        discriminator_rate=1e-4,
        discriminator_steps=5 * 3 * 156,
        rollouts=16,
        baseline=False,
        summed=True,
        entropy=0.0,
        teach=False,
        l2=0.2,
        filters=PAPER_FILTERS,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is trained. None: the preset's value."""

    preset: Literal["default", "paper"] = "default"
    """paper: the exact numbers and losses of Yu et al. 2017; default: ones that waste less and vary less."""
    policy: Literal["lstm", "gpt2"] = "lstm"
    """An LSTM, or a causal transformer of the GPT-2 kind, randomly initialised."""
    conditional: Literal["auto", "yes", "no"] = "auto"
    """Whether classes are told to both networks; auto: if the data has two or more."""
    embedding_dim: int | None = None
    """Numbers that stand for a token in the LSTM, >= 1 (default 64, paper 32)."""
    hidden_dim: int | None = None
    """Width of the policy, >= 1 (default 128, paper 32)."""
    layers: int = 1
    """Layers of the policy, >= 1."""
    heads: int = 4
    """Attention heads of gpt2; hidden_dim must be a multiple."""
    mle_steps: int | None = None
    """Iterations of maximum likelihood before everything else, >= 0 (default 2000, paper 18,720)."""
    check_every: int | None = None
    """Iterations between looks at held-out data, of which the best is kept as the start of the game; 0: none, and
    the game starts from the last (default 50, paper 0)."""
    mle_rate: float | None = None
    """Learning rate of maximum likelihood, (0, 1] (default 2e-3, paper 0.01)."""
    adversarial_rate: float | None = None
    """Learning rate of the generator in the game, (0, 1] (default 5e-4, paper 0.01)."""
    pretrain_steps: int | None = None
    """Iterations of the discriminator alone, >= 0 (default 600, paper 23,400)."""
    discriminator_steps: int | None = None
    """Discriminator steps a generator step, >= 1 (default 2, paper 2,340)."""
    discriminator_rate: float | None = None
    """Learning rate of the discriminator, (0, 1] (default 1e-3, paper 1e-4)."""
    discriminator: Literal["cnn", "lstm"] = "cnn"
    """The paper's convolutions over windows of tokens, or an LSTM that weighs each token by those before it."""
    discriminator_embedding_dim: int = 64
    """Numbers that stand for a token in the discriminator, and the width of its LSTM, >= 1."""
    discriminator_dropout: float = 0.25
    """Share of the discriminator's features that is dropped while it learns, [0, 1); never while it scores."""
    rollouts: int | None = None
    """Completions of each prefix, >= 1 (default 4, paper 16)."""
    rollout_lag: float | None = None
    """Share of itself that the rollout policy keeps after each generator step, [0, 1] (0.8)."""
    reward: Literal["discriminator", "constant", "random"] = "discriminator"
    """constant and random are controls: what the same steps do without anything to learn from."""
    reward_scale: Literal["probability", "logit"] = "probability"
    """Whether the discriminator rewards by its probability of being real (the paper) or by its logit, a log density ratio."""
    entropy: float | None = None
    """Weight of the entropy bonus in nats a token, >= 0 (default 0.01, paper 0)."""
    teach: bool | None = None
    """Whether a maximum-likelihood step goes with each generator step (default yes, paper no)."""
    clip: float = 5.0
    """Largest gradient norm, >= 0; 0: not clipped."""

    def __post_init__(self) -> None:
        least = {"mle_steps": 0, "check_every": 0, "pretrain_steps": 0, "entropy": 0, "clip": 0}
        least |= dict.fromkeys(("embedding_dim", "hidden_dim", "layers", "heads", "discriminator_steps", "rollouts"), 1)
        least |= {"discriminator_embedding_dim": 1}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and not minimum <= value < float("inf"):
                raise ConfigError(f"model.{name} = {value} must be finite and at least {minimum}")
        for name in ("mle_rate", "adversarial_rate", "discriminator_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ConfigError(f"model.{name} = {value} is outside (0, 1]")
        if not 0 <= self.discriminator_dropout < 1:
            raise ConfigError(f"model.discriminator_dropout = {self.discriminator_dropout} is outside [0, 1)")
        if self.rollout_lag is not None and not 0 <= self.rollout_lag <= 1:
            raise ConfigError(f"model.rollout_lag = {self.rollout_lag} is outside [0, 1]; 0.8 is the paper's")
        for name, known in (
            ("preset", tuple(PRESETS)),
            ("policy", ("lstm", "gpt2")),
            ("conditional", ("auto", "yes", "no")),
            ("discriminator", ("cnn", "lstm")),
            ("reward", ("discriminator", "constant", "random")),
            ("reward_scale", ("probability", "logit")),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(f"model.{name} = {getattr(self, name)!r}; known are {', '.join(known)}")
        if self.policy == "gpt2" and self.method().hidden_dim % self.heads:
            raise ConfigError(
                f"model.hidden_dim = {self.method().hidden_dim} is no multiple of model.heads = {self.heads}; change one"
            )

    def method(self) -> Method:
        """The preset's numbers, with those that are set here in their place."""
        own = {f.name: getattr(self, f.name, None) for f in dataclasses.fields(Method)}
        return dataclasses.replace(PRESETS[self.preset], **{k: v for k, v in own.items() if v is not None})


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How sentences are drawn."""

    temperature: float = 1.0
    """Logits are divided by it, > 0: below 1 surer and less varied."""
    label: str | int | None = None
    """Name of the class, or else its number; None: all classes in turn."""
    prefix: str = ""
    """How every sentence begins."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ConfigError(
                f"temperature = {self.temperature} must be above 0 and finite; 1 is the model's own, 0.01 nearly greedy"
            )


def class_index(label: str | int | None, classes: Sequence[str]) -> int | None:
    """The index of a class given by name, or else by its number. Raises ConfigError for one that the model does not have."""
    if label is None:
        return None
    if str(label) in classes:  # a name comes first: classes may be called 1 and 0
        return list(classes).index(str(label))
    if str(label).isdecimal() and int(label) < len(classes):
        return int(label)
    names = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise ConfigError(f"label = {label!r}: no such class{did_you_mean(str(label), classes)}; there are {names}")
