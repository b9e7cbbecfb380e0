"""SeqGAN (Yu et al. 2017, arXiv:1609.05473): a policy that learns from what a discriminator says of its completions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError, Context, Player, Recipe, Samples, Turn, losses

from .discriminator import Discriminator
from .policy import LSTMPolicy, Policy, TransformerPolicy
from .recurrent import RecurrentDiscriminator
from .rollout import roll_out, sample, scored, valid
from .settings import Config, Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from polygan import Batch, Noise

ROWS = 512
_NO_BASELINE = (
    "one text has no baseline to be compared with; use a larger --batch_size, or fewer --accumulate or processes"
)


class Best(nn.Module):
    """The policy that maximum likelihood made best: the snapshot with the lowest held-out NLL so far."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = copy.deepcopy(policy)
        for name, value in (("ready", 0.0), ("lowest", torch.inf), ("total", 0.0), ("count", 0.0)):
            self.register_buffer(name, torch.tensor(value))

    ready: Tensor
    """1 once there is a snapshot."""
    lowest: Tensor
    total: Tensor
    count: Tensor


class SeqGAN(Recipe):
    """Sequence generative adversarial nets with policy gradient (Yu et al. 2017), algorithm 1."""

    domain = "text"
    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = Sampling
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 3000, "batch_size": 64, "sample_every": 250}
    memory_format = torch.channels_last  # of the discriminator's convolutions

    config: Config

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: vocabulary, length (tokens), start, eos (or None), classes (names)."""
        super().__init__(config, info)
        self.method = config.method()
        self.eos: int | None = info["eos"]
        names = tuple(info.get("classes", ()))
        if config.conditional == "yes" and len(names) < 2:
            raise ConfigError(
                f"model.conditional = yes needs data with two classes or more, and this has {len(names)}: "
                "name a column with --data.label_column, or use --model.conditional auto"
            )
        self.classes = names if config.conditional != "no" and len(names) >= 2 else ()

    def players(self) -> dict[str, Player]:
        """``generator`` and ``discriminator`` learn; ``rollout`` lags behind the former, ``mle`` is its start."""
        m, c = self.method, self.config
        generator, discriminator = self._policy(), self._discriminator()
        optimizer = torch.optim.Adam(generator.parameters(), m.mle_rate)
        slower = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda n: 1.0 if n < m.mle_steps else m.adversarial_rate / m.mle_rate
        )
        return {
            "generator": Player(generator, optimizer, slower, clip=c.clip),
            "discriminator": Player(
                discriminator, torch.optim.Adam(discriminator.parameters(), m.discriminator_rate), clip=c.clip
            ),
            "rollout": Player(copy.deepcopy(generator)),
            "mle": Player(Best(generator)),
        }

    def _policy(self) -> Policy:
        m, info, classes = self.method, self.info, len(self.classes)
        if self.config.policy == "gpt2":
            return TransformerPolicy(
                info["vocabulary"],
                info["length"],
                m.hidden_dim,
                layers=self.config.layers,
                heads=self.config.heads,
                classes=classes,
                start_token=info["start"],
            )
        return LSTMPolicy(
            info["vocabulary"],
            m.embedding_dim,
            m.hidden_dim,
            layers=self.config.layers,
            classes=classes,
            start_token=info["start"],
            init_std=m.init_std,
        )

    def _discriminator(self) -> Discriminator | RecurrentDiscriminator:
        c, vocabulary, classes = self.config, self.info["vocabulary"], len(self.classes)
        width, dropout = c.discriminator_embedding_dim, c.discriminator_dropout
        if c.discriminator == "lstm":
            return RecurrentDiscriminator(vocabulary, width, width, dropout=dropout, classes=classes, eos=self.eos)
        return Discriminator(
            vocabulary, self.info["length"], width, self.method.filters, dropout=dropout, classes=classes
        )

    # The method

    def turns(self) -> list[Turn]:
        """Maximum likelihood until ``a``, the discriminator alone until ``b``, then both against each other."""
        m, run = self.method, self.training
        a, b = m.mle_steps, m.mle_steps + m.pretrain_steps
        if m.baseline and run is not None and run.steps > b and run.batch_size < 2 * run.accumulate:
            raise ConfigError(_NO_BASELINE)
        g, d = ("generator",), ("discriminator",)
        turns = [Turn("mle", g, self.likelihood_loss, stop=a)] if a else []
        if m.check_every:
            turns += [
                Turn("held_out", (), self.held_out, data="held_out", every=m.check_every, repeat=m.check_batches),
                Turn("keep", (), self.keep_best, data=None, every=m.check_every, stop=a + 1),
            ]
            if a % m.check_every:  # the last policy is looked at too
                turns += [
                    Turn("held_out", (), self.held_out, data="held_out", repeat=m.check_batches, start=a, stop=a + 1),
                    Turn("keep", (), self.keep_best, data=None, start=a, stop=a + 1),
                ]
        turns += [
            Turn("begin", (), self.begin, data=None, start=a, stop=a + 1),
            Turn("d_pretrain", d, self.discriminator_loss, start=a, stop=b),
            Turn("g", g, self.generator_loss, start=b),
            Turn("lag", (), self.lag, data=None, start=b),
        ]
        turns += [Turn("teach", g, self.likelihood_loss, start=b)] if m.teach else []
        return [*turns, Turn("d", d, self.discriminator_loss, start=b, repeat=m.discriminator_steps)]

    def notes(self) -> Sequence[str]:
        """Where the run ends before the game begins."""
        begin = self.method.mle_steps + self.method.pretrain_steps
        if self.training is None or self.training.steps > begin:
            return ()
        return (
            f"The game begins at step {begin:,} and this run ends at {self.training.steps:,}: only what comes before it is trained. "
            "Train for more --steps, or lower --model.mle_steps and --model.pretrain_steps.",
        )

    def likelihood_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Mean negative log-likelihood of real tokens, nats a token (teacher forcing)."""
        with ctx.fp32():
            return {"nll": self._nll(ctx["generator"], batch, valid(batch["tokens"], self.eos))}

    def _nll(self, policy: nn.Module, batch: Batch, mask: Tensor) -> Tensor:
        """Mean nats a token of those in the mask (n, L)."""
        tokens = batch["tokens"]
        logits = policy(tokens, self._labels(batch))
        nll = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)
        return (nll * mask).sum() / mask.sum()

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Policy gradient with Monte-Carlo search (eq. 2, 4 and 6), against a baseline unless the preset is the paper's."""
        m, labels, n = self.method, self._labels(batch), len(batch["tokens"])
        if m.baseline and n < 2:
            raise ConfigError(_NO_BASELINE)
        policy: Any = ctx.players["generator"].module
        with ctx.fp32():
            tokens = sample(policy, ctx.noise.uniform(n, self.info["length"], 2), eos=self.eos, labels=labels)
        rewards = self._rewards(ctx, tokens, labels)
        mask = valid(tokens, self.eos)
        count = mask.sum()
        ctx.observe("reward", (rewards * mask).sum() / count)
        advantage = rewards
        if m.baseline:  # against the mean of each time step over the batch, then of unit variance
            advantage = rewards - (rewards * mask).sum(0) / mask.sum(0).clamp(min=1)
            advantage = advantage / ((advantage.square() * mask).sum() / count + 1e-8).sqrt()
        with ctx.fp32():
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

    def _rewards(self, ctx: Context, tokens: Tensor, labels: Tensor | None) -> Tensor:
        """Action values (n, L): what the discriminator thinks of completions from each prefix (eq. 4), or a control.

        Its probability of being real as in the paper, or its logit: near log p_real - log p_generator, whose policy gradient
        is that of minus the reverse Kullback-Leibler divergence.
        """
        if self.config.reward == "constant":
            return torch.ones(tokens.shape, device=tokens.device)
        if self.config.reward == "random":
            return ctx.noise.uniform(*tokens.shape)
        policy: Any = ctx.players["rollout"].module
        judge: Any = ctx.players["discriminator"].module
        with ctx.fp32():
            complete = roll_out(policy, tokens, self.method.rollouts, ctx.noise, eos=self.eos, labels=labels)
        searched, whole = judge.score_completions(tokens, complete, labels), judge.score(tokens, labels)
        if self.config.reward_scale == "probability":
            searched, whole = searched.sigmoid(), whole.sigmoid()
        return torch.cat([searched.mean(1).t(), whole[:, None]], 1)  # (n, L - 1), (n, 1)

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of real sentences against fresh ones of the policy (eq. 5), of the same classes."""
        labels, n = self._labels(batch), len(batch["tokens"])
        policy: Any = ctx.players["generator"].module
        with ctx.fp32():
            fake = sample(policy, ctx.noise.uniform(n, self.info["length"], 2), eos=self.eos, labels=labels)
        both = torch.cat([batch["tokens"], fake])  # as one batch: the weights are read once
        logits = ctx["discriminator"](both, None if labels is None else labels.repeat(2))
        real_logits, fake_logits = logits.chunk(2)
        ctx.observe_logits(real_logits, fake_logits)
        # One mean over both kinds, as in a classifier's batch.
        terms = {k: v / 2 for k, v in losses.ADVERSARIAL["minimax"].discriminator(real_logits, fake_logits).items()}
        if self.method.l2 and self.config.discriminator == "cnn":  # of the paper's classifier
            head: Any = ctx.players["discriminator"].module
            # Of two columns ±w/2 under a softmax, which have the penalty l2 / 2 * (|w/2|^2 + |w/2|^2).
            terms["l2"] = self.method.l2 / 4 * torch.stack([p.square().sum() for p in head.head.parameters()]).sum()
        return terms

    # Turns that observe

    def held_out(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """NLL of held-out sentences; its sums wait in buffers, which the trainer averages over processes."""
        best: Any = ctx.players["mle"].module
        with ctx.fp32():
            nll = self._nll(ctx["generator"], batch, scored(batch["tokens"], self.info))
        best.total += nll
        best.count += 1
        return {"nll": nll}

    def keep_best(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Early stopping: the snapshot becomes the policy where its held-out NLL is the lowest so far."""
        best: Any = ctx.players["mle"].module
        nll = best.total / best.count
        better = nll < best.lowest
        for mine, its in zip(best.policy.parameters(), ctx.players["generator"].module.parameters(), strict=True):
            mine.copy_(torch.where(better, its, mine))
        best.lowest.copy_(torch.where(better, nll, best.lowest))  # one that is not finite is never better
        best.ready.fill_(1)
        best.total.zero_()
        best.count.zero_()
        return {}

    def begin(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The adversarial game starts from the best policy of maximum likelihood, the paper's from the last one."""
        best: Any = ctx.players["mle"].module
        generator = ctx.players["generator"].module
        if self.method.check_every:
            _follow(generator, best.policy, 0.0)
        else:
            _follow(best.policy, generator, 0.0)
        best.ready.fill_(1)
        _follow(ctx.players["rollout"].module, generator, 0.0)
        return {}

    def lag(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The rollout policy moves a part of the way to the generator."""
        _follow(ctx.players["rollout"].module, ctx.players["generator"].module, self.method.rollout_lag)
        return {}

    def _labels(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.classes else None

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch."""
        return networks["discriminator"](batch["tokens"], self._labels(batch))

    # Use

    def preview(self) -> tuple[int, Sampling]:
        """24 sentences."""
        return 24, Sampling()

    def generate(self, networks: Mapping[str, nn.Module], n: int, noise: Noise, options: Sampling) -> Samples:
        """``n`` texts; their tokens (n, L) in ``extra["tokens"]``. Class i modulo their number, or the one asked for."""
        from .domain import TextDomain, class_index, decode, encode_prefix

        policy: Any = networks["generator"]
        device = next(policy.parameters()).device
        prefix = encode_prefix(options.prefix, self.info) if options.prefix else None
        labels = None
        if self.classes:
            label = class_index(options.label, self.classes)
            labels = torch.arange(n) % len(self.classes) if label is None else torch.full((n,), label)
        elif options.label is not None:
            raise ConfigError(f"label = {options.label!r}: this model was trained without classes; leave the label out")
        uniform = noise.uniform(n, self.info["length"], 2)
        pieces = []
        for begin in range(0, n, ROWS):
            rows = slice(begin, begin + ROWS)
            pieces.append(
                sample(
                    policy,
                    uniform[rows].to(device),
                    eos=self.eos,
                    labels=None if labels is None else labels[rows].to(device),
                    prefix=None if prefix is None else prefix.to(device),
                    temperature=options.temperature,
                ).cpu()
            )
        tokens = torch.cat(pieces)
        return Samples(decode(tokens, self.info), TextDomain(), labels, self.classes, extra={"tokens": tokens})

    @torch.no_grad()
    def log_likelihood(
        self, policy: Policy, tokens: Tensor, labels: Tensor | None = None, temperature: float = 1.0
    ) -> Tensor:
        """(n, L) nats of each token (n, L) under a policy in evaluation mode, 0 after the end of a sentence."""
        device = next(policy.parameters()).device
        found = []
        for begin in range(0, len(tokens), ROWS):
            rows = slice(begin, begin + ROWS)
            told = labels[rows].to(device) if self.classes and labels is not None else None
            found.append(policy.log_probabilities(tokens[rows].to(device), told, temperature).cpu())
        return torch.cat(found) * valid(tokens, self.eos)


def _follow(follower: nn.Module, leader: nn.Module, kept: float) -> None:
    """The follower's parameters become ``kept`` of themselves and the rest of the leader's."""
    for mine, its in zip(follower.parameters(), leader.parameters(), strict=True):
        mine.lerp_(its, 1 - kept)
