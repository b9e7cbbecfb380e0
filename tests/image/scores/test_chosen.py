"""Features of chosen networks: what they measure, what is kept on disk, and what is refused."""

import io
import math
import sys
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from networks import Faulty, Maps, Pool, Writes, save
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

import polygan
from polygan import DataError
from polygan.cli import main
from polygan_image.domain import ImageDomain
from polygan_image.scores import cache, feature_networks, metrics
from polygan_image.scores.chosen import ChosenFeatures

DOMAIN = ImageDomain()


def test_distances_use_the_chosen_network(evaluation):
    (score,) = metrics.frechet(evaluation)
    seen = ChosenFeatures(evaluation)
    assert seen.train.values.shape == (36, 12)
    expected = metrics.frechet_distance(seen.train.values, seen.held_out.values)
    assert score.floor == pytest.approx(expected, rel=1e-6)
    assert score.name == "image/frechet"
    assert "not a FID" in score.note
    assert "times the floor" in score.note
    (kid,) = metrics.kid(evaluation)
    assert "pool.pt" in kid.note
    pictures = DOMAIN.real(evaluation.held_out, evaluation.held_out.rows).data
    ours, theirs = seen.held_out.values, Pool()(pictures)
    assert (torch.cdist(ours, theirs).amin(1) < 1e-5).all()


def test_the_real_side_is_kept_on_disk_and_mended(evaluation, monkeypatch):
    (first,) = metrics.frechet(evaluation)
    kept = sorted(evaluation.cache.glob("image-features-*.safetensors"))
    assert len(kept) == 2
    calls = []
    look = ChosenFeatures.look
    monkeypatch.setattr(ChosenFeatures, "look", lambda self, data: calls.append(len(data)) or look(self, data))
    (again,) = metrics.frechet(replace(evaluation, kept={}))
    assert again == first
    assert sum(calls) == 40  # the fakes only
    damaged = bytearray(kept[0].read_bytes())
    damaged[-5] ^= 64  # one flipped bit of a number
    kept[0].write_bytes(damaged)
    assert metrics.frechet(replace(evaluation, kept={})) == [first]


def test_an_exported_network_measures_alike(evaluation, tmp_path):
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(Pool(), (torch.zeros(4, 3, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "pool.pt2")
    (a,) = metrics.frechet(evaluation)
    (b,) = metrics.frechet(replace(evaluation, features=str(tmp_path / "pool.pt2")))
    assert a.value == pytest.approx(b.value, rel=1e-5)


# Features that no score can be computed with

ALL = (metrics.frechet, metrics.kid, metrics.manifolds, metrics.density_and_coverage, metrics.diversity)


def outcome(metric, evaluation):
    with pytest.raises(DataError) as error:
        metric(evaluation)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [(math.nan, "numbers that are not finite"), (math.inf, "numbers that are not finite"),
     (-1e30, "numbers above 1e+15, whose squares overflow,")],
)  # fmt: skip
def test_real_pictures_without_finite_features_are_one_clear_error_in_every_metric(value, words, evaluation, tmp_path):
    asked = replace(evaluation, features=save(Faulty(value), tmp_path / "faulty.pt"))
    said = {outcome(metric, asked) for metric in ALL}
    assert len(said) == 1  # so that the command says the sentence once
    assert f"feature network faulty.pt gives {words} for 36 of 36 training pictures (rows " in said.pop()
    assert metrics.repeated(asked)[0].value == 0  # no network is asked
    assert not list(asked.cache.glob("*"))


def test_some_pictures_are_counted_and_named_by_their_rows(evaluation, tmp_path):
    rows = evaluation.held_out.rows
    first = DOMAIN.real(evaluation.held_out, rows).data[:, 0, 0, 0]
    above = float(first.sort().values[-3:-1].mean())  # the two brightest are above
    others = DOMAIN.real(evaluation.train, evaluation.train.rows).data[:, 0, 0, 0]
    asked = replace(evaluation, features=save(Faulty(math.nan, max(above, -2.0)), tmp_path / "faulty.pt"))
    said = outcome(metrics.frechet, asked)
    of, kind = (24, "held-out") if not (others > above).any() else (36, "training")
    count = int(((first if of == 24 else others) > above).sum())
    assert f"for {count} of {of} {kind} pictures (rows " in said


def test_generated_pictures_without_finite_features_are_refused_once(evaluation, tmp_path):
    asked_for = []

    def generate(n, seed):
        asked_for.append(n)
        samples = evaluation.make(n, seed)
        samples.data[3:5, 0, 0, 0] = 1  # brighter than any real picture here
        return samples

    network = save(Faulty(math.nan, 0.999), tmp_path / "faulty.pt")
    asked = replace(evaluation, features=network, make=generate)
    said = {outcome(metric, asked) for metric in ALL}
    assert said == {
        "feature network faulty.pt gives numbers that are not finite for 2 of 40 generated pictures (rows 3, 4); choose another "
        "network with --features"
    }
    metrics.repeated(asked)
    assert asked_for == [40]  # neither the failing metrics nor the pixels generate anew


def test_a_network_that_sees_no_differences_is_refused(evaluation, tmp_path):
    asked = replace(evaluation, features=save(Faulty(3.0), tmp_path / "constant.pt"))
    for metric in ALL:
        assert "constant.pt gives the same numbers for all 36 training pictures" in outcome(metric, asked)


def test_features_that_were_kept_before_are_checked_too(evaluation, tmp_path):
    metrics.frechet(evaluation)
    for path in evaluation.cache.glob("image-features-*"):
        tensors = cache.read(path)
        tensors["values"][5, 2] = math.nan
        cache.write(path, tensors, "features are")
    assert "for 1 of 36 training pictures" in outcome(metrics.frechet, replace(evaluation, kept={}))


def test_a_failure_of_real_pictures_is_kept_for_the_next_evaluation(evaluation, tmp_path, monkeypatch):
    calls = []
    look = ChosenFeatures.look
    monkeypatch.setattr(ChosenFeatures, "look", lambda self, data: calls.append(len(data)) or look(self, data))
    asked = replace(evaluation, features=save(Faulty(math.nan), tmp_path / "faulty.pt"))
    for _ in range(3):
        outcome(metrics.frechet, replace(asked))
    assert sum(calls) == 36


def test_a_frechet_distance_of_features_that_are_not_finite_never_reaches_lapack():
    sick = torch.randn(10, 3)
    sick[4, 1] = math.inf
    for pair in ((sick, torch.randn(9, 3)), (torch.randn(9, 3), sick)):
        with pytest.raises(DataError, match="finite"):
            metrics.frechet_distance(*pair)


def test_large_but_finite_features_give_finite_scores(evaluation, tmp_path):
    class Large(Pool):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            flat = x.flatten(2)
            return 1e14 * torch.cat([flat.mean(2), flat.std(2), x[:, :, 0, 0]], 1)

    asked = replace(evaluation, features=save(Large(), tmp_path / "large.pt"))
    scores = [score for metric in ALL for score in metric(asked)]
    assert all(math.isfinite(s.value) and math.isfinite(s.floor) for s in scores)


# Code in files


class Bomb:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def exported(path, extra):
    program = torch.export.export(Pool(), (torch.zeros(4, 3, 8, 8),))
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    for name in parts:  # wherever the format keeps its pickles
        if name.endswith(".pt"):
            buffer = io.BytesIO()
            torch.save(extra, buffer)
            parts[name] = buffer.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return str(path)


def test_the_code_in_a_file_runs_only_if_the_user_allows_it(evaluation, tmp_path):
    """The attack works where it is allowed, so the refusal is what stops it."""
    made = tmp_path / "made"
    evil = exported(tmp_path / "evil.pt2", Bomb(made))
    script = save(Writes(str(made)), tmp_path / "evil.pt")
    for features in (evil, script):
        asked = replace(evaluation, features=features, allow_code=False)
        assert "add --allow-code" in outcome(metrics.frechet, asked)
        assert not made.exists()
        with suppress(DataError):
            metrics.frechet(replace(asked, allow_code=True, kept={}))
        assert made.exists()
        made.unlink()


def test_a_run_of_a_stranger_gets_no_code_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 1), dtype=np.uint8)
    np.savez("data.npz", images=images)
    tiny = {"generator_width": 2, "discriminator_width": 2}
    common = {"batch_size": 4, "quiet": True, "threads": 1, "precision": "fp32", "hang_timeout": 0}
    data = {"source": "data.npz", "cache": str(tmp_path / "cache")}
    run = polygan.train("image/dcgan", data, model=tiny, steps=1, evaluate_samples=8, **common)
    made = tmp_path / "made"
    config = run.folder / "config.yaml"
    saved = config.read_text()
    for evil in (exported(tmp_path / "evil.pt2", Bomb(made)), save(Writes(str(made)), tmp_path / "evil.pt")):
        config.write_text(
            saved.replace("features: ''", f"features: {evil}").replace("evaluate_every: 0", "evaluate_every: 1")
        )
        assert evil in config.read_text()
        for words in (
            ["evaluate", run.folder],
            ["resume", run.folder, "--steps", 2],
            ["evaluate", run.folder, "--features", evil],
        ):
            with pytest.raises(SystemExit) as end:
                main([str(word) for word in words])
            assert end.value.code == 2
            assert "--allow-code" in capsys.readouterr().err
            assert not made.exists()


# Names


def test_a_network_that_makes_no_vectors_is_named(evaluation, tmp_path):
    network = save(Maps(), tmp_path / "maps.pt")
    with pytest.raises(DataError, match=r"maps.pt makes \(36, 3, 4, 4\) of 36 pictures, not a vector") as error:
        metrics.frechet(replace(evaluation, features=network))
    assert "\n" not in str(error.value)
    network = save(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), tmp_path / "narrow.pt")
    with pytest.raises(DataError, match=r"narrow.pt cannot take pictures \(36, 3, 8, 8\)") as error:
        metrics.frechet(replace(evaluation, features=network))
    assert "\n" not in str(error.value)


def test_only_inception_is_called_fid(evaluation, tmp_path, monkeypatch):
    """With torch-fidelity's class in place of the network: bytes in, a tuple of features out."""

    class Extractor(nn.Module):
        def __init__(self, name, features, feature_extractor_weights_path):
            super().__init__()
            assert (features, feature_extractor_weights_path) == (["2048"], str(weights))

        def forward(self, x):
            assert x.dtype == torch.uint8
            return (Pool()(x / 127.5 - 1),)

    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Extractor
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    weights = tmp_path / "checkpoints" / feature_networks.INCEPTION
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    (score,) = metrics.frechet(replace(evaluation, features="inception"))
    assert score.name == "image/fid"
    assert "not a FID" not in score.note
    (plain,) = metrics.frechet(evaluation)
    assert score.value == pytest.approx(plain.value, rel=0.02)
