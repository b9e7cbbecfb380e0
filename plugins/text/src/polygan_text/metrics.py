"""Scores of generated text, each beside its floor: the score of held-out text by the same rule.

A generator is easily sharper or blander than its data, and most single scores reward one of these faults. So
quality (`bleu`, `nll_oracle`) stands beside diversity (`self_bleu`, `distinct`, `entropy`, `nll_held_out`), and the generator
beside its maximum-likelihood start. Dividing logits by a temperature trades quality for diversity at no cost, and
`temperature_sweep` shows the whole range (Caccia et al. 2020, "Language GANs falling short", arXiv:1811.02549).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from polygan import DataError, Plot, Score

from . import grammar
from .bleu import ORDERS, References, Words, against, against_each_other, fitting_orders, grams
from .data.facts import text_info, tokens_of
from .likelihoods import data_oracle, draw_texts, nats_of, need_held_out, nll_by, policies_of, real_texts, score_name
from .settings import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from polygan import Evaluation, Samples


REFERENCES = 500
"""Texts on each side of BLEU; scores of another number of texts are not comparable."""
SWEEP = 200
"""Texts a point of the sweep."""
TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15)


def _words(samples: Samples, info: Mapping[str, Any]) -> list[Words]:
    """The tokens of each text, without the end."""
    eos = text_info(info)["eos"]
    rows = tokens_of(samples).tolist()
    return rows if eos is None else [row[: row.index(eos)] if eos in row else row for row in rows]


def _references(evaluation: Evaluation, n: int) -> References:
    """The n-grams of the first ``n`` held-out texts, counted once for all evaluations of a run."""

    def count() -> References:
        return References(_words(real_texts(evaluation, evaluation.held_out, n), evaluation.info))

    return evaluation.once(("text/references", n), count)


def bleu(evaluation: Evaluation) -> list[Score]:
    """``text/bleu-2`` to ``-5``: generated against held-out texts; the floor: training against held-out texts."""
    n = min(REFERENCES, len(evaluation.held_out), len(evaluation.train))
    need_held_out(evaluation)
    references = _references(evaluation, n)

    def least_of() -> list[float]:
        return against(_words(real_texts(evaluation, evaluation.train, n), evaluation.info), references)

    floor = evaluation.once(("text/bleu floor", n), least_of)
    note = f"{n} generated, floor {n} training texts, against {n} held-out; say nothing of variety: see self-bleu"
    return _bleu_scores(evaluation, n, "bleu", lambda texts: against(texts, references), floor, "higher", note)


def _orders(evaluation: Evaluation, n: int) -> tuple[list[int], str]:
    """The orders of BLEU that the first ``n`` training texts are long enough for, and a note about the others."""

    def find() -> tuple[list[int], str]:
        return fitting_orders(_words(real_texts(evaluation, evaluation.train, n), evaluation.info))

    return evaluation.once(("text/orders of BLEU", n), find)


def self_bleu(evaluation: Evaluation) -> list[Score]:
    """``text/self-bleu-2`` to ``-5``: generated texts against each other (Zhu et al. 2018); the floor: real texts."""
    n = min(REFERENCES, len(evaluation.train))

    def of_real() -> list[float]:
        return against_each_other(_words(real_texts(evaluation, evaluation.train, n), evaluation.info))

    floor = evaluation.once(("text/self-bleu floor", n), of_real)
    note = f"{n} texts against each other; above the floor, the texts are less varied than the data"
    return _bleu_scores(evaluation, n, "self-bleu", against_each_other, floor, "lower", note)


def _bleu_scores(
    evaluation: Evaluation,
    n: int,
    kind: str,
    measure: Callable[[Sequence[Words]], Sequence[float]],
    floor: Sequence[float],
    better: Literal["higher", "lower"],
    note: str,
) -> list[Score]:
    """The scores of the generator and of its start, in the orders of BLEU that real texts are long enough for."""
    orders, left_out = _orders(evaluation, n)
    return [
        Score(score_name(f"text/{kind}-{k}", name), value, least, better, note + left_out)
        for name, texts in _texts(evaluation, n).items()
        for k, value, least in zip(ORDERS, measure(texts), floor, strict=True)
        if k in orders
    ]


def _texts(evaluation: Evaluation, n: int) -> dict[str, list[Words]]:
    """``n`` texts of the generator, and of its maximum-likelihood start if the recipe keeps a start, at temperature 1."""
    found = {"generator": _words(evaluation.generate(n, evaluation.seed), evaluation.info)}
    start: Any = evaluation.networks.get("mle")
    if start is not None and float(start.ready):
        found["mle"] = _words(draw_texts(evaluation, start.policy, n), evaluation.info)
    return found


def _grams(texts: Sequence[Words], n: int) -> Counter[tuple[int, ...]]:
    counts = Counter[tuple[int, ...]]()
    for text in texts:
        counts.update(grams(text, n))
    return counts


def _both(evaluation: Evaluation) -> tuple[list[Words], list[Words], int]:
    """Generated texts, as many training texts, and their number."""
    n = min(evaluation.samples, len(evaluation.train))
    generated = _words(evaluation.generate(n, evaluation.seed), evaluation.info)
    return generated, _words(real_texts(evaluation, evaluation.train, n), evaluation.info), n


def distinct(evaluation: Evaluation) -> list[Score]:
    """``text/distinct-1`` to ``-3``: different n-grams over all n-grams (Li et al. 2016); ``text/duplicates``: repeated texts."""
    generated, real, n = _both(evaluation)

    def share(texts: Sequence[Words], order: int) -> float:
        counts = _grams(texts, order)
        return len(counts) / max(1, counts.total())

    note = f"of {n} texts"
    scores = [Score(f"text/distinct-{k}", share(generated, k), share(real, k), "higher", note) for k in (1, 2, 3)]
    repeats, usual = (1 - len({tuple(t) for t in texts}) / n for texts in (generated, real))
    return [*scores, Score("text/duplicates", repeats, usual, note=f"share of {n} texts that repeat an earlier one")]


def entropy(evaluation: Evaluation) -> list[Score]:
    """``text/entropy-1`` and ``-2``: entropy of tokens and of pairs of tokens, in nats."""
    generated, real, n = _both(evaluation)

    def nats(texts: Sequence[Words], order: int) -> float:
        counts = np.array(list(_grams(texts, order).values()), float)
        shares = counts / counts.sum() if len(counts) else counts
        return float(-(shares * np.log(shares)).sum())

    note = f"nats, of {n} texts; grows with their number"
    return [Score(f"text/entropy-{k}", nats(generated, k), nats(real, k), "higher", note) for k in (1, 2)]


def grammatical(evaluation: Evaluation) -> list[Score]:
    """``text/grammatical``: share of generated sentences that the grammar can write (data set ``grammar`` only)."""
    if not evaluation.info.get("grammar"):
        raise DataError("text/grammatical is for --data grammar: the rules of other data are not known")
    n = evaluation.samples

    def share(samples: Samples) -> float:
        labels = [None] * len(samples) if samples.labels is None else samples.labels.tolist()
        found = [grammar.log_likelihood(t, c) > -math.inf for t, c in zip(samples.data, labels, strict=True)]
        return sum(found) / len(found)

    need_held_out(evaluation)
    value, floor = share(evaluation.generate(n, evaluation.seed)), share(real_texts(evaluation, evaluation.held_out, n))
    return [Score("text/grammatical", value, floor, "higher", f"of {n} sentences")]


def temperature_sweep(evaluation: Evaluation) -> list[Plot]:
    """``text/temperature-sweep``: quality against diversity of the generator and of its maximum-likelihood start.

    If an oracle wrote the data: NLL under the oracle against NLL of held-out data, both at the same temperature. Otherwise
    BLEU-4 against self-BLEU-4. The game has taught a generator something if its line runs below (oracle) or above (BLEU) the
    start's line. Another place on the same line is no gain.
    """
    need_held_out(evaluation)
    policies = policies_of(evaluation)
    by_oracle = evaluation.info.get("oracle")
    measure = (_likelihood_points if by_oracle else _bleu_points)(evaluation)
    lines = {
        {"generator": "generator", "mle": "maximum likelihood"}[name]: [measure(policy, t) for t in TEMPERATURES]
        for name, policy in policies.items()
    }
    axes = ("self-BLEU-4 (variety: lower is better)", "BLEU-4 (quality: higher is better)")
    if by_oracle:
        axes = (
            "NLL of held-out data, nats a token (variety: lower is better)",
            "NLL by the oracle (quality: lower is better)",
        )
    span = ", ".join(f"{t:g}" for t in TEMPERATURES)
    return [Plot("text/temperature-sweep", *axes, lines, f"Temperatures {span} in order, {SWEEP} texts each.")]


def _likelihood_points(evaluation: Evaluation) -> Callable[[nn.Module, float], tuple[float, float]]:
    oracle = data_oracle(evaluation)
    real = real_texts(evaluation, evaluation.held_out, 1000)

    def point(policy: nn.Module, temperature: float) -> tuple[float, float]:
        samples = draw_texts(evaluation, policy, SWEEP, Sampling(temperature=temperature))
        nats, count = nats_of(evaluation, policy, real, temperature)
        return nats / count, nll_by(oracle, tokens_of(samples))

    return point


def _bleu_points(evaluation: Evaluation) -> Callable[[nn.Module, float], tuple[float, float]]:
    n = min(SWEEP, len(evaluation.held_out), len(evaluation.train))
    if 4 not in _orders(evaluation, n)[0]:
        raise DataError("half of the real texts have fewer than the 4 tokens of BLEU-4; use longer texts")
    references = _references(evaluation, n)

    def point(policy: nn.Module, temperature: float) -> tuple[float, float]:
        texts = _words(draw_texts(evaluation, policy, n, Sampling(temperature=temperature)), evaluation.info)
        return against_each_other(texts)[ORDERS.index(4)], against(texts, references)[ORDERS.index(4)]

    return point
