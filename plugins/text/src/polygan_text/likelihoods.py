"""Likelihoods as scores of text: of held-out text under a policy, and of generated text under the oracle that wrote the data."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from polygan import DataError, HasLikelihood, Score

from .data.facts import text_info, tokens_of
from .data.receipt import unknown_note
from .data.vocabulary import characters
from .oracle import oracle_of
from .rollout import ROWS, scored
from .scores.errors import of_mean, of_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from polygan import Evaluation, Samples, Split

    from .policy import Policy


@runtime_checkable
class HasChoice(Protocol):
    """A recipe whose discriminator can choose each text among several texts of the policy, with a likelihood of the choice."""

    def chosen_log_ratio(
        self,
        networks: Mapping[str, nn.Module],
        data: Tensor,
        labels: Tensor | None,
        copies: int,
        temperature: float = 1.0,
    ) -> Tensor:
        """(n,) nats by which the choice among ``copies`` texts makes texts (n, L) likelier than the policy at ``temperature`` does."""
        ...


def policies_of(evaluation: Evaluation) -> dict[str, Any]:
    """The generator, and its maximum-likelihood start if the recipe keeps a start."""
    networks: Mapping[str, Any] = evaluation.networks
    if not isinstance(evaluation.recipe, HasLikelihood):
        raise DataError("this recipe gives no likelihoods; the score is for policies such as text/seqgan")
    found: dict[str, Any] = {"generator": networks["generator"]}
    if "mle" in networks and float(networks["mle"].ready):
        found["mle"] = networks["mle"].policy
    return found


def sampling_of(evaluation: Evaluation) -> Any:
    """How the evaluation draws texts: an instance of the recipe's ``Sampling``, which may lack any of polygan-text's options."""
    return evaluation.recipe.Sampling() if evaluation.options is None else evaluation.options


def with_options(options: Any, **values: Any) -> Any:
    """Options of generation with other values; a recipe that lacks an option keeps what it has."""
    own = {f.name for f in fields(options)}
    return replace(options, **{name: value for name, value in values.items() if name in own})


def draw_texts(evaluation: Evaluation, policy: nn.Module, n: int, options: Any = None) -> Samples:
    """``n`` texts of a policy, none of them chosen by a discriminator, by the evaluation's seed.

    Where the options ask for drawn texts, the texts are drawn, though nothing is left to choose from.
    """
    options = sampling_of(evaluation) if options is None else options
    drawn = {"beams": 0} if getattr(options, "draws", False) else {}
    return evaluation.generate(
        n, evaluation.seed, with_options(options, rerank=0, **drawn), networks={"generator": policy}
    )


def chosen_among(evaluation: Evaluation) -> int:
    """Among how many texts of the generator each text of this evaluation is chosen; 1: there is no choice."""
    return getattr(sampling_of(evaluation), "rerank", 0) or getattr(evaluation.recipe, "copies", 1)


def choice_of(
    evaluation: Evaluation, tokens: Tensor, labels: Tensor | None, temperature: float = 1.0
) -> Tensor | float:
    """(n,) nats by which the evaluation's choice makes texts (n, L) likelier; 0 without a choice. DataError where nobody knows."""
    recipe, copies = evaluation.recipe, chosen_among(evaluation)
    if copies == 1:
        return 0.0
    if not isinstance(recipe, HasChoice):
        raise DataError(
            "the likelihood of texts that this recipe's discriminator chooses is not known; leave --rerank out"
        )
    if getattr(sampling_of(evaluation), "rerank_by", "") == "best":
        raise DataError("the most real of several texts has no useful likelihood; use --rerank_by weight")
    return recipe.chosen_log_ratio(evaluation.networks, tokens, labels, copies, temperature)


def texts_made(evaluation: Evaluation, n: int) -> Iterator[tuple[str, Samples]]:
    """``n`` texts of the generator, and of its maximum-likelihood start if the recipe keeps a start that is ready, with their names."""
    yield "generator", evaluation.generate(n, evaluation.seed)
    start: Any = evaluation.networks.get("mle")
    if start is not None and float(start.ready):
        yield "mle", draw_texts(evaluation, start.policy, n)


def real_texts(evaluation: Evaluation, split: Split, n: int) -> Samples:
    """The first ``n`` texts of a split."""
    return evaluation.domain.real(split, np.sort(split.rows[:n]))


def need_held_out(evaluation: Evaluation, least: int = 2) -> None:
    """Raise DataError for fewer held-out texts than a score needs."""
    if len(evaluation.held_out) < least:
        raise DataError(
            f"{len(evaluation.held_out)} held-out texts are too few, {least} are needed; raise --data.held_out"
        )


def nats_of(
    evaluation: Evaluation, policy: nn.Module, samples: Samples, temperature: float = 1.0
) -> tuple[float, float]:
    """Nats of texts under a policy, and how many tokens these are, both without words outside the vocabulary."""
    nats, counts = nats_of_each(evaluation, policy, samples, temperature)
    return float(nats.sum()), float(counts.sum())


def nats_of_each(
    evaluation: Evaluation, policy: nn.Module, samples: Samples, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """(n,) nats of each text under a policy, and (n,) how many tokens these are, both without words outside the vocabulary.

    Raises DataError where no token is known, and where the policy gives NaN.
    """
    recipe: Any = evaluation.recipe
    tokens = tokens_of(samples)
    sources = {"given": samples.extra["given"]} if evaluation.paired else {}
    values = recipe.log_likelihood(policy, tokens, samples.labels, temperature, **sources)
    known = scored(tokens, text_info(evaluation.info)).bool()
    if not known.any():
        raise DataError(
            f"none of the {len(tokens)} texts has a token of the vocabulary, so there is no likelihood to compute"
        )
    # A likelihood of zero times a mask of zero would be NaN.
    values = values.double().masked_fill(~known, 0)
    if broken := int(values.isnan().flatten(1).any(1).sum()):
        raise DataError(
            f"the generator gives NaN as the likelihood of {broken} of {len(tokens)} texts: its weights have diverged"
        )
    return -values.sum(1), known.sum(1)


def nll_by(oracle: Policy, tokens: Tensor) -> float:
    """Nats a token of sequences (n, L) under the oracle."""
    return float(nll_by_each(oracle, tokens).mean())


def nll_by_each(oracle: Policy, tokens: Tensor) -> Tensor:
    """(n,) nats a token of each sequence (n, L) under the oracle."""
    import torch

    with torch.no_grad():
        values = torch.cat([oracle.log_probabilities(rows) for rows in tokens.split(ROWS)])
    return -values.double().mean(1)


def data_oracle(evaluation: Evaluation) -> Policy:
    """The oracle that wrote the data. Raises DataError for other data."""
    return evaluation.once("text/oracle", lambda: oracle_of(evaluation.info))


def oracle_floor(evaluation: Evaluation) -> float:
    """Nats a token of the oracle's own held-out sequences."""

    def floor() -> float:
        return nll_by(
            data_oracle(evaluation), tokens_of(real_texts(evaluation, evaluation.held_out, len(evaluation.held_out)))
        )

    return evaluation.once("text/nll floor", floor)


def score_name(score: str, policy: str) -> str:
    """The name of a score of the generator, or of its start."""
    return score if policy == "generator" else f"{score}-of-{policy}"


def nll_oracle(evaluation: Evaluation) -> list[Score]:
    """``text/nll-oracle`` (Yu et al. 2017, eq. 9): nats a token of generated sequences under the oracle, at temperature 1.

    The floor is the score of the oracle's own held-out sequences. A generator below the floor is too sharp, not better.
    """
    oracle, n = data_oracle(evaluation), evaluation.samples
    need_held_out(evaluation)
    floor = oracle_floor(evaluation)
    scores = []
    for name, policy in policies_of(evaluation).items():
        nats = nll_by_each(oracle, tokens_of(draw_texts(evaluation, policy, n)))
        note = f"nats a token of {n} sequences at temperature 1; below the floor is too sharp, not better"
        value, error = float(nats.mean()), of_mean(nats.numpy())
        scores.append(Score(score_name("text/nll-oracle", name), value, floor, "near", note, error=error))
    return scores


def nll_held_out(evaluation: Evaluation) -> list[Score]:
    """``text/nll-held-out``: nats a token of held-out text, unknown words aside, under the generator at its temperature (1).

    If an oracle wrote the data, the floor is the oracle's own score. A generator that drops modes scores badly here.
    Where the discriminator chooses among the generator's texts, the likelihood is that of the choice.
    ``text/nll-held-out-character`` has the same nats for each character, which compares across tokenizers. The standard error is over
    held-out texts. Two policies are scored by the same texts, so their difference is surer than two errors say.
    """
    policies = policies_of(evaluation)
    need_held_out(evaluation)
    real = real_texts(evaluation, evaluation.held_out, len(evaluation.held_out))
    floor = oracle_floor(evaluation) if evaluation.info.get("oracle") else None
    info, tokens = text_info(evaluation.info), tokens_of(real)
    options = sampling_of(evaluation)
    if getattr(options, "top_k", 0) or getattr(options, "top_p", 1.0) < 1:
        raise DataError(
            "held-out text has tokens that --top_k and --top_p leave out, so it has no likelihood; leave both out"
        )
    warmth = getattr(options, "temperature", 1.0)
    note = f"of {len(real)} held-out texts at temperature {warmth:g}{unknown_note(tokens, info)}"
    lengths, scores = characters(tokens, info), []

    def score(name: str, policy: str, nats: Tensor, count: Any, floor: float | None, told: str) -> Score:
        value, error = float(nats.sum()) / float(sum(count)), of_ratio(nats.numpy(), count)
        return Score(score_name(name, policy), value, floor, note=f"{told} {note}", error=error)

    for name, policy in policies.items():
        nats, count = nats_of_each(evaluation, policy, real, warmth)
        if name == "generator":
            nats = nats - choice_of(evaluation, tokens, real.labels, warmth)
        scores.append(score("text/nll-held-out", name, nats, count.tolist(), floor, "nats a token"))
        if sum(lengths):
            scores.append(score("text/nll-held-out-character", name, nats, lengths, None, "nats a character"))
    return scores
