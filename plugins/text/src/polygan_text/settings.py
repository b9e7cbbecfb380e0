"""SeqGAN's settings: None takes the preset's value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from polygan import Checked, ConfigError, ranged

from .discriminator import PAPER_FILTERS
from .pretrained.facts import CHOICES, complete

if TYPE_CHECKING:
    from .data.facts import TextInfo


@dataclass(frozen=True, kw_only=True)
class Method:
    """The numbers of a preset."""

    embedding_dim: int = 64
    hidden_dim: int = 128
    dropout: float = 0.0
    tied: bool = False
    init_std: float = 0.0
    mle_steps: int = 2000
    pretrain_steps: int = 600
    check_every: int = 50
    check_batches: int = 4
    check_texts: int = 0
    mle_rate: float = 2e-3
    mle_end: float = 1.0
    adversarial_rate: float = 5e-4
    discriminator_rate: float = 1e-3
    discriminator_steps: int = 2
    rollouts: int = 4
    rollout_lag: float = 0.8
    baseline: bool = True
    running_whitening: bool = False
    own_optimizers: bool = False
    summed: bool = False
    entropy: float = 0.01
    teach: bool = True
    l2: float = 0.0
    filters: tuple[tuple[int, int], ...] = ((1, 64), (2, 128), (3, 128), (4, 128), (5, 128), (7, 64), (10, 64))

    def share_of_rate(self, step: int) -> float:
        """The generator's rate at a step, as a share of ``mle_rate``: in the second half of maximum likelihood it falls to ``mle_end``."""
        if step >= self.mle_steps:
            return self.adversarial_rate / self.mle_rate
        return min(1.0, max(self.mle_end, 2 * (1 - step / self.mle_steps)))


PRESETS = {
    "auto": Method(running_whitening=True, own_optimizers=True, check_texts=256),
    "default": Method(),
    # 10,000 sequences are 156 batches of 64. A batch of the paper's classifier has 64 real and fake sequences together, a
    # batch here 64 of each kind, so 50 x 3 epochs are as many passes over the data. 5 x 3 epochs follow each generator step.
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
WORDS = dataclasses.replace(
    PRESETS["auto"], embedding_dim=128, hidden_dim=256, dropout=0.4, tied=True, mle_rate=4e-3, mle_end=0.05
)
"""The preset ``auto`` of an LSTM for text with many words: a wide policy that cannot learn some thousand texts by heart."""
MANY_WORDS = 1000
"""Tokens of a vocabulary from which on the preset ``auto`` is `WORDS`."""


def automatic(policy: str, info: TextInfo | None) -> Method:
    """The numbers of the preset ``auto`` for a kind of policy and the facts of the data; None: not known yet."""
    text = info is not None and "tokenizer" in info and info["vocabulary"] >= MANY_WORDS
    return WORDS if text and policy == "lstm" else PRESETS["auto"]


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of SeqGAN. None: the preset's value. Where the preset ``auto`` has another value for text of 1,000 words or more,
    the value stands as "words"."""

    typed_only: ClassVar[tuple[str, ...]] = ("trust_remote_code",)

    preset: Literal["auto", "default", "paper"] = "auto"
    """auto: numbers that suit the data; default: the same numbers for all data, as runs of earlier versions have; paper: the
    exact numbers and losses of Yu et al. 2017."""
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
    """Numbers that stand for a token in the LSTM (default 64, words 128, paper 32)."""
    hidden_dim: int | None = ranged(None, "[1, inf)")
    """Width of the policy (default 128, words 256, paper 32)."""
    layers: int = ranged(1, "[1, inf)")
    """Layers of the policy."""
    dropout: float | None = ranged(None, "[0, 1)")
    """Share of the policy's features that maximum likelihood drops; nothing is dropped from what writes texts (default 0, words 0.4)."""
    tied: bool | None = None
    """Whether the LSTM's last matrix is its embedding (default no, words yes); gpt2 always ties them."""
    heads: int = ranged(4, "[1, inf)")
    """Attention heads of gpt2; hidden_dim must be a multiple of heads."""
    mle_steps: int | None = ranged(None, "[0, inf)")
    """Iterations of maximum likelihood before everything else (default 2000, paper 18,720)."""
    check_every: int | None = ranged(None, "[0, inf)")
    """Iterations between checks on held-out data; the game starts from the best policy of all checks. 0: no checks,
    and the game starts from the last policy (default 50, paper 0)."""
    check_texts: int | None = ranged(None, "[1, inf)")
    """Held-out texts that a check looks at, the same each time, rounded up to whole batches (default 256; the presets default
    and paper look at four batches)."""
    mle_rate: float | None = ranged(None, "(0, 1]")
    """Learning rate of maximum likelihood (default 2e-3, words 4e-3, paper 0.01; a pretrained policy: 5e-5, with adapters 5e-4)."""
    adversarial_rate: float | None = ranged(None, "(0, 1]")
    """Learning rate of the generator in the game (default 5e-4, paper 0.01; a pretrained policy: a fifth of mle_rate's default)."""
    pretrain_steps: int | None = ranged(None, "[0, inf)")
    """Iterations of the discriminator alone (default 600, paper 23,400)."""
    discriminator_steps: int | None = ranged(None, "[1, inf)")
    """Discriminator steps a generator step (default 2, paper 2,340)."""
    discriminator_rate: float | None = ranged(None, "(0, 1]")
    """Learning rate of the discriminator (default 1e-3, paper 1e-4; pretrained: 2e-5)."""
    discriminator: str = "cnn"
    """cnn: the paper's convolutions over windows of tokens; lstm: an LSTM that weighs each token by the tokens before it; or a folder of
    transformers: a pretrained sequence classifier or encoder with the tokenizer of the data."""
    discriminator_embedding_dim: int = ranged(64, "[1, inf)")
    """Numbers that stand for a token in the discriminator, and the width of its LSTM."""
    discriminator_dropout: float = ranged(0.25, "[0, 1)")
    """Share of the discriminator's features that is dropped while it learns; never while it scores."""
    rewards: Literal["rollouts", "dense", "sequence"] = "rollouts"
    """Where a token's reward comes from. rollouts: scores of completions (the paper). dense: what the token and the tokens after it
    add to the logit of the ``lstm`` discriminator; nothing is completed, so a step is much faster. sequence: the score of the whole
    text, against the mean of the batch's other texts (Ahmadian et al. 2024)."""
    rollouts: int | None = ranged(None, "[1, inf)")
    """Completions of each prefix (default 4, paper 16)."""
    kl: float = ranged(0.05, "[0, inf)", usual=0.05)
    """With rewards sequence: what a nat of divergence from the start of the game costs, in units of the reward."""
    rollout_every: int = ranged(1, "[1, inf)", usual=1)
    """Tokens between the prefixes that are completed; the tokens between share the next prefix's value. For texts of hundreds of tokens."""
    rollout_length: int = ranged(0, "[0, inf)")
    """Tokens after which a completion is cut and scored as it is; 0: completions go on to their end. ``cnn`` reads an end at the cut."""
    rollout_lag: float | None = ranged(None, "[0, 1]", hint="0.8 is the paper's")
    """Share of itself that the rollout policy keeps after each generator step (0.8)."""
    reward: Literal["discriminator", "constant", "random"] = "discriminator"
    """constant and random are controls: the same steps with rewards that teach nothing."""
    reward_scale: Literal["probability", "logit"] = "probability"
    """The reward: the discriminator's probability of being real (the paper), or its logit, a log density ratio. Dense rewards are parts of the logit."""
    probation: Literal["undo", "tell"] = "undo"
    """What becomes of a game that makes held-out text less likely than its start does, by more than `tolerance`.
    undo: the generator goes back to the start; tell: the game goes on and the console says so. Both need checks (`check_every`)."""
    tolerance: float = ranged(0.02, "[0, inf)", usual=0.02)
    """Nats a token of held-out text that the game may lose against its start."""
    entropy: float | None = ranged(None, "[0, inf)")
    """Weight of the entropy bonus in nats a token (default 0.01, paper 0)."""
    teach: bool | None = None
    """Whether a maximum-likelihood step goes with each generator step (default yes, paper no)."""
    clip: float = ranged(5.0, "[0, inf)")
    """Largest gradient norm; 0: not clipped."""

    def __post_init__(self) -> None:
        super().__post_init__()
        complete(self)
        if self.policy == "gpt2" and self.method().hidden_dim % self.heads:
            raise ConfigError(
                f"model.hidden_dim = {self.method().hidden_dim} is no multiple of model.heads = {self.heads}; change either"
            )
        if self.rewards == "dense" and self.discriminator != "lstm":
            raise ConfigError(
                f"model.rewards = dense needs a discriminator that scores each token, and {self.discriminator} does not; "
                "add --model.discriminator lstm, or leave --model.rewards out"
            )

    def method(self, info: TextInfo | None = None) -> Method:
        """The preset's numbers for data with the facts ``info``, replaced by the settings that are not None."""
        own = {f.name: getattr(self, f.name, None) for f in dataclasses.fields(Method)}
        if self.rewards == "sequence" and self.entropy is None:  # the divergence from the start keeps the variety
            own["entropy"] = 0.0
        preset = automatic(self.policy, info) if self.preset == "auto" else PRESETS[self.preset]
        return dataclasses.replace(gentle(preset, self), **{k: v for k, v in own.items() if v is not None})


def gentle(method: Method, config: Any) -> Method:
    """The numbers of a preset with the learning rates that suit pretrained networks."""
    policy, judge = (getattr(config, name) not in known for name, known in CHOICES.items())
    if policy:
        rate = 5e-4 if config.lora else 5e-5
        method = dataclasses.replace(method, mle_rate=rate, adversarial_rate=rate / 5)
    return dataclasses.replace(method, discriminator_rate=2e-5) if judge else method


@dataclass(frozen=True, kw_only=True)
class Drawing(Checked):
    """How tokens are drawn, and how the discriminator chooses among texts."""

    temperature: float = ranged(1.0, "(0, inf)", hint="1 is the model's own, 0.01 nearly greedy")
    """Divides the logits: below 1, sentences are surer and less varied."""
    top_k: int = ranged(0, "[0, inf)", hint="0 draws from all")
    """Each token is one of so many of the most likely ones."""
    top_p: float = ranged(1.0, "(0, 1]", hint="1 draws from all")
    """Each token is one of the most likely ones that together have this probability."""
    rerank: int = ranged(0, "[0, 1024]", hint="1 asks no discriminator")
    """Each text is one of so many texts of the policy, chosen by the discriminator; 0: as many as the recipe says, which is 1 for most."""
    rerank_by: Literal["weight", "best"] = "weight"
    """weight: a text is chosen by e^logit, which keeps the variety of real texts; best: the text that looks most real."""
    unknown: bool = False
    """Whether ``<unk>``, the token of words outside the vocabulary, may be written."""


@dataclass(frozen=True, kw_only=True)
class Sampling(Drawing):
    """How sentences are drawn."""

    label: str | int | None = None
    """Name of the class, or else its number; None: all classes in turn."""
    prefix: str = ""
    """How every sentence begins."""
