"""Scores of generated text, each beside its floor: the score of held-out text by the same rule.

A generator is easily sharper or blander than its data, and most single scores reward one of these faults. So
quality (`bleu`, `nll_oracle`) stands beside diversity (`self_bleu`, `distinct`, `entropy`, `nll_held_out`), and the generator
beside its maximum-likelihood start. BLEU compares words, whatever the run's tokenizer is. Scores of samples carry their standard
errors: over texts where a score is a mean over texts, else by leaving out a tenth of the texts in turn (`scores.errors`).
Dividing logits by a temperature trades quality for diversity at no cost, and `temperature_sweep` shows the whole range (Caccia et al. 2020, "Language GANs falling short", arXiv:1811.02549).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

from polygan import DataError, Plot, Score

from . import grammar
from .bleu import (
    ORDERS,
    References,
    against,
    against_each_other,
    against_each_other_with_errors,
    against_with_errors,
    fitting_orders,
    grams,
)
from .data.facts import text_info, tokens_of
from .likelihoods import (
    choice_of,
    chosen_among,
    data_oracle,
    draw_texts,
    nats_of,
    need_held_out,
    nll_by,
    policies_of,
    real_texts,
    sampling_of,
    score_name,
    texts_made,
    with_options,
)
from .scores.errors import jackknife, of_mean
from .scores.words import unit, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from torch import nn

    from polygan import Evaluation, Samples

    from .scores.words import Words

    Measured = tuple[Sequence[float], Sequence[float | None]]
    """Scores, one for each of `ORDERS`, and their standard errors."""

REFERENCES = 500
"""Texts on each side of BLEU; scores of another number of texts are not comparable."""
SWEEP = 200
"""Texts a point of the sweep."""
TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15)


def _tokens(samples: Samples, info: Mapping[str, Any]) -> list[Words]:
    """The tokens of each text, without the end."""
    eos = text_info(info)["eos"]
    rows = tokens_of(samples).tolist()
    return rows if eos is None else [row[: row.index(eos)] if eos in row else row for row in rows]


def _references(evaluation: Evaluation, n: int) -> References:
    """The n-grams of the first ``n`` held-out texts, counted once for all evaluations of a run."""

    def count() -> References:
        return References(words_of(real_texts(evaluation, evaluation.held_out, n), evaluation.info))

    return evaluation.once(("text/references", n), count)


def bleu(evaluation: Evaluation) -> list[Score]:
    """``text/bleu-2`` to ``-5``: generated against held-out texts; the floor: training against held-out texts."""
    n = min(REFERENCES, len(evaluation.held_out), len(evaluation.train))
    need_held_out(evaluation)
    _need_train(evaluation)
    references = _references(evaluation, n)

    def least_of() -> list[float]:
        return against(words_of(real_texts(evaluation, evaluation.train, n), evaluation.info), references)

    floor = evaluation.once(("text/bleu floor", n), least_of)
    note = f"{n} generated, floor {n} training texts, against {n} held-out, by {unit(evaluation.info)}; "
    note += "say nothing of variety: see self-bleu"
    return _bleu_scores(evaluation, n, "bleu", lambda t: against_with_errors(t, references), floor, "higher", note)


def _need_train(evaluation: Evaluation) -> None:
    """Raise DataError for fewer than two training texts."""
    if len(evaluation.train) < 2:
        raise DataError(f"{len(evaluation.train)} training text is too few, 2 are needed; use more data")


def _orders(evaluation: Evaluation, n: int) -> tuple[list[int], str]:
    """The orders of BLEU that the first ``n`` training texts are long enough for, and a note about the others."""

    def find() -> tuple[list[int], str]:
        return fitting_orders(words_of(real_texts(evaluation, evaluation.train, n), evaluation.info))

    return evaluation.once(("text/orders of BLEU", n), find)


def self_bleu(evaluation: Evaluation) -> list[Score]:
    """``text/self-bleu-2`` to ``-5``: generated texts against each other (Zhu et al. 2018); the floor: real texts."""
    n = min(REFERENCES, len(evaluation.train))
    _need_train(evaluation)

    def of_real() -> list[float]:
        return against_each_other(words_of(real_texts(evaluation, evaluation.train, n), evaluation.info))

    floor = evaluation.once(("text/self-bleu floor", n), of_real)
    note = f"{n} texts against each other, by {unit(evaluation.info)}; above the floor, the texts are less varied than the data"
    return _bleu_scores(evaluation, n, "self-bleu", against_each_other_with_errors, floor, "lower", note)


def _bleu_scores(
    evaluation: Evaluation,
    n: int,
    kind: str,
    measure: Callable[[Sequence[Words]], Measured],
    floor: Sequence[float],
    better: Literal["higher", "lower"],
    note: str,
) -> list[Score]:
    """The scores of the generator and of its start, in the orders of BLEU that real texts are long enough for."""
    orders, left_out = _orders(evaluation, n)
    return [
        Score(score_name(f"text/{kind}-{k}", name), value, least, better, note + left_out, error=error)
        for name, texts in _texts(evaluation, n).items()
        for k, value, error, least in zip(ORDERS, *measure(texts), floor, strict=True)
        if k in orders
    ]


def _texts(evaluation: Evaluation, n: int) -> dict[str, list[Words]]:
    """The words of ``n`` texts of the generator, and of its maximum-likelihood start if the recipe keeps a start."""
    return {name: words_of(samples, evaluation.info) for name, samples in texts_made(evaluation, n)}


def _grams(texts: Sequence[Words], n: int) -> Counter[tuple[Hashable, ...]]:
    counts: Counter[tuple[Hashable, ...]] = Counter()
    for text in texts:
        counts.update(grams(text, n))
    return counts


def _both(evaluation: Evaluation) -> tuple[list[Words], list[Words], int]:
    """The tokens of generated texts and of as many training texts, and their number."""
    n = min(evaluation.samples, len(evaluation.train))
    generated = _tokens(evaluation.generate(n, evaluation.seed), evaluation.info)
    return generated, _tokens(real_texts(evaluation, evaluation.train, n), evaluation.info), n


def distinct(evaluation: Evaluation) -> list[Score]:
    """``text/distinct-1`` to ``-3``: different n-grams over all n-grams (Li et al. 2016); ``text/duplicates``: repeated texts."""
    generated, real, n = _both(evaluation)

    def measure(texts: Sequence[Words]) -> list[float]:
        counts = [_grams(texts, order) for order in (1, 2, 3)]
        repeats = 1 - len({tuple(t) for t in texts}) / len(texts)
        return [*(len(c) / max(1, c.total()) for c in counts), repeats]

    note = f"of {n} texts"
    columns = list(zip(measure(generated), measure(real), jackknife(generated, measure), strict=True))
    value, usual, error = columns.pop()
    return [
        *(Score(f"text/distinct-{k}", v, f, "higher", note, error=e) for k, (v, f, e) in enumerate(columns, 1)),
        Score("text/duplicates", value, usual, note=f"share of {n} texts that repeat an earlier one", error=error),
    ]


def entropy(evaluation: Evaluation) -> list[Score]:
    """``text/entropy-1`` and ``-2``: entropy of tokens and of pairs of tokens, in nats."""
    generated, real, n = _both(evaluation)

    def nats(texts: Sequence[Words], order: int) -> float:
        counts = np.array(list(_grams(texts, order).values()), float)
        shares = counts / counts.sum() if len(counts) else counts
        return float(-(shares * np.log(shares)).sum())

    def measure(texts: Sequence[Words]) -> list[float]:
        return [nats(texts, order) for order in (1, 2)]

    note = f"nats, of {n} texts; grows with their number"
    columns = enumerate(zip(measure(generated), measure(real), jackknife(generated, measure), strict=True), 1)
    return [Score(f"text/entropy-{k}", v, f, "higher", note, error=e) for k, (v, f, e) in columns]


def grammatical(evaluation: Evaluation) -> list[Score]:
    """``text/grammatical``: share of generated sentences that the grammar can write (data set ``grammar`` only)."""
    if not evaluation.info.get("grammar"):
        raise DataError("text/grammatical is for --data grammar: the rules of other data are not known")
    n = evaluation.samples

    def found(samples: Samples) -> list[bool]:
        labels = [None] * len(samples) if samples.labels is None else samples.labels.tolist()
        return [grammar.log_likelihood(t, c) > -math.inf for t, c in zip(samples.data, labels, strict=True)]

    need_held_out(evaluation)
    made, real = found(evaluation.generate(n, evaluation.seed)), found(real_texts(evaluation, evaluation.held_out, n))
    value, floor = (sum(side) / len(side) for side in (made, real))
    return [Score("text/grammatical", value, floor, "higher", f"of {n} sentences", error=of_mean(made))]


def temperature_sweep(evaluation: Evaluation) -> list[Plot]:
    """``text/temperature-sweep``: quality against diversity of the generator and of its maximum-likelihood start.

    If an oracle wrote the data: NLL under the oracle against NLL of held-out data, both at the same temperature. Otherwise
    BLEU-4 against self-BLEU-4. The game has taught a generator something if its line runs below (oracle) or above (BLEU) the
    start's line. Another place on the same line is no gain. Where the discriminator chooses among the generator's texts, the
    generator's line is that of the chosen texts.
    """
    need_held_out(evaluation)
    if not hasattr(sampling_of(evaluation), "temperature"):
        raise DataError("this recipe draws texts at one temperature only: its Sampling has no option temperature")
    by_oracle = evaluation.info.get("oracle")
    measure = (_likelihood_points if by_oracle else _bleu_points)(evaluation)
    chosen = chosen_among(evaluation) > 1
    lines = {
        {"generator": "generator", "mle": "maximum likelihood"}[name]: [
            measure(policy, t, chosen and name == "generator") for t in TEMPERATURES
        ]
        for name, policy in policies_of(evaluation).items()
    }
    axes = ("self-BLEU-4 (variety: lower is better)", "BLEU-4 (quality: higher is better)")
    if by_oracle:
        axes = (
            "NLL of held-out data, nats a token (variety: lower is better)",
            "NLL by the oracle (quality: lower is better)",
        )
    span = ", ".join(f"{t:g}" for t in TEMPERATURES)
    return [Plot("text/temperature-sweep", *axes, lines, f"Temperatures {span} in order, {SWEEP} texts each.")]


_Point: TypeAlias = "Callable[[nn.Module, float, bool], tuple[float, float]]"
"""A point of a policy at a temperature; the last argument tells whether the discriminator chooses among its texts."""


def _drawn(evaluation: Evaluation, policy: nn.Module, n: int, temperature: float, chosen: bool) -> Samples:
    options = with_options(sampling_of(evaluation), temperature=temperature, beams=0)  # a search knows no temperature
    return evaluation.generate(n, evaluation.seed, options) if chosen else draw_texts(evaluation, policy, n, options)


def _likelihood_points(evaluation: Evaluation) -> _Point:
    oracle = data_oracle(evaluation)
    real = real_texts(evaluation, evaluation.held_out, 1000)

    def point(policy: nn.Module, temperature: float, chosen: bool) -> tuple[float, float]:
        samples = _drawn(evaluation, policy, SWEEP, temperature, chosen)
        nats, count = nats_of(evaluation, policy, real, temperature)
        if chosen:
            nats -= float(torch.as_tensor(choice_of(evaluation, tokens_of(real), real.labels, temperature)).sum())
        return nats / count, nll_by(oracle, tokens_of(samples))

    return point


def _bleu_points(evaluation: Evaluation) -> _Point:
    n = min(SWEEP, len(evaluation.held_out), len(evaluation.train))
    if 4 not in _orders(evaluation, n)[0]:
        raise DataError("half of the real texts have fewer than the 4 words of BLEU-4; use longer texts")
    references = _references(evaluation, n)

    def point(policy: nn.Module, temperature: float, chosen: bool) -> tuple[float, float]:
        texts = words_of(_drawn(evaluation, policy, n, temperature, chosen), evaluation.info)
        return against_each_other(texts)[ORDERS.index(4)], against(texts, references)[ORDERS.index(4)]

    return point
