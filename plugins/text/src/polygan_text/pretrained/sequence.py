"""A reward for the whole text instead of rollouts: REINFORCE with a leave-one-out baseline, and a penalty for leaving the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from polygan import ConfigError

from ..policy import without_dropout
from ..rollout import sample, valid

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Batch, Context


def leave_one_out(rewards: Tensor) -> Tensor:
    """(n,) each reward minus the mean of the other rewards (Ahmadian et al. 2024, arXiv:2402.14740, section 2.3); n is at least 2."""
    n = len(rewards)
    return (n * rewards - rewards.sum()) / (n - 1)


def sequence_loss(chosen: Tensor, start: Tensor, mask: Tensor, scores: Tensor, kl: float) -> Tensor:
    """A scalar whose gradient estimates minus the gradient of E[score] - ``kl`` KL(policy || start), without bias.

    ``chosen`` and ``start`` (n, L) are the tokens' log-probabilities under the policy and under its start, ``mask`` (n, L) is 1 up to
    the end, ``scores`` (n,) are the discriminator's. The reward of a text is its score minus ``kl`` times the sum of
    ``chosen - start`` over its tokens, an estimate of the divergence in nats (Ahmadian et al. 2024, eq. 2 and 3).
    """
    ratio = ((chosen.detach() - start) * mask).sum(1)  # (n,)
    advantage = leave_one_out(scores - kl * ratio)
    return -(advantage * (chosen * mask).sum(1)).mean()


def sequence_terms(recipe: Any, ctx: Context, batch: Batch) -> dict[str, Tensor]:
    """The generator's loss with ``model.rewards sequence``: all texts of the batch are each other's baseline.

    ``recipe`` is a `SeqGAN`. Raises ConfigError for a batch of one text.
    """
    labels, n = recipe._labels(batch), len(batch["tokens"])
    if n < 2:
        raise ConfigError(
            "a batch of one text has no baseline; use a larger --batch_size, a smaller --accumulate, or fewer processes"
        )
    policy: Any = ctx.players["generator"].module
    first: Any = ctx.players["mle"].module
    # The distribution that the texts are drawn from has no dropout.
    with ctx.fp32(), without_dropout(policy), without_dropout(first):
        tokens = sample(policy, ctx.noise.uniform(n, recipe.text["length"], 2), eos=recipe.eos, labels=labels)
        mask = valid(tokens, recipe.eos)
        with torch.no_grad():
            start = first.policy.log_probabilities(tokens, labels)
        scores = _scores(recipe, ctx, tokens, labels)
        logp = ctx["generator"](tokens, labels).log_softmax(2)
        chosen = logp.gather(2, tokens[:, :, None]).squeeze(2)  # (n, L)
        ctx.observe("reward", scores.mean())
        ctx.observe("kl", ((chosen.detach() - start) * mask).sum() / mask.sum())
        entropy = (-(logp.exp() * logp).sum(2) * mask).sum() / mask.sum()
        ctx.observe("entropy", entropy)
        terms = {"policy": sequence_loss(chosen, start, mask, scores, recipe.config.kl)}
        if recipe.method.entropy:
            terms["entropy"] = -recipe.method.entropy * entropy
    return terms


def _scores(recipe: Any, ctx: Context, tokens: Tensor, labels: Tensor | None) -> Tensor:
    """(n,) the discriminator's scores of whole texts, or a control."""
    if recipe.config.reward == "constant":
        return torch.ones(len(tokens), device=tokens.device)
    if recipe.config.reward == "random":
        return ctx.noise.uniform(len(tokens))
    judge: Any = ctx.players["discriminator"].module
    found = judge.score(tokens, labels)
    return found.sigmoid() if recipe.config.reward_scale == "probability" else found
