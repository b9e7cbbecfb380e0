"""ROUGE of pairs: by hand, beside trivial answers, in every script, and without the package."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from toy_evaluations import written

from polygan import ConfigError, DataError
from polygan_text.scores.rouge import Scorer, rouge

pytest.importorskip("rouge_score")
TRAIN = ["a cat sees a dog", "the dog sees it", "a cat"] * 2
SOURCES = ["the dog sees a cat in a house", "it is a cat and a dog"]
TRUTHS = ["a dog sees a cat", "the cat"]


def pairs(folder, made, **options):
    options = {"sources": SOURCES, "truths": TRUTHS, **options}
    return written(folder, TRAIN, TRAIN[:2], made, **options)


def test_f_measures_are_those_worked_out_by_hand():
    # Against "a dog sees a cat": 4 of 4 words and of 5; pairs "sees a", "a cat" of 3 and 4; the longest common subsequence has 4.
    found = Scorer(TRUTHS)(["dog sees a cat", "the"], TRUTHS)
    assert found["rouge1"] == pytest.approx([2 * 1 * 0.8 / 1.8, 2 * 1 * 0.5 / 1.5])
    assert found["rouge2"] == pytest.approx([2 * 1 * 0.75 / 1.75, 0])
    assert found["rougeL"] == pytest.approx(found["rouge1"])
    turned = Scorer(TRUTHS)(["cat a sees dog a"], TRUTHS[:1])
    assert turned["rouge1"] == pytest.approx([1])
    assert turned["rougeL"] == pytest.approx([0.6])  # "a sees a" of five words


def test_made_texts_stand_beside_trivial_answers(tmp_path):
    scores = {s.name: s for s in rouge(pairs(tmp_path, ["a dog sees a cat", "the dog"]))}
    assert list(scores) == ["text/rouge-1", "text/rouge-2", "text/rouge-l"]
    one = scores["text/rouge-1"]
    assert one.value == pytest.approx((1 + 1 / 2) / 2)
    assert one.error == pytest.approx(1 / 4)  # deviation sqrt(1 / 8), over sqrt(2)
    assert (one.better, one.kind, one.floor) == ("higher", "pair", None)
    # Targets have 11 / 3 words, so the lead has 4: "the dog sees a" has dog, sees, a; "it is a cat" has cat.
    lead = (2 * 3 / 4 * 3 / 5 / (3 / 4 + 3 / 5) + 2 * 1 / 4 * 1 / 2 / (1 / 4 + 1 / 2)) / 2
    # "a cat sees a dog" has all five words of its truth, "the dog sees it" one of two.
    other = (1 + 2 * 1 / 4 * 1 / 2 / (1 / 4 + 1 / 2)) / 2
    assert one.baseline == (pytest.approx(other), "another text's target")
    assert f"the source's first 4 words {lead:.4g}" in one.note
    assert "2 held-out pairs, rouge-score on small letters a to z and digits, no stemming" in one.note


def test_a_start_is_scored_too_once_it_is_there(tmp_path):
    e = pairs(tmp_path, ["a dog sees a cat", "the dog"], variants={"mle": {}})
    e.networks = {"mle": SimpleNamespace(ready=0.0)}
    assert len(rouge(e)) == 3
    e.networks = {"mle": SimpleNamespace(ready=1.0)}
    scores = {s.name: s for s in rouge(e)}
    assert scores["text/rouge-1-of-mle"].value == 0  # it writes capitals, which are unknown words here


def test_unknown_words_match_nothing(tmp_path):
    e = pairs(tmp_path, ["a zebra", "zebra"], truths=["a zebra", "unk"])
    (one, *_) = rouge(e)
    assert one.value == pytest.approx(0.5 / 2)  # of the first text only "a"


@pytest.mark.parametrize(
    ("made", "truth", "shared"),
    [
        ("שָׁלוֹם עולם", "שָׁלוֹם רב", 1 / 2),  # right to left, with vowel points
        ("हिन्दी में", "हिन्दी है", 1 / 2),
        ("春天", "春眠", 1 / 2),
        ("ДОМ стоит", "дом стоял", 1 / 2),
    ],
)
def test_words_of_other_letters_are_compared_too(made, truth, shared):
    scorer = Scorer([truth])
    assert not scorer.latin
    assert scorer([made], [truth])["rouge1"] == pytest.approx([shared])


def test_empty_texts_have_no_overlap():
    found = Scorer(["a cat", ""])(["", "a cat"], ["a cat", ""])
    assert all((values == 0).all() for values in found.values())


def test_a_run_without_pairs_and_a_missing_package_say_what_to_do(tmp_path, monkeypatch):
    e = pairs(tmp_path, ["a cat", "a dog"])
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(ConfigError, match=r'pip install "polygan-text\[rouge\]", or leave the metric out'):
        rouge(e)
    e.sources = []
    with pytest.raises(DataError, match="this run has no such pairs"):
        rouge(e)
