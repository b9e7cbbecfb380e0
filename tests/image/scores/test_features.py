"""Features of real and generated pictures: what is kept and how samples are drawn."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bars import good, shuffled

from polygan_image.scores import features, metrics
from polygan_image.scores.trained import ClassifierFeatures


def test_evaluations_of_a_run_share_the_real_side_and_not_the_fakes(evaluate, monkeypatch):
    """A run evaluates again and again: what it kept of the first evaluation must not stand for the next one's samples."""
    kept, looked = {}, []
    look = ClassifierFeatures.look
    monkeypatch.setattr(ClassifierFeatures, "look", lambda self, data: looked.append(len(data)) or look(self, data))
    (early,) = metrics.recognised(evaluate(shuffled, kept=kept))
    assert sum(looked) == 360 + 180
    (late,) = metrics.recognised(evaluate(good, kept=kept))
    assert sum(looked) == 360 + 2 * 180
    assert early.value < 0.1 < 0.9 < late.value


def test_draws_are_of_one_size_and_of_different_seeds(evaluate, monkeypatch):
    monkeypatch.setattr(features, "_CHUNK", 70 * 64 * 4)
    asked = []

    def generate(n, seed):
        asked.append((n, seed))
        return good(n, seed % 1000)

    evaluation = evaluate(generate, samples=200, seed=5)
    (frechet,) = metrics.frechet(evaluation)
    assert [n for n, _ in asked] == [69, 69, 62]  # whole turns through three classes
    assert len({seed for _, seed in asked}) == 3
    assert "2 x 90 generated" in frechet.note
    metrics.diversity(evaluation)
    assert len(asked) == 3  # the fakes are shared by the metrics of one evaluation
    assert metrics.frechet(evaluate(generate, samples=40))[0].note.startswith("1 x 40 generated, floor 2 x 40 held-out")
