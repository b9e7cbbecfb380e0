"""Sampling options: classes, grids and walks."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_dcgan import DIGITS, generate, networks, recipe

from polygan import ConfigError, Noise, class_index
from polygan.settings.parser import build, option_types
from polygan.settings.words import read_words
from polygan_image.sampling import Sampling, apportion, keys_of_walk, latents, slerp_rows


@pytest.mark.parametrize("counts", [(1, 2, 7), (0, 5, 3), (85, 153, 2445), (1, 1, 1), (3, 0, 0)])
def test_classes_are_as_often_as_in_the_data(counts):
    """Every beginning is Webster's apportionment (Balinski & Young 1982): no picture given had a later turn than one not given."""
    whole = apportion(200, counts)
    assert whole.dtype == torch.int64
    for n in (0, 1, 2, 3, 11, 200):
        got = apportion(n, counts)
        assert torch.equal(got, whole[:n])
        seats = got.bincount(minlength=3).tolist()
        gained = [(2 * a - 1) / c for a, c in zip(seats, counts, strict=True) if a]
        refused = [(2 * a + 1) / c for a, c in zip(seats, counts, strict=True) if c]
        assert max(gained, default=0) <= min(refused)
        assert all(a == 0 for a, c in zip(seats, counts, strict=True) if not c)


def test_samples_have_the_classes_of_the_data_and_rows_have_each():
    r = recipe()
    r.info["class_counts"] = [1, 2, 7]
    nets = networks(r)
    assert generate(r, 100, nets).labels.bincount().tolist() == [10, 20, 70]
    assert generate(r, 12, nets, grid=True).labels.bincount().tolist() == [4, 4, 4]
    assert generate(r, 4, nets, label="zero").labels.tolist() == [0] * 4


@pytest.mark.parametrize("options", [{}, {"label": 1}, {"interpolate": 4}])
def test_sample_i_does_not_depend_on_how_many_are_asked_for(options):
    r = recipe()
    nets = networks(r)
    few, many = generate(r, 4, nets, **options), generate(r, 300, nets, **options)
    torch.testing.assert_close(few.data, many.data[:4])
    assert torch.equal(few.labels, many.labels[:4])
    assert not torch.allclose(many.data[0], many.data[3])


def test_label_by_name_and_by_index():
    r = recipe()
    nets = networks(r)
    by_name, by_index = generate(r, 5, nets, label="two"), generate(r, 5, nets, label=2)
    assert torch.equal(by_name.data, by_index.data)
    assert by_name.labels.tolist() == [2] * 5
    assert not torch.equal(by_name.data, generate(r, 5, nets, label=0).data)


@pytest.mark.parametrize(
    ("label", "classes", "word"),
    [
        ("tow", DIGITS, "did you mean 'two'"),
        ("cat", DIGITS, "zero, one, two"),
        (3, DIGITS, r"\[0, 2\]"),
        (-1, DIGITS, r"\[0, 2\]"),
        (0, (), "without classes"),
    ],
)
def test_an_unknown_label_is_refused(label, classes, word):
    with pytest.raises(ConfigError, match=word):
        generate(recipe(classes), 2, label=label)


def test_a_grid_has_a_row_per_class():
    out = generate(recipe(), 12, grid=True)
    assert (out.kind, out.columns) == ("grid", 4)
    assert out.labels.view(3, 4).tolist() == [[0] * 4, [1] * 4, [2] * 4]
    with pytest.raises(ConfigError, match="ask for 12"):
        generate(recipe(), 10, grid=True)


@pytest.mark.parametrize("options", [{"classes": ()}, {}])
def test_a_grid_of_one_kind_is_square(options):
    label = {"label": 1} if not options else {}
    out = generate(recipe(**options), 9, grid=True, **label)
    assert (out.kind, out.columns, len(out)) == ("grid", 3, 9)
    assert generate(recipe(**options), 10, grid=True, **label).columns == 4


def test_walks_go_from_one_latent_to_the_next():
    r = recipe(classes=())
    nets = networks(r)
    walk, ends = generate(r, 15, nets, interpolate=5), generate(r, 4, nets)
    assert (walk.kind, walk.columns, len(walk)) == ("walk", 5, 15)
    for row in range(3):
        torch.testing.assert_close(walk.data[5 * row], ends.data[row])
        torch.testing.assert_close(walk.data[5 * row + 4], ends.data[row + 1])
        assert not torch.allclose(walk.data[5 * row + 2], ends.data[row])
    assert generate(recipe(), 15, interpolate=5).labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5


def test_walks_are_spherical():
    latent = torch.tensor([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0]])
    points = slerp_rows(latent, 3).view(2, 3, 2)
    half = 3 * 0.5**0.5
    torch.testing.assert_close(points[0], torch.tensor([[3.0, 0.0], [half, half], [0.0, 3.0]]))
    torch.testing.assert_close(points.norm(dim=-1), torch.full((2, 3), 3.0))
    torch.testing.assert_close(slerp_rows(torch.tensor([[1.0], [3.0]]), 3), torch.tensor([[1.0], [2.0], [3.0]]))


@pytest.mark.parametrize("options", [{"interpolate": 1}, {"interpolate": -2}, {"interpolate": 3, "grid": True}])
def test_bad_sampling_options(options):
    with pytest.raises(ConfigError, match="interpolate"):
        Sampling(**options)


def test_a_class_may_be_called_by_a_number():
    names = ("0", "1", "10", "2")  # folders in their order
    assert class_index(2, names) == class_index("2", names) == 3
    assert class_index(1, ("cat", "dog")) == class_index("1", ("cat", "dog")) == 1
    chosen = build(Sampling, read_words(["--label", "10"], option_types(Sampling))[0], "x").label
    assert class_index(chosen, names) == 2
    with pytest.raises(ConfigError, match="label = 010 is outside"):
        class_index("010", ("0", "1", "x"))


@pytest.mark.parametrize("n", [7, 12, 13, 64])
def test_a_walk_closes_whatever_its_number_of_pictures(n):
    """Angles between neighbours on an arc are equal, the last picture's to the first among them."""
    z = latents(Sampling(walk=6), n, 50, Noise("cpu").reset(0))
    keys = keys_of_walk(Sampling(walk=6), n)
    assert keys == max(2, round(n / 6))
    turn = [float(torch.cosine_similarity(z[i], z[(i + 1) % n], dim=0).clamp(-1, 1).acos()) for i in range(n)]
    assert len(turn) == len(z)
    assert max(turn) < 0.8  # no jump: independent normal vectors are about at right angles
