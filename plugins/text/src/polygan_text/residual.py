"""Texts that a discriminator chooses (Deng et al. 2020, arXiv:2004.11714): maximum likelihood, then the discriminator alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch

from polygan import Checked, ConfigError, Player, Turn, ranged

from .pretrained.facts import complete, kept
from .seqgan import SeqGAN
from .settings import Config as SeqGANConfig
from .settings import Method, automatic, gentle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from polygan import TrainerSettings

    from .data.facts import TextInfo


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of ``text/residual``."""

    typed_only: ClassVar[tuple[str, ...]] = ("trust_remote_code",)

    rerank: int = ranged(8, "[1, 1024]", usual=8)
    """Texts of the policy among which the discriminator chooses each sample; ``--rerank`` chooses another number later."""
    policy: str = "lstm"
    """lstm; gpt2: a causal transformer of the GPT-2 kind, randomly initialised; or a folder of transformers: a pretrained causal
    language model with its tokenizer, also named by --data.tokenizer. An id of the Hub works if the local cache has the model."""
    lora: int = ranged(0, "[0, inf)", usual=16)
    """Rank of the adapters that learn in a pretrained policy, whose own weights then stay as they are; 0: all weights learn."""
    trust_remote_code: bool = False
    """Whether Python code in a pretrained folder may run. What a saved run says here counts for nothing: type it each time."""
    pretrained: str = ""
    """Filled in by polygan: what a run remembers of pretrained folders, and the hashes of their weights."""
    conditional: Literal["auto", "yes", "no"] = "auto"
    """Whether both networks know the class; auto: if the data has two or more classes."""
    embedding_dim: int | None = ranged(None, "[1, inf)")
    """Numbers that stand for a token in the LSTM (64; for text of 1,000 words or more 128)."""
    hidden_dim: int | None = ranged(None, "[1, inf)")
    """Width of the policy (128; for text of 1,000 words or more 256)."""
    layers: int = ranged(1, "[1, inf)")
    """Layers of the policy."""
    dropout: float | None = ranged(None, "[0, 1)")
    """Share of the policy's features that maximum likelihood drops (0; for text of 1,000 words or more 0.4)."""
    tied: bool | None = None
    """Whether the LSTM's last matrix is its embedding (no; for text of 1,000 words or more yes); gpt2 always ties them."""
    heads: int = ranged(4, "[1, inf)")
    """Attention heads of gpt2; hidden_dim must be a multiple of heads."""
    mle_steps: int = ranged(2000, "[1, inf)")
    """Iterations of maximum likelihood; the discriminator learns in the iterations after them."""
    check_every: int = ranged(50, "[0, inf)")
    """Iterations between checks on held-out data; the best policy of all checks is kept. 0: no checks, and the last policy is kept."""
    check_texts: int = ranged(256, "[1, inf)", usual=256)
    """Held-out texts that a check looks at, the same each time, rounded up to whole batches."""
    mle_rate: float | None = ranged(None, "(0, 1]")
    """Learning rate of maximum likelihood (2e-3; for text of 1,000 words or more 4e-3; a pretrained policy: 5e-5, with adapters 5e-4)."""
    discriminator: str = "lstm"
    """cnn: convolutions over windows of tokens; lstm: an LSTM that weighs each token by the tokens before it; or a folder of
    transformers: a pretrained sequence classifier or encoder with the tokenizer of the data."""
    discriminator_embedding_dim: int = ranged(64, "[1, inf)")
    """Numbers that stand for a token in the discriminator, and the width of its LSTM."""
    discriminator_dropout: float = ranged(0.25, "[0, 1)")
    """Share of the discriminator's features that is dropped while it learns; never while it scores."""
    discriminator_rate: float | None = ranged(None, "(0, 1]")
    """Learning rate of the discriminator (default 1e-3; pretrained: 2e-5)."""
    clip: float = ranged(5.0, "[0, inf)")
    """Largest gradient norm; 0: not clipped."""

    def __post_init__(self) -> None:
        super().__post_init__()
        complete(self)
        width = self.method().hidden_dim
        if self.policy == "gpt2" and width % self.heads:
            raise ConfigError(f"model.hidden_dim = {width} is no multiple of model.heads = {self.heads}; change either")

    def method(self, info: TextInfo | None = None) -> Method:
        """The numbers of `SeqGAN` that this method has too, for data with the facts ``info``."""
        own = {f.name: getattr(self, f.name, None) for f in dataclasses.fields(Method)}
        return replace(gentle(automatic(self.policy, info), self), **{k: v for k, v in own.items() if v is not None})


class Residual(SeqGAN):
    """A policy by maximum likelihood, a discriminator that learns against this fixed policy, and texts that it chooses.

    The policy never sees a reward, so nothing can go wrong with it; the gain lies in the choice. The choice among K texts has a
    likelihood, and ``text/nll-held-out`` is the likelihood of the sampler itself.
    """

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 4000, "batch_size": 64, "sample_every": 500}
    first_options: ClassVar[tuple[str, ...]] = ("rerank", "discriminator")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: vocabulary, length (tokens), start, eos (or None), classes (names)."""
        super().__init__(cast("SeqGANConfig", config), info)
        self.copies = config.rerank

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator`` learn, one after the other; ``mle`` is the best policy."""
        found = super().networks()
        return {name: found[name] for name in ("generator", "discriminator", "mle")}

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both."""
        m, clip = self.method, self.config.clip
        self._checks.batch_size = training.batch_size
        policy, judge = networks["generator"], networks["discriminator"]
        optimizer = torch.optim.Adam(policy.parameters(), m.mle_rate)
        slower = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: m.share_of_rate(n))
        opponent = torch.optim.Adam(judge.parameters(), m.discriminator_rate)
        return {
            "generator": Player(policy, optimizer, slower, clip=clip),
            "discriminator": Player(judge, opponent, clip=clip),
        }

    def turns(self) -> list[Turn]:
        """Maximum likelihood until ``a``, and then the discriminator."""
        a = self.method.mle_steps
        return [
            Turn("mle", ("generator",), self.likelihood_loss, stop=a),
            *self._checks.of_likelihood(a),
            Turn("begin", (), self._checks.begin, data=None, start=a, stop=a + 1),
            Turn("d", ("discriminator",), self.discriminator_loss, start=a),
        ]

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """A warning if the run ends before the discriminator learns."""
        if training.steps > self.method.mle_steps:
            return kept(self.config)
        return (
            *kept(self.config),
            f"The discriminator learns from step {self.method.mle_steps:,} on and this run ends at {training.steps:,}: it never "
            "learns, and chooses at random. Use more --steps, or lower --model.mle_steps.",
        )
