"""SeqGAN (Yu et al. 2017, arXiv:1609.05473): a policy learns from a discriminator's scores of its completions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError, Context, Player, Turn, classes_of, losses

from .base import TextGAN
from .data.facts import OPEN
from .discriminator import Discriminator
from .early_stopping import Best, Checks, follow
from .policy import LSTMPolicy, Policy, TransformerPolicy, without_dropout
from .pretrained.discriminator import pretrained_discriminator
from .pretrained.facts import CHOICES, conditional, kept
from .pretrained.policy import pretrained_policy
from .pretrained.sequence import sequence_terms
from .recurrent_discriminator import RecurrentDiscriminator
from .reranking import chosen_log_ratio
from .rollout import roll_out, sample, valid
from .settings import Config
from .whitening import Whitening

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from polygan import Batch, TrainerSettings

_NO_BASELINE = (
    "a batch of one text has no baseline; use a larger --batch_size, a smaller --accumulate, or fewer processes"
)
_NO_CUT = (
    "model.rollout_length cuts completions, and these texts have no end that a discriminator could read at the cut; "
    "add --model.discriminator lstm, or leave --model.rollout_length out"
)


class SeqGAN(TextGAN[Config]):
    """Sequence generative adversarial nets with policy gradient (Yu et al. 2017), algorithm 1."""

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 2700, "batch_size": 64, "sample_every": 250}
    first_options: ClassVar[tuple[str, ...]] = ("preset", "discriminator")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: vocabulary, length (tokens), start, eos (or None), classes (names)."""
        super().__init__(config, info)
        self.method = config.method(self.text)
        self.classes = classes_of(conditional(config), info, "name a column with --data.label_column,")
        self._checks = Checks(config, self.text, self._nats)

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator`` learn; ``rollout`` lags behind the generator, ``mle`` starts the game."""
        generator, discriminator = self._policy(), self._discriminator()
        rollout, mle = copy.deepcopy(generator), Best(generator)
        found = {"generator": generator, "discriminator": discriminator, "rollout": rollout, "mle": mle}
        if getattr(self.config, "rewards", "") == "sequence":  # nothing is completed
            del found["rollout"]
            return found
        return {**found, "whitening": Whitening()} if self.method.running_whitening else found

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both; the generator's rate changes when the game begins, and the game's turns have an Adam each.

        Raises ConfigError for a batch without a baseline, and for completions that cannot be cut.
        """
        m, clip = self.method, self.config.clip
        self._checks.batch_size = training.batch_size
        baseline = m.baseline or self.config.rewards == "sequence"
        if baseline and training.steps > self._begin and training.batch_size < 2 * training.accumulate:
            raise ConfigError(_NO_BASELINE)
        if self.config.rollout_length and self.config.discriminator != "lstm" and self.eos is None:
            raise ConfigError(_NO_CUT)
        generator, discriminator = networks["generator"], networks["discriminator"]
        optimizer = torch.optim.Adam(generator.parameters(), m.mle_rate)
        slower = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: m.share_of_rate(n))
        turns = ("g", "teach") if m.teach else ("g",)
        own = {t: torch.optim.Adam(generator.parameters(), m.adversarial_rate) for t in turns if m.own_optimizers}
        opponent = torch.optim.Adam(discriminator.parameters(), m.discriminator_rate)
        return {
            "generator": Player(generator, optimizer, slower, clip=clip, others=own),
            "discriminator": Player(discriminator, opponent, clip=clip),
        }

    @property
    def _begin(self) -> int:
        """The step at which the game begins."""
        return self.method.mle_steps + self.method.pretrain_steps

    def _policy(self) -> Policy:
        m, c, info = self.method, self.config, self.text
        if c.policy not in CHOICES["policy"]:
            return pretrained_policy(c, info)
        shared = {
            "layers": c.layers,
            "classes": len(self.classes),
            "start_token": info["start"],
            "dropout": m.dropout,
        }
        if c.policy == "gpt2":
            return TransformerPolicy(info["vocabulary"], info["length"], m.hidden_dim, heads=c.heads, **shared)
        return LSTMPolicy(info["vocabulary"], m.embedding_dim, m.hidden_dim, init_std=m.init_std, tied=m.tied, **shared)

    def _discriminator(self) -> nn.Module:
        c, vocabulary, classes = self.config, self.text["vocabulary"], len(self.classes)
        if c.discriminator not in CHOICES["discriminator"]:
            return pretrained_discriminator(c, self.text)
        width, dropout = c.discriminator_embedding_dim, c.discriminator_dropout
        if c.discriminator == "lstm":
            return RecurrentDiscriminator(vocabulary, width, width, dropout=dropout, classes=classes, eos=self.eos)
        return Discriminator(
            vocabulary, self.text["length"], width, self.method.filters, dropout=dropout, classes=classes
        )

    # The method

    def turns(self) -> list[Turn]:
        """Maximum likelihood until ``a``, the discriminator alone until ``b``, then both against each other."""
        m, a, b = self.method, self.method.mle_steps, self._begin
        g, d = ("generator",), ("discriminator",)
        turns = [Turn("mle", g, self.likelihood_loss, stop=a)] if a else []
        turns += [
            *self._checks.of_likelihood(a),
            Turn("begin", (), self._checks.begin, data=None, start=a, stop=a + 1),
            Turn("d_pretrain", d, self.discriminator_loss, start=a, stop=b),
            Turn("g", g, self.generator_loss, start=b),
        ]
        turns += [Turn("lag", (), self.lag, data=None, start=b)] if self.config.rewards != "sequence" else []
        turns += [Turn("teach", g, self.likelihood_loss, start=b)] if m.teach else []
        turns += [Turn("d", d, self.discriminator_loss, start=b, repeat=m.discriminator_steps)]
        return [
            *turns,
            *self._checks.of_game(b),
        ]  # last, so that the random numbers of the other turns stay as they are

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """A warning if the run ends before the game begins."""
        if training.steps > self._begin:
            return kept(self.config)
        return (
            *kept(self.config),
            f"The game begins at step {self._begin:,} and this run ends at {training.steps:,}: the adversarial training never starts. "
            "Use more --steps, or lower --model.mle_steps and --model.pretrain_steps.",
        )

    def remarks(self, values: Mapping[str, float]) -> Sequence[str]:
        """A sentence if a check found that the game lost more than the tolerance."""
        return self._checks.remarks(values)

    def likelihood_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Mean negative log-likelihood of real tokens, nats a token (teacher forcing)."""
        mask = valid(batch["tokens"], self.eos)
        with ctx.fp32():
            return {"nll": (self._nats(ctx["generator"], batch) * mask).sum() / mask.sum()}

    def _nats(self, policy: nn.Module, batch: Batch) -> Tensor:
        """(n, L) nats of each token."""
        tokens = batch["tokens"]
        logits = policy(tokens, self._labels(batch))
        return F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Policy gradient with Monte-Carlo search (eq. 2, 4 and 6), against a baseline unless the preset is the paper's."""
        if self.config.rewards == "sequence":
            return sequence_terms(self, ctx, batch)
        m, labels, n = self.method, self._labels(batch), len(batch["tokens"])
        if m.baseline and n < 2:
            raise ConfigError(_NO_BASELINE)
        policy: Any = ctx.players["generator"].module
        with ctx.fp32():
            tokens = sample(policy, ctx.noise.uniform(n, self.text["length"], 2), eos=self.eos, labels=labels)
        rewards = self._rewards(ctx, tokens, labels)
        mask = valid(tokens, self.eos)
        count = mask.sum()
        ctx.observe("reward", (rewards * mask).sum() / count)
        advantage = self._advantage(ctx, rewards, mask) if m.baseline else rewards
        with ctx.fp32(), without_dropout(policy):  # the distribution that the texts were drawn from
            logp = ctx["generator"](tokens, labels).log_softmax(2)
            chosen = logp.gather(2, tokens[:, :, None]).squeeze(2)  # (n, L)
            # The trainer takes the mean over processes and micro-batches; the paper's loss is the sum over the batch.
            scale = ctx.noise.parts if m.summed else 1 / count
            terms: dict[str, Tensor] = {"policy": -(advantage * chosen * mask).sum() * scale}
            entropy = (-(logp.exp() * logp).sum(2) * mask).sum() / count
            ctx.observe("entropy", entropy)
            if m.entropy:
                terms["entropy"] = -m.entropy * entropy
        return terms

    def _advantage(self, ctx: Context, rewards: Tensor, mask: Tensor) -> Tensor:
        """Rewards (n, L) against the batch's mean of each time step, scaled to unit variance: the batch's own or the running one."""
        centred = rewards - (rewards * mask).sum(0) / mask.sum(0).clamp(min=1)
        square = (centred.square() * mask).sum() / mask.sum()
        if self.method.running_whitening:
            whitening: Any = ctx.players["whitening"].module
            square = whitening.follow(square)
        return centred / (square + 1e-8).sqrt()

    def _rewards(self, ctx: Context, tokens: Tensor, labels: Tensor | None) -> Tensor:
        """Action values (n, L): the discriminator's mean score of each prefix's completions (eq. 4), or a control.

        A score is the probability of being real, as in the paper, or the logit. A logit is near log p_real - log p_generator,
        and its policy gradient is the gradient of minus the reverse Kullback-Leibler divergence. A dense reward is the sum of the
        logit's terms of this token and of the tokens after it. Both rewards have the gradient of the mean logit.
        """
        if self.config.reward == "constant":
            return torch.ones(tokens.shape, device=tokens.device)
        if self.config.reward == "random":
            return ctx.noise.uniform(*tokens.shape)
        discriminator: Any = ctx.players["discriminator"].module
        if self.config.rewards == "dense":  # from each token to the end
            return discriminator.terms(tokens, labels).flip(1).cumsum(1).flip(1)
        policy: Any = ctx.players["rollout"].module
        c, length = self.config, tokens.shape[1]
        with ctx.fp32():
            complete = roll_out(
                policy,
                tokens,
                self.method.rollouts,
                ctx.noise,
                eos=self.eos,
                labels=labels,
                every=c.rollout_every,
                cut=c.rollout_length,
            )
        if c.rollout_length and c.discriminator != "lstm":
            complete = complete.masked_fill(complete == OPEN, self.eos or 0)
        searched = discriminator.score_completions(tokens, complete, labels)
        whole = discriminator.score(tokens, labels)
        if self.config.reward_scale == "probability":
            searched, whole = searched.sigmoid(), whole.sigmoid()
        values = torch.cat([searched.mean(1).t(), whole[:, None]], 1)  # (n, prefixes), (n, 1)
        # Tokens between two completed prefixes share the value of the later one.
        return values[:, [min(t // c.rollout_every, len(searched)) for t in range(length)]]

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of real sentences against fresh sentences of the policy (eq. 5), of the same classes."""
        labels, n = self._labels(batch), len(batch["tokens"])
        policy: Any = ctx.players["generator"].module
        with ctx.fp32():
            fake = sample(policy, ctx.noise.uniform(n, self.text["length"], 2), eos=self.eos, labels=labels)
        both = torch.cat([batch["tokens"], fake])  # as one batch: the weights are read once
        logits = ctx["discriminator"](both, None if labels is None else labels.repeat(2))
        real_logits, fake_logits = logits.chunk(2)
        ctx.observe_logits(real_logits, fake_logits)
        # One mean over both kinds, as in a classifier's batch.
        terms = {k: v / 2 for k, v in losses.ADVERSARIAL["minimax"].discriminator(real_logits, fake_logits).items()}
        if self.method.l2 and self.config.discriminator == "cnn":  # as in the paper's classifier
            discriminator: Any = ctx.players["discriminator"].module
            squares = torch.stack([p.square().sum() for p in discriminator.head.parameters()])
            # The paper's softmax has two columns ±w/2, whose penalty is l2 / 2 * (|w/2|^2 + |w/2|^2).
            terms["l2"] = self.method.l2 / 4 * squares.sum()
        return terms

    def lag(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Move the rollout policy a part of the way to the generator."""
        follow(ctx.players["rollout"].module, ctx.players["generator"].module, self.method.rollout_lag)
        return {}

    def _labels(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.classes else None

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch."""
        return networks["discriminator"](batch["tokens"], self._labels(batch))

    def chosen_log_ratio(
        self,
        networks: Mapping[str, nn.Module],
        data: Tensor,
        labels: Tensor | None,
        copies: int,
        temperature: float = 1.0,
    ) -> Tensor:
        """(n,) nats by which the discriminator's choice makes texts (n, L) likelier than the policy does (`reranking`)."""
        policy: Any = networks["generator"]
        judge: Any = networks["discriminator"]
        facts: Any = {"copies": copies, "classes": len(self.classes), "eos": self.eos, "temperature": temperature}
        return chosen_log_ratio(policy, judge, data, labels, **facts)
