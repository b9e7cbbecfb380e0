"""Text from text: an encoder-decoder that copies (See et al. 2017, arXiv:1704.04368) against a discriminator of pairs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError, Context, Player, Turn

from .base import TextGAN
from .data.facts import EOS, TEXTS
from .early_stopping import Best
from .rewriting.checks import PairChecks
from .rewriting.discriminator import PairDiscriminator
from .rewriting.lstm import LSTMSourcePolicy
from .rewriting.settings import Config, Sampling
from .rewriting.sources import targets, trimmed, trimmed_batch
from .rewriting.transformer import TransformerSourcePolicy
from .rewriting.writing import count_cut, rewrite, tell_cut
from .rollout import roll_out, sample, valid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from polygan import Batch, Request, Samples, TrainerSettings

    from .rewriting.policy import SourcePolicy

_ONE_PAIR = "a batch of one pair has no baseline and no other source; use a larger --batch_size, a smaller --accumulate, or fewer processes"
_DRAWN = "seq2seq/drawn"


class Seq2Seq(TextGAN[Config]):
    """A policy with attention and copies learns by maximum likelihood, then from a discriminator that reads source and text.

    The policy gradient is that of Yu et al. 2017 (arXiv:1609.05473, eq. 6), with what the discriminator adds up from a token on
    as this token's reward. The policy and the discriminator know no classes.
    """

    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = Sampling
    invents = False
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 4000, "batch_size": 64, "sample_every": 500}
    first_options: ClassVar[tuple[str, ...]] = ("policy", "mle_steps")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: vocabulary, length and given_length (tokens), start, eos. Raises ConfigError for data without pairs."""
        super().__init__(config, info)
        if "given_length" not in info:
            raise ConfigError(
                "text/seq2seq writes a text for each source, and this data has no sources; name the column (or the file) of the "
                "sources with --data.given"
            )
        self.vocabulary: int = info["vocabulary"]
        self._checks = PairChecks(config, self.text, self._nats)

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator`` learn; ``mle`` starts the game."""
        c = self.config
        generator = self._policy()
        discriminator = PairDiscriminator(
            self.vocabulary, c.discriminator_embedding_dim, c.discriminator_dim, dropout=c.discriminator_dropout
        )
        return {"generator": generator, "discriminator": discriminator, "mle": Best(generator)}

    def _policy(self) -> SourcePolicy:
        c, info = self.config, self.info
        shared = {"start_token": info["start"], "dropout": c.dropout}
        if c.policy == "lstm":
            return LSTMSourcePolicy(self.vocabulary, c.embedding_dim, c.hidden_dim, layers=c.layers or 1, **shared)
        sizes = (info["given_length"], info["length"], c.hidden_dim)
        return TransformerSourcePolicy(self.vocabulary, *sizes, layers=c.layers or 3, heads=c.heads, **shared)

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both; the policy's rate changes when the game begins. Raises ConfigError for a batch of one pair."""
        c = self.config
        self._checks.batch_size = training.batch_size
        if training.steps > c.mle_steps and training.batch_size < 2 * training.accumulate:
            raise ConfigError(_ONE_PAIR)
        generator, discriminator = networks["generator"], networks["discriminator"]
        optimizer = torch.optim.Adam(generator.parameters(), c.mle_rate)
        slower = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda n: 1.0 if n < c.mle_steps else c.adversarial_rate / c.mle_rate
        )
        opponent = torch.optim.Adam(discriminator.parameters(), c.discriminator_rate)
        return {
            "generator": Player(generator, optimizer, slower, clip=c.clip),
            "discriminator": Player(discriminator, opponent, clip=c.clip),
        }

    # The method

    def turns(self) -> list[Turn]:
        """Maximum likelihood until ``a``, the discriminator alone until ``b``, then both against each other."""
        c, a, b = self.config, self.config.mle_steps, self.config.begin
        g, d = ("generator",), ("discriminator",)
        return [
            *([Turn("mle", g, self.likelihood_loss, stop=a)] if a else []),
            *self._checks.of_likelihood(a),
            Turn("begin", (), self._checks.begin, data=None, start=a, stop=a + 1),
            Turn("d_pretrain", d, self.discriminator_loss, start=a, stop=b),
            Turn("g", g, self.generator_loss, start=b),
            Turn("d", d, self.discriminator_loss, start=b, repeat=c.discriminator_steps),
            *self._checks.of_game(b),
        ]

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """A warning if the run ends before the game begins."""
        if training.steps > self.config.begin:
            return ()
        return (
            f"The game begins at step {self.config.begin:,} and this run ends at {training.steps:,}: the adversarial training never "
            "starts. Use more --steps, or lower --model.mle_steps and --model.pretrain_steps.",
        )

    def remarks(self, values: Mapping[str, float]) -> Sequence[str]:
        """A sentence if a check found that the game lost more than the tolerance."""
        return self._checks.remarks(values)

    def likelihood_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Mean negative log-likelihood of real tokens, nats a token (teacher forcing), and the loss of coverage (eq. 13)."""
        with ctx.fp32():
            return self._likelihood_terms(ctx["generator"], batch, 1.0)

    def _likelihood_terms(self, policy: nn.Module, batch: Batch, weight: float) -> dict[str, Tensor]:
        batch = trimmed_batch(batch)
        tokens = targets(batch, self.vocabulary)
        mask = valid(tokens, self.eos)
        found = policy(tokens, batch["given"], dropped=True)
        terms = {"nll": -weight * _mean(found.log_probability(tokens), mask)}
        if self.config.coverage:
            terms["coverage"] = weight * self.config.coverage * _mean(found.coverage(), mask)
        return terms

    def _nats(self, policy: nn.Module, batch: Batch) -> Tensor:
        """(n, L') nats of each token, without dropout and padding; a copied unknown word counts as its place in the source."""
        batch = trimmed_batch(batch)
        tokens = targets(batch, self.vocabulary)
        return -policy(tokens, batch["given"]).log_probability(tokens)

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The policy gradient on drawn texts, against the batch's mean at each place, and maximum likelihood beside."""
        c, given = self.config, trimmed(batch["given"])
        tokens = self._drawn(ctx, given)
        ctx.cache[_DRAWN] = batch, tokens
        rewards, mask = self._rewards(ctx, tokens, given), valid(tokens, self.eos)
        ctx.observe("reward", _mean(rewards, mask))
        advantage = rewards - (rewards * mask).sum(0) / mask.sum(0).clamp(min=1)
        with ctx.fp32():
            found = ctx["generator"](tokens, given)
            terms = {"policy": -_mean(advantage * found.log_probability(tokens), mask)}
            entropy = _mean(found.entropy(), mask)
            ctx.observe("entropy", entropy)
            if c.entropy:
                terms["entropy"] = -c.entropy * entropy
            if c.teach:
                terms |= self._likelihood_terms(ctx["generator"], batch, c.teach)
        return terms

    def _drawn(self, ctx: Context, given: Tensor) -> Tensor:
        """(n, L) a text of the policy for each source; completions need the full length, dense rewards do not."""
        if len(given) < 2:
            raise ConfigError(_ONE_PAIR)
        policy: Any = ctx.players["generator"].module
        with ctx.fp32():
            tokens = sample(policy.of(given), ctx.noise.uniform(len(given), self.text["length"], 2), eos=self.eos)
        return trimmed(tokens) if self.config.rewards == "dense" else tokens

    def _rewards(self, ctx: Context, tokens: Tensor, given: Tensor) -> Tensor:
        """(n, L) each token's reward: the sum of the discriminator's terms from this token on, or a control.

        The terms add up to a logit, which is near log p_real - log p_policy. The terms before a token do not depend on the token,
        so leaving them out changes no expected gradient. ``rollouts`` has the mean logit of completions (Yu et al. 2017, eq. 4).
        """
        if self.config.reward == "constant":
            return torch.ones(tokens.shape, device=tokens.device)
        if self.config.reward == "random":
            return ctx.noise.uniform(*tokens.shape)
        discriminator: Any = ctx.players["discriminator"].module
        if self.config.rewards == "dense":
            return discriminator.terms(tokens, given).flip(1).cumsum(1).flip(1)
        policy: Any = ctx.players["generator"].module
        judge = discriminator.of(given)
        with ctx.fp32():
            complete = roll_out(policy.of(given), tokens, self.config.rollouts, ctx.noise, eos=self.eos)
        searched = judge.score_completions(tokens, complete).mean(1).t()  # (n, L - 1)
        return torch.cat([searched, judge.score(tokens)[:, None]], 1)

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of real pairs against texts of the policy for the same sources, and against real texts with other sources.

        The texts that the policy learned from in this iteration serve here too, with their own batch; a repeated turn draws new ones.
        """
        batch, fake = ctx.cache.pop(_DRAWN, None) or (batch, self._drawn(ctx, batch["given"]))
        given, share = trimmed(batch["given"]), self.config.mismatched
        texts, sources = [targets(batch, self.vocabulary), fake], [given, given]
        if share:  # words copied from the own source are unknown words beside another source
            texts.append(batch["tokens"])
            sources.append(given.roll(1, 0))
        padded = torch.cat([F.pad(x, (0, self.text["length"] - x.shape[1]), value=EOS) for x in texts])
        logits = ctx["discriminator"](trimmed(padded), torch.cat(sources))
        real_logits, fake_logits, *other = logits.split(len(given))
        ctx.observe_logits(real_logits, fake_logits)
        # One mean over both kinds, as in a classifier's batch.
        terms = {"real": F.softplus(-real_logits).mean() / 2, "fake": (1 - share) * F.softplus(fake_logits).mean() / 2}
        for mismatched in other:
            terms["mismatched"] = share * F.softplus(mismatched).mean() / 2
        return terms

    # Use

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """A text for each given source."""
        if request.given is not None:
            tell_cut(count_cut(request.given, self.text), request.n, self.text)
        return self._written(networks, request, 0)

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """The texts for the given sources, piece by piece."""
        counts = Counter[str]()

        def counted() -> Iterator[Samples]:
            for piece in pieces:
                counts.update(cut=count_cut(piece, self.text), all=len(piece))
                yield piece

        yield from super().stream(networks, counted(), request)
        tell_cut(counts["cut"], counts["all"], self.text)

    def _written(self, networks: Mapping[str, nn.Module], request: Request, first: int) -> Samples:
        generator: Any = networks["generator"]
        judge: Any = networks.get("discriminator")
        return rewrite(generator, judge, request, self.text)

    @torch.no_grad()
    def log_likelihood(
        self,
        network: nn.Module,
        data: Tensor,
        labels: Tensor | None = None,
        temperature: float = 1.0,
        given: Tensor | None = None,
    ) -> Tensor:
        """Log-likelihoods (n, L) in nats of the tokens ``data`` (n, L) for the sources ``given`` (n, S), 0 after a text's end."""
        if given is None:
            raise ConfigError("the likelihood of a text of text/seq2seq needs the text's source; pass given=...")
        policy: Any = network
        device = next(network.parameters()).device
        found = []
        for begin in range(0, len(data), TEXTS):
            rows = slice(begin, begin + TEXTS)
            writer = policy.of(given[rows].to(device))
            found.append(writer.log_probabilities(data[rows].to(device), None, temperature).cpu())
        return torch.cat(found) * valid(data, self.eos)

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch; unknown words count as such, because made texts do not say where they come from."""
        return networks["discriminator"](batch["tokens"], batch["given"])


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of values (n, L) where the mask is 1."""
    return (values * mask).sum() / mask.sum()
