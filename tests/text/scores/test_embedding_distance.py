"""The Frechet distance of sentence embeddings: by hand, against scipy, and what it sees in generators that are known to be bad."""

from __future__ import annotations

import pytest
import torch
from toy_evaluations import written

from polygan import DataError
from polygan_text.scores import embedding_distance as measured
from polygan_text.scores.embedding_distance import Gaussian, embedding_distance, frechet_distance

WHO, DOES, WHERE = ["a cat", "a dog", "the man"], ["sees", "likes", "has"], ["a tree", "the house", "a car", "it"]
TEXTS = [f"{a} {b} {c}" for a in WHO for b in DOES for c in WHERE]


def test_distances_of_gaussians_by_hand():
    real = torch.tensor([[-1.0], [1.0]])  # mean 0, variance 2
    assert frechet_distance(Gaussian.of(real), torch.tensor([[3.0], [5.0], [7.0]])) == pytest.approx(
        25 + (2 - 2**0.5) ** 2
    )
    square = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])  # covariance 4/3 of the identity
    other = square * torch.tensor([3.0, 1.0]) + torch.tensor([0.0, 2.0])
    assert frechet_distance(Gaussian.of(square), other) == pytest.approx(4 + 4 / 3 * (3 - 1) ** 2)
    assert frechet_distance(Gaussian.of(square), square) == pytest.approx(0, abs=1e-9)


def test_the_distance_is_that_of_the_formula_with_the_root_of_a_product():
    linalg = pytest.importorskip("scipy.linalg")
    draw = torch.Generator().manual_seed(0)
    for m in (40, 4):  # also fewer texts than numbers, where covariances have no inverse
        a, b = torch.randn(60, 6, generator=draw), torch.randn(m, 6, generator=draw) * 2 + 0.3
        x, y = a.double(), b.double()
        root = linalg.sqrtm((x.T.cov() @ y.T.cov()).numpy()).real.trace()
        expected = (x.mean(0) - y.mean(0)).square().sum() + x.T.cov().trace() + y.T.cov().trace() - 2 * root
        assert frechet_distance(Gaussian.of(a), b) == pytest.approx(float(expected), rel=1e-5)


def test_real_texts_stand_on_the_floor_and_a_generator_of_few_or_foreign_texts_far_above(tmp_path):
    def score(name, made):
        (tmp_path / name).mkdir()
        (found,) = embedding_distance(written(tmp_path / name, TEXTS[::2] * 3, TEXTS[1::2], made))
        return found

    same, one = score("same", TEXTS[1::2]), score("one", [TEXTS[1]] * 18)
    assert same.value == pytest.approx(same.floor)
    assert one.value > 1.5 * one.floor
    assert score("turned", [" ".join(text.split()[::-1]) for text in TEXTS[1::2]]).value > 1.2 * same.floor
    assert same.kind == "distribution"
    note = "1 x 18 generated, floor 1 x 18 held-out, each against 54 training texts; embedder lsa, fitted on 54 training texts"
    assert same.note.startswith(note)
    assert same.note.endswith("compare with scores of the same embedder, data and n only")


def test_draws_have_the_size_of_the_held_out_texts_and_their_mean_is_the_score(tmp_path):
    made = TEXTS[:20]
    (score,) = embedding_distance(written(tmp_path, TEXTS * 2, TEXTS[:8], made))
    e = written(tmp_path, TEXTS * 2, TEXTS[:8], made)
    seen = measured._real(e)
    expected = [
        frechet_distance(seen.train, seen.embedder(made[i : i + 8])) for i in (0, 8)
    ]  # four texts are left over
    assert score.value == pytest.approx(sum(expected) / 2)
    assert score.note.startswith("2 x 8 generated, floor 1 x 8 held-out")
    assert score.error is not None


def test_the_standard_error_is_near_the_spread_of_repeated_draws():
    draw = torch.Generator().manual_seed(0)
    real = Gaussian.of(torch.randn(1000, 8, generator=draw))
    draws = [torch.randn(100, 8, generator=draw) for _ in range(60)]
    spread = torch.tensor([frechet_distance(real, x) for x in draws]).std()
    error = torch.tensor([measured._error(real, [x]) for x in draws[:20]]).mean()
    assert 0.8 < error / spread < 2
    assert measured._error(real, draws[:4]) == pytest.approx(measured._error(real, draws[:1]) / 2)


def test_the_embedder_and_real_texts_are_prepared_once_for_all_evaluations_of_a_run(tmp_path, monkeypatch):
    loaded = []
    load = measured.load_embedder
    monkeypatch.setattr(measured, "load_embedder", lambda *a: loaded.append(a[0]) or load(*a))
    e = written(tmp_path, TEXTS, TEXTS[:9], TEXTS[:9])
    embedding_distance(e)
    e.seed = 1
    embedding_distance(e)
    e.features = "lsa"  # another name is another choice
    embedding_distance(e)
    assert loaded == ["", "lsa"]


@pytest.mark.parametrize(
    ("held_out", "samples", "message"),
    [(TEXTS[:1], 9, r"1 held out \(--data.held_out\)"), (TEXTS[:3], 1, r"1 to generate \(--samples\)")],
)
def test_one_text_has_no_distance(tmp_path, held_out, samples, message):
    with pytest.raises(DataError, match=message):
        embedding_distance(written(tmp_path, TEXTS, held_out, TEXTS[:9], samples=samples))


def test_empty_texts_and_texts_of_one_word_have_a_finite_distance(tmp_path):
    (score,) = embedding_distance(written(tmp_path, ["cat", "dog", "שָׁלוֹם"] * 2, ["cat", "dog"], ["", "cat", "", ""]))
    assert 0 <= score.value < 10


def test_embeddings_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="gave numbers that are not finite"):
        Gaussian.of(torch.tensor([[float("nan")], [1.0]]))
