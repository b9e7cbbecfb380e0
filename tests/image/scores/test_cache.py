"""The classifier on disk: kept, verified, mended."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from bars import good

from polygan_image.scores import classifier
from polygan_image.scores.classifier import Classifier
from polygan_image.scores.trained import ClassifierFeatures


def test_the_network_is_cached_verified_and_trained_again_when_damaged(evaluate, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "training_steps", lambda count: (16, 2))
    calls = []
    original = classifier.train_classifier
    monkeypatch.setattr(classifier, "train_classifier", lambda e: (calls.append(1), original(e))[1])

    def seen(**options):
        return ClassifierFeatures(evaluate(good, cache=tmp_path / "new", **options))

    first = seen()
    (file,) = (tmp_path / "new").iterdir()
    assert torch.equal(seen().held_out.values, first.held_out.values)
    assert len(calls) == 1
    whole = file.read_bytes()
    for damaged in (whole[:-100], whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:], b""):
        file.write_bytes(damaged)
        assert torch.equal(seen().held_out.values, first.held_out.values)
    assert len(calls) == 4
    assert file.stat().st_size == len(whole)
    train = first.evaluation.train
    fewer = type(train)(train.store, train.rows[:-1], train.name)
    ClassifierFeatures(replace(first.evaluation, train=fewer))
    assert len(calls) == 5  # other rows, another network
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_a_cache_that_cannot_be_written_costs_no_scores(evaluate, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(classifier, "training_steps", lambda count: (16, 1))
    (tmp_path / "file").touch()
    seen = ClassifierFeatures(evaluate(good, cache=tmp_path / "file" / "below"))
    assert seen.train.values.shape == (270, Classifier.num_features)
    assert "the classifier is not kept in" in caplog.text
