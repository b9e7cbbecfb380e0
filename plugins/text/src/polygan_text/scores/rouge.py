"""ROUGE of made texts against the truth of each, beside what trivial answers get."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import ConfigError, Score

from ..likelihoods import real_texts, score_name
from .errors import of_mean
from .words import cut, first_words, marked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from polygan import Evaluation, Samples

KINDS = {"rouge1": "text/rouge-1", "rouge2": "text/rouge-2", "rougeL": "text/rouge-l"}
_LATIN = 0.9  # share of letters and digits from which texts are written in a to z
_MEASURED = 1000  # training targets whose lengths are averaged


class Scorer:
    """ROUGE-1, -2 and -L by the package rouge-score (Lin 2004), F-measures in [0, 1], without stemming.

    Texts in the letters a to z are cut as the package does: small letters and digits, all else separates words. Texts in other
    letters are cut into the words of `words.cut`, in small letters, because the package would drop them.
    """

    def __init__(self, truths: Sequence[str]) -> None:
        """``truths`` decide how texts are cut. Raises ConfigError where the package is missing."""
        try:
            scorer: Any = import_module("rouge_score.rouge_scorer")
            tokenizers: Any = import_module("rouge_score.tokenizers")
        except ImportError:
            raise ConfigError(
                'text/rouge needs the package rouge-score: pip install "polygan-text[rouge]", or leave the metric out (--metrics)'
            ) from None
        letters = [c for text in truths for c in text.lower() if c.isalnum()]
        self.latin = sum(c.isascii() for c in letters) >= _LATIN * len(letters)
        own = tokenizers.DefaultTokenizer(use_stemmer=False) if self.latin else _Words()
        self.scorer = scorer.RougeScorer(list(KINDS), tokenizer=own)

    def __call__(self, made: Sequence[str], truths: Sequence[str]) -> dict[str, np.ndarray]:
        """(n,) F-measures of each text against its truth, by kind. An empty text has 0."""
        found = [self.scorer.score(truth, text) for text, truth in zip(made, truths, strict=True)]
        return {kind: np.array([f[kind].fmeasure for f in found]) for kind in KINDS}


class _Words:
    """Words in small letters, as a tokenizer of rouge-score."""

    def tokenize(self, text: str) -> list[str]:
        return [word for word in cut(text.lower()) if any(c.isalnum() for c in word)]


def rouge(evaluation: Evaluation) -> list[Score]:
    """``text/rouge-1``, ``-2`` and ``-l``: mean F-measure of made texts against their truths (Lin 2004), in [0, 1].

    The baseline is the best of two trivial answers. These are the beginning of the source, as long as training targets are on average, and the
    target of another text. A maximum-likelihood start that is ready is scored too. Words outside the vocabulary match nothing. Raises DataError for a run without pairs, and ConfigError
    where the package rouge-score is missing.
    """
    e = evaluation
    pairs = e.pairs(e.samples)
    truths = marked(pairs.truth, e.info, "unknowntruth")
    scorer = e.once(("text/rouge scorer", len(truths)), lambda: Scorer(truths))
    found = scorer(_made(pairs.made, e), truths)
    answers = e.once(("text/rouge baselines", len(truths)), lambda: _answers(e, pairs.given, len(truths)))
    trivial = e.once(
        ("text/rouge of baselines", len(truths)), lambda: {name: scorer(x, truths) for name, x in answers.items()}
    )
    policies = {"generator": found}
    for name in filter(lambda name: _ready(e, name), e.recipe.variants):
        policies[name] = scorer(_made(e.pairs(e.samples, name).made, e), truths)
    how = "small letters a to z and digits" if scorer.latin else "words in small letters"
    note = f"mean F-measure of {len(truths)} held-out pairs, rouge-score on {how}, no stemming"
    return [_score(kind, name, values, trivial, note) for name, values in policies.items() for kind in KINDS]


def _ready(evaluation: Evaluation, variant: str) -> bool:
    """Whether a variant may be scored: a maximum-likelihood start says by ``ready`` whether it is there yet."""
    ready: Any = getattr(evaluation.networks.get(variant), "ready", None)
    return ready is None or bool(float(ready))


def _made(samples: Samples, evaluation: Evaluation) -> list[str]:
    return marked(samples, evaluation.info, "unknownmade")


def _answers(evaluation: Evaluation, given: Samples, n: int) -> dict[str, list[str]]:
    """Trivial answers to ``n`` sources by name."""
    targets = list(real_texts(evaluation, evaluation.train, max(n, _MEASURED)).data)
    words = max(1, round(sum(len(cut(text)) for text in targets) / len(targets)))
    return {
        f"the source's first {words} words": [first_words(text, words) for text in given.data],
        "another text's target": [targets[i % len(targets)] for i in range(n)],
    }


def _score(
    kind: str, policy: str, found: Mapping[str, np.ndarray], trivial: Mapping[str, Mapping[str, np.ndarray]], note: str
) -> Score:
    means = {name: float(answer[kind].mean()) for name, answer in trivial.items()}
    best = max(means, key=lambda name: means[name])
    others = {name: value for name, value in means.items() if name != best}
    told = "; ".join([note, *(f"{name} {value:.4g}" for name, value in others.items())])
    value, error = float(found[kind].mean()), of_mean(found[kind])
    return Score(score_name(KINDS[kind], policy), value, None, "higher", told, (means[best], best), "pair", error)
