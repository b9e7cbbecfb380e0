"""LeakGAN (Guo et al. 2018, arXiv:1709.08624): a manager sets goals from the discriminator's leaked features, a worker writes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError, Context, Player, Turn, losses

from .base import TextGAN
from .discriminator import Discriminator
from .early_stopping import Best, follow
from .leaking.checks import LeakChecks
from .leaking.goals import Goals, SegmentGoals, WindowGoals
from .leaking.networks import Manager, Worker
from .leaking.policy import LeakPolicy, prefix_features
from .leaking.rewards import of_goals, ranked
from .leaking.rollout import Written, search
from .leaking.settings import Config
from .rollout import Shape, sample, valid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from polygan import Batch, TrainerSettings

_NO_RANKS = "a batch of one text has no ranks; use a larger --batch_size, a smaller --accumulate, fewer processes, or --model.delta 0"
_LEARNERS = ("manager", "worker")


class LeakGAN(TextGAN[Config]):
    """Long text generation via adversarial training with leaked information (Guo et al. 2018), algorithm 1.

    ``manager`` and ``worker`` learn, each with an optimizer of its own. ``generator`` is a copy of both with a copy of the
    discriminator: whatever a generator needs to write a text, so that it can be saved, exported and scored alone.
    """

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 2700, "batch_size": 64, "sample_every": 250}
    first_options: ClassVar[tuple[str, ...]] = ("preset", "goal_steps")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: vocabulary, length (tokens), start, eos (or None). Raises ConfigError for goals longer than a text."""
        super().__init__(config, info)
        length = self.text["length"]
        config.check(length)
        kind = WindowGoals if config.preset == "paper" else SegmentGoals
        self.goals: Goals = kind(length, config.goal_steps)
        self._checks = LeakChecks(config, self.text, self._nats)

    def networks(self) -> dict[str, nn.Module]:
        """``manager``, ``worker`` and ``discriminator`` learn; ``generator`` copies all three, ``mle`` is the game's start."""
        c, info = self.config, self.text
        vocabulary = info["vocabulary"]
        width, dropout = c.discriminator_embedding_dim, c.discriminator_dropout
        # The word after the vocabulary is the padding.
        discriminator = Discriminator(vocabulary + 1, info["length"], width, c.windows(), dropout=dropout)
        features = discriminator.head.in_features
        manager = Manager(features, c.hidden_dim)
        worker = Worker(
            vocabulary,
            features,
            embedding_dim=c.embedding_dim,
            hidden_dim=c.hidden_dim,
            goal_dim=c.goal_dim,
            start_token=info["start"],
            unit=self.goals.unit,
        )
        generator = LeakPolicy(copy.deepcopy(worker), copy.deepcopy(manager), copy.deepcopy(discriminator), self.goals)
        learners = {"manager": manager, "worker": worker, "discriminator": discriminator}
        return {"generator": generator, **learners, "mle": Best(generator)}

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for each of the three; the rate of manager and worker changes when the game begins."""
        c = self.config
        self._checks.batch_size = training.batch_size
        if c.delta and training.steps > c.mle_steps and training.batch_size < 2 * training.accumulate:
            raise ConfigError(_NO_RANKS)
        found = {}
        for name in _LEARNERS:
            optimizer = torch.optim.Adam(networks[name].parameters(), c.mle_rate)
            slower = torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda n: 1.0 if n < c.mle_steps else c.adversarial_rate / c.mle_rate
            )
            found[name] = Player(networks[name], optimizer, slower, clip=c.clip)
        opponent = torch.optim.Adam(networks["discriminator"].parameters(), c.discriminator_rate)
        return {**found, "discriminator": Player(networks["discriminator"], opponent, clip=c.clip)}

    # The method

    def turns(self) -> list[Turn]:
        """Pretraining of generator and discriminator in turn until ``a``, then the game, with rounds of maximum likelihood."""
        c, a = self.config, self.config.mle_steps
        d, leak = ("discriminator",), Turn("leak", (), self.leak, data=None)
        turns: list[Turn] = []
        if a:
            turns = [
                Turn("mle", _LEARNERS, self.likelihood_loss, stop=a),
                Turn("d_pretrain", d, self.discriminator_loss, every=c.pretrain_every, stop=a),
            ]
        turns += [
            leak,
            *self._checks.of_likelihood(a),
            Turn("begin", (), self.begin, data=None, start=a, stop=a + 1),
            Turn("g", _LEARNERS, self.generator_loss, start=a),
        ]
        if c.teach_every:
            teach, every, often = self.likelihood_loss, c.teach_every, c.teach_steps
            turns += [Turn("teach", _LEARNERS, teach, every=every, repeat=often, start=a)]
        turns += [
            replace(leak, start=a),
            Turn("d", d, self.discriminator_loss, start=a, repeat=c.discriminator_steps),
            replace(leak, start=a),
        ]
        return [*turns, *self._checks.of_game(a)]

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """A warning if the run ends before the game begins."""
        if training.steps > self.config.mle_steps:
            return ()
        return (
            f"The game begins at step {self.config.mle_steps:,} and this run ends at {training.steps:,}: the adversarial training "
            "never starts. Use more --steps, or lower --model.mle_steps.",
        )

    def remarks(self, values: Mapping[str, float]) -> Sequence[str]:
        """A sentence if a check found that the game lost more than the tolerance."""
        return self._checks.remarks(values)

    def likelihood_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Pretraining of Guo et al. 2018: maximum likelihood for the worker, transitions of real texts for the manager."""
        tokens = batch["tokens"]
        with ctx.fp32():
            features = prefix_features(_discriminator(ctx), tokens)
            manager: Any = ctx.players["manager"].module
            directions = ctx["manager"](features)
            agreement = self.goals.agreement(features, directions, manager.first)
            agreed = self._over_goals(agreement, tokens)
            logits = ctx["worker"](tokens, self.goals.of(directions, manager.first).detach())
            nll = _mean(_surprise(logits, tokens), valid(tokens, self.eos))
        ctx.observe("agreement", agreed)
        if self.config.preset == "code":  # the program divides a mean over the batch by the batch's number of goals
            agreed = agreed / (agreement.numel() * ctx.noise.parts)
        return {"nll": nll, "manager": -agreed}

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The gradients of manager and worker of Guo et al. 2018, on fresh texts whose features were kept while they were written."""
        c, n = self.config, len(batch["tokens"])
        if c.delta and n < 2:
            raise ConfigError(_NO_RANKS)
        with ctx.fp32():
            written, values = self._search(ctx, n)
            rewards = self._rewards(ctx, values, batch)
            return self.losses_of(ctx, written.tokens, written.features, rewards)

    def losses_of(self, ctx: Context, tokens: Tensor, features: Tensor, rewards: Tensor) -> dict[str, Tensor]:
        """The terms of manager and worker for texts (n, L), features (n, L + 1, F) and the manager's rewards (n, T).

        ``paper``: each goal's cosine times its reward, each token's log-likelihood times its own intrinsic reward.
        ``code``: the mean cosine times the mean reward, and the mean log-likelihood times the mean intrinsic reward. Which text has
        which reward then changes nothing.
        """
        manager: Any = ctx.players["manager"].module
        directions, mask = ctx["manager"](features), valid(tokens, self.eos)
        agreement = self.goals.agreement(features, directions, manager.first)
        with torch.no_grad():
            followed = self.goals.intrinsic(features, directions, manager.first)
        surprise = _surprise(ctx["worker"](tokens, self.goals.of(directions, manager.first).detach()), tokens)
        intrinsic = _mean(followed, mask)
        ctx.observe("intrinsic", intrinsic)
        ctx.observe("agreement", self._over_goals(agreement, tokens))
        if self.config.preset == "paper":
            return {
                "manager": -self._over_goals(rewards * agreement, tokens),
                "worker": _mean(followed * surprise, mask),
            }
        praised = self._over_goals(rewards, tokens) * self._over_goals(agreement, tokens)
        return {"manager": -praised, "worker": intrinsic * _mean(surprise, mask)}

    def _over_goals(self, values: Tensor, tokens: Tensor) -> Tensor:
        """The mean of values (n, T) over the goals that begin within a text."""
        return _mean(values, valid(tokens, self.eos)[:, self.goals.places().to(tokens.device)])

    def _search(self, ctx: Context, n: int) -> tuple[Written, Tensor]:
        """Fresh texts of the generator, and the values of their prefixes (none where the reward is a control)."""
        c, generator = self.config, _generator(ctx)
        uniform, copies = ctx.noise.uniform(n, self.text["length"], 2), c.rollouts if c.reward == "discriminator" else 0
        more = {"eos": self.eos, "temperature": c.temperature}
        return search(generator, uniform, copies, c.rollout_every, ctx.noise, **more)

    def _rewards(self, ctx: Context, values: Tensor, batch: Batch) -> Tensor:
        """The manager's rewards (n, T) from the values of prefixes (n, K), or a control."""
        c, n, places = self.config, len(values), self.goals.places()
        if c.reward == "constant":
            return torch.ones(n, len(places), device=values.device)
        if c.reward == "random":
            return ctx.noise.uniform(n, len(places))
        ctx.observe("reward", values[:, -1].mean())
        if c.delta:
            count = round(c.bootstrap * len(batch["tokens"]))
            real = _discriminator(ctx).score(batch["tokens"][:count]).sigmoid() if count else None
            values = ranked(values, c.delta, real)
            values = values / c.rollouts if c.preset == "code" else values  # the program divides ranks too
        return of_goals(values, places, c.goal_steps, c.rollout_every)

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of real texts against fresh texts of the generator."""
        real = batch["tokens"]
        with ctx.fp32():
            noise = ctx.noise.uniform(len(real), self.text["length"], 2)
            fake = sample(_generator(ctx), noise, eos=self.eos, shape=Shape(self.config.fakes()))
        real_logits, fake_logits = ctx["discriminator"](torch.cat([real, fake])).chunk(2)
        ctx.observe_logits(real_logits, fake_logits)
        # One mean over both kinds, as in a classifier's batch.
        return {k: v / 2 for k, v in losses.ADVERSARIAL["minimax"].discriminator(real_logits, fake_logits).items()}

    def leak(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The generator becomes a copy of the manager, the worker and the discriminator: the discriminator's features leak."""
        for part, name in _parts(_generator(ctx)):
            follow(part, ctx.players[name].module, 0.0)
        return {}

    def begin(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Start the game from the best generator of pretraining, with its discriminator; without checks, from the last."""
        best, generator = self._checks.start(ctx), _generator(ctx)
        follow(generator, best.policy, 0.0)
        for part, name in _parts(generator):
            follow(ctx.players[name].module, part, 0.0)
        return {}

    def _nats(self, policy: nn.Module, batch: Batch) -> Tensor:
        """(n, L) nats of each token."""
        return _surprise(policy(batch["tokens"]), batch["tokens"])

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch."""
        return networks["discriminator"](batch["tokens"])


def _generator(ctx: Context) -> Any:
    return ctx.players["generator"].module


def _discriminator(ctx: Context) -> Any:
    return ctx.players["discriminator"].module


def _parts(generator: LeakPolicy) -> tuple[tuple[nn.Module, str], ...]:
    """The generator's copies, with the names of the players that they are copies of."""
    return (generator.manager, "manager"), (generator.worker, "worker"), (generator.reader, "discriminator")


def _surprise(logits: Tensor, tokens: Tensor) -> Tensor:
    """Negative log-likelihood (n, L) of tokens (n, L), nats."""
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of values (n, T) where the mask is 1."""
    return (values * mask).sum() / mask.sum()
