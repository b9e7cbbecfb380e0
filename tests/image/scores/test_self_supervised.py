"""The feature network for pictures without labels: its views, its loss, its training, and how its distances rank faults."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from bars import CLASSES, DOMAIN, float_bars, good
from faked import Faked

from polygan import DataError, Samples
from polygan.data import build_store, split_store
from polygan_image.domain import ImageSettings
from polygan_image.scores import classifier, metrics, self_supervised
from polygan_image.scores.chosen import features_of
from polygan_image.scores.self_supervised import SelfSupervised
from polygan_image.scores.trained import ClassifierFeatures, SelfSupervisedFeatures


@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 1, 1), (3, 8, 8), (4, 28, 20), (1, 64, 64), (3, 200, 100)]
)
def test_the_network_takes_any_size(channels, height, width):
    network = SelfSupervised(channels, max(height, width)).eval()
    assert network.features(torch.rand(2, channels, height, width)).shape == (2, network.num_features)
    views = self_supervised.view(torch.rand(2, channels, height, width), torch.Generator())
    assert views.shape == (2, channels, height, width)


def test_a_view_is_a_crop_of_at_least_half_of_the_area_in_nearly_the_same_colours():
    ramp = torch.linspace(-0.5, 0.5, 32).expand(300, 1, 32, 32)
    generator = torch.Generator().manual_seed(0)
    seen = self_supervised.view(ramp, generator)
    widths = (seen[..., -1] - seen[..., 0]).mean((1, 2))  # share of the ramp's width
    heights = (self_supervised.view(ramp.mT, torch.Generator().manual_seed(0))[..., -1, :]).std()
    assert 0.5 < float(widths.min()) < 0.75 < float(widths.max()) <= 1.15
    assert heights > 0.1
    assert (widths > 0).all()  # never mirrored
    flat = self_supervised.view(torch.zeros(300, 3, 8, 8), generator)
    assert flat.std((2, 3)).max() < 1e-6
    assert 0.05 < float(flat.abs().max()) <= 0.15 + 1e-6
    assert torch.equal(
        self_supervised.view(ramp, torch.Generator().manual_seed(4)),
        self_supervised.view(ramp, torch.Generator().manual_seed(4)),
    )


def test_the_loss_against_the_definition():
    """Chen et al. 2020, eq. 1, by loops."""
    a, b = torch.randn(5, 3), torch.randn(5, 3)
    z = F.normalize(torch.cat([a, b]), dim=1)
    terms = []
    for i in range(10):
        likeness = [torch.exp(z[i] @ z[k] / 0.2) for k in range(10)]
        terms.append(-torch.log(likeness[(i + 5) % 10] / (sum(likeness) - likeness[i])))
    assert float(self_supervised.contrast_loss(a, b)) == pytest.approx(float(torch.stack(terms).mean()), rel=1e-5)
    assert self_supervised.contrast_loss(a, 3 * a) < self_supervised.contrast_loss(a, a.roll(1, 0))


def test_training_time_is_bounded():
    for count in (2, 7, 300, 4500, 20_000):
        batch, steps = self_supervised.training_steps(count)
        assert batch <= count
        assert steps <= 400
        assert batch * steps <= 12_000 + batch
    assert 128 * self_supervised.training_steps(20_000)[1] >= 12_000


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The toy source of bars without its labels."""
    from bars import bars

    folder = tmp_path_factory.mktemp("bare")
    np.savez(folder / "bars.npz", images=bars(np.arange(360) % CLASSES, 0))
    settings = ImageSettings(source=str(folder / "bars.npz"), cache=str(folder / "cache"))
    return split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.25)


@pytest.fixture
def measure(bare, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "self-supervised"

    def make(generate, **options):
        train = bare["train"]
        facts = {"cache": cache, "device": torch.device("cpu"), "samples": 90, "make": generate, **options}
        return Faked(DOMAIN, train.store.info, train, bare["held_out"], None, {}, **facts)

    return make


def drawn(noise=30.0, classes=CLASSES):
    """A generator of bars with more or less noise, of some of the classes; without labels."""

    def generate(n, seed):
        return Samples(float_bars(np.arange(n) % classes, seed % 1000 + 7, noise), DOMAIN)

    return generate


def static(n, seed):
    return Samples(torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed % 1000)) * 2 - 1, DOMAIN)


def test_training_is_repeatable_and_disturbs_nothing(measure, monkeypatch):
    monkeypatch.setattr(self_supervised, "training_steps", lambda count: (16, 4))
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    with torch.inference_mode():  # where a run evaluates
        first = self_supervised.train(measure(drawn())).state_dict()
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(99)
    second = self_supervised.train(measure(drawn())).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_two_pictures_are_enough_to_train(measure, bare, monkeypatch):
    monkeypatch.setattr(self_supervised, "training_steps", lambda count: (min(128, count), 3))
    train = bare["train"]
    few = type(train)(train.store, train.rows[:2], train.name)
    network = self_supervised.train(replace(measure(drawn()), train=few))
    assert network.features(torch.rand(3, 1, 8, 8)).isfinite().all()


def test_each_feature_varies_by_about_one_over_the_training_pictures(measure):
    values = SelfSupervisedFeatures.of(measure(drawn())).train.values
    assert values.mean(0).abs().max() < 0.1
    assert 0.8 < float(values.std(0).min()) <= float(values.std(0).max()) < 1.2


def test_distances_rank_held_out_pictures_before_faults(measure):
    """Held-out pictures are the floor; then as good pictures, slightly corrupted ones, missing classes, and noise."""
    found = {}
    for metric in (metrics.frechet, metrics.kid):
        fine, slight, missing, noise = (metric(measure(g))[0] for g in (drawn(), drawn(80), drawn(classes=1), static))
        found[fine.name] = (fine.floor, fine.value, slight.value, missing.value, noise.value)
        assert fine.value < slight.value < noise.value, found
        assert fine.value < missing.value, found
        assert "self-supervised network of this source, 8x8" in fine.note
    floor, fine, slight, *_, noise = found["image/frechet"]
    assert fine < 2 * floor, found
    assert slight > 1.5 * floor, found
    assert noise > 5 * slight, found


def test_every_metric_but_one_works_without_labels(measure):
    evaluation = measure(drawn())
    names = [
        score.name
        for metric in (metrics.manifolds, metrics.density_and_coverage, metrics.diversity, metrics.repeated)
        for score in metric(evaluation)
    ]
    assert names == [
        "image/precision",
        "image/recall",
        "image/density",
        "image/coverage",
        "image/diversity",
        "image/duplicates",
    ]
    with pytest.raises(DataError, match="needs labels of two classes or more"):
        metrics.recognised(evaluation)
    assert metrics.diversity(evaluation)[0].value == pytest.approx(1, abs=0.15)

    def same(n, seed):
        return Samples(float_bars([0], 3).expand(n, -1, -1, -1), DOMAIN)

    (diversity,), (repeats,) = metrics.diversity(measure(same)), metrics.repeated(measure(same))
    assert diversity.value < 0.01
    assert repeats.value == pytest.approx(89 / 90)


def test_the_network_is_the_default_without_labels_and_can_be_asked_for(measure, evaluate, tmp_path, monkeypatch):
    for module in (classifier, self_supervised):
        monkeypatch.setattr(module, "training_steps", lambda count: (16, 2))
    assert type(features_of(measure(drawn(), cache=tmp_path))) is SelfSupervisedFeatures
    labelled = evaluate(good, cache=tmp_path)
    assert type(features_of(labelled)) is ClassifierFeatures
    assert type(features_of(replace(labelled, features="self-supervised"))) is SelfSupervisedFeatures
    with pytest.raises(DataError, match="needs labels"):
        features_of(measure(drawn(), features="classifier"))


def test_the_network_is_trained_once_and_kept(measure, tmp_path, monkeypatch):
    monkeypatch.setattr(self_supervised, "training_steps", lambda count: (16, 2))
    calls, original = [], self_supervised.train
    monkeypatch.setattr(self_supervised, "train", lambda e: (calls.append(1), original(e))[1])
    first = SelfSupervisedFeatures(measure(drawn(), cache=tmp_path))
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("image-self-supervised-")
    again = SelfSupervisedFeatures(measure(drawn(), cache=tmp_path))
    assert torch.equal(again.held_out.values, first.held_out.values)
    assert len(calls) == 1
