"""Classes by name or number, whether a recipe is told them, and samples of given pieces."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import polygan
from polygan import ConfigError, class_index, classes_of
from polygan.game.sampling import shown_beside, stream_samples
from toy_gan import MLPGAN, Config

NAMES = ("0", "1", "10", "2")  # folders in their order


@pytest.mark.parametrize(("label", "index"), [(None, None), ("10", 2), (2, 3), ("2", 3), (1, 1), ("3", 3), (3, 3)])
def test_a_name_comes_before_a_number(label, index):
    assert class_index(label, NAMES) == index


@pytest.mark.parametrize(
    ("label", "classes", "words"),
    [
        ("tow", ("one", "two"), "no such class.*did you mean 'two'.*there are one, two"),
        ("cat", [f"c{i}" for i in range(30)], r"c19, \.\.\.$"),
        (2, ("one", "two"), r"label = 2 is outside \[0, 1\]"),
        (-1, ("one", "two"), r"outside \[0, 1\]"),
        ("x", (), "trained without classes; leave the label out"),
        (0, (), "trained without classes"),
    ],
)
def test_a_class_that_is_not_there_is_one_clear_line(label, classes, words):
    with pytest.raises(ConfigError, match=words) as error:
        class_index(label, classes)
    assert "\n" not in str(error.value)


def test_classes_are_told_if_there_are_two():
    info = {"classes": ["a", "b"]}
    assert classes_of("auto", info, "") == classes_of("yes", info, "") == ("a", "b")
    assert classes_of("no", info, "") == classes_of("auto", {"classes": ["a"]}, "") == classes_of("auto", {}, "") == ()
    with pytest.raises(ConfigError, match=r"this has 1: name a column or --model\.conditional auto"):
        classes_of("yes", {"classes": ["a"]}, "name a column")


class Jitter(polygan.Recipe):
    """Adds noise of the request and of torch's global generator to what is given."""

    domain = given = "points"

    def networks(self):
        return {"generator": torch.nn.Linear(2, 2)}

    def generate(self, networks, request):
        return polygan.Samples(request.given.data + request.noise.normal(request.n, 2) + torch.rand(request.n, 2))


class Streamed(Jitter):
    def stream(self, networks, pieces, request):
        for piece in pieces:
            yield polygan.Samples(piece.data + torch.rand(len(piece), 2))


@pytest.mark.parametrize("kind", [Jitter, Streamed])
def test_pieces_of_a_file_have_numbers_of_their_own_by_the_seed_alone(kind):
    recipe = kind(polygan.Recipe.Sampling(), {})
    networks = recipe.networks()

    def made(seed):
        pieces = [polygan.Samples(torch.zeros(3, 2)) for _ in range(3)]
        return [s.data for s in stream_samples(recipe, networks, pieces, seed)]

    first = made(0)
    torch.manual_seed(99)  # the caller's generator has no say
    assert all(torch.equal(a, b) for a, b in zip(first, made(0), strict=True))
    assert not torch.equal(first[0], made(1)[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])


def test_the_first_piece_is_what_the_samples_are_together():
    recipe = Jitter(polygan.Recipe.Sampling(), {})
    networks, given = recipe.networks(), polygan.Samples(torch.zeros(3, 2))
    alone = next(stream_samples(recipe, networks, [given], 7))
    assert torch.equal(alone.data, polygan.make_samples(recipe, networks, 3, 7, given=given).data)


class Labelled:
    """A split of rows whose labels stand in a list."""

    def __init__(self, labels):
        self.rows = np.arange(len(labels))[::-1].copy()
        labels = torch.tensor(labels)
        self.store = SimpleNamespace(fields={"label"}, info={"classes": NAMES}, gather=lambda _, rows: labels[rows])

    def __len__(self):
        return len(self.rows)

    def origins(self, rows):
        return [f"{row}.png" for row in rows]


class Shown:
    """A domain whose real samples are the numbers of their rows."""

    def real(self, split, rows):
        return polygan.Samples(torch.from_numpy(rows), labels=split.store.gather("label", rows))


def beside(kept, generated, **more):
    recipe = SimpleNamespace(given=None, invents=False)
    made = polygan.Samples(torch.zeros(len(generated)), labels=torch.tensor(generated), **more)
    return shown_beside(recipe, Shown(), {"train": Labelled(kept), "held_out": ()}, made)


def test_real_samples_have_the_classes_of_the_generated_ones_in_their_order():
    shown = beside([1, 0, 2, 1, 0, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2], kind="grid", columns=2)
    assert shown.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (shown.kind, shown.columns) == ("grid", 2)
    assert len(set(shown.data.tolist())) == 6
    assert shown.origins == [f"{row}.png" for row in shown.data.tolist()]
    assert beside([1, 0, 2, 1, 0, 2], [0, 1, 2, 0]).labels.tolist() == [0, 1, 2, 0]


def test_a_small_class_makes_short_rows_and_a_missing_class_none():
    shown = beside([0, 0, 0, 1, 2, 2], [0, 0, 0, 1, 1, 1, 2, 2, 2], kind="grid", columns=3)
    assert (shown.labels.tolist(), shown.kind, shown.columns) == ([0, 1, 2], "grid", 1)
    shown = beside([0, 0, 2, 2], [0, 0, 1, 1, 2, 2], kind="grid", columns=2)
    assert (shown.labels.tolist(), shown.kind) == ([0, 0, 2, 2], "set")
    assert beside([0, 0], [1, 1]).labels.tolist() == [0, 0]  # no sample of the class: some of the others


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, 1.5, "0", None])
def test_a_seed_that_no_generator_takes_is_refused(seed):
    recipe = MLPGAN(Config(), {})
    with pytest.raises(ConfigError, match=r"seed = .* is not a whole number in \[0, 2\^63\); use another seed"):
        polygan.make_samples(recipe, recipe.networks(), 2, seed)
    jitter = Jitter(None, {})
    with pytest.raises(ConfigError, match="seed = "):
        list(stream_samples(jitter, jitter.networks(), [polygan.Samples(torch.zeros(1, 2))], seed))


def test_the_largest_seed_works():
    recipe = MLPGAN(Config(), {})
    networks = recipe.networks()
    made = [polygan.make_samples(recipe, networks, 3, seed).data for seed in (2**63 - 1, np.int64(2**63 - 1), 0)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_more_samples_than_the_memory_holds_are_refused_before_work(monkeypatch):
    recipe = MLPGAN(Config(), {})
    with pytest.raises(
        ConfigError, match=r"n = 1,000,000,000,000,000 samples of about 8 bytes do not fit .* at a time"
    ):
        polygan.make_samples(recipe, recipe.networks(), 10**15)


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")]
)
def test_a_lack_of_memory_is_one_clear_line(error):
    class Greedy(MLPGAN):
        def generate(self, networks, request):
            raise error

    recipe = Greedy(Config(), {})
    with pytest.raises(ConfigError, match=r"n = 7 samples do not fit into the memory of device cpu; ask for fewer"):
        polygan.make_samples(recipe, recipe.networks(), 7)


def test_other_faults_of_a_recipe_pass_as_they_are():
    class Broken(MLPGAN):
        def generate(self, networks, request):
            raise RuntimeError("shapes differ")

    recipe = Broken(Config(), {})
    with pytest.raises(RuntimeError, match="shapes differ"):
        polygan.make_samples(recipe, recipe.networks(), 7)


class Measured(polygan.Domain):
    """Keeps the unit of what was given beside what was made."""

    id, writes = "points", (".txt",)
    open = real = write = render = features = None

    def complete(self, made, given, info):
        return dataclasses.replace(made, extra={"unit": given.extra["unit"] if given else info["unit"]})


def test_a_domain_completes_made_samples():
    recipe = Jitter(None, {"unit": "m"})
    networks, domain = recipe.networks(), Measured()
    given = polygan.Samples(torch.zeros(3, 2), extra={"unit": "mm"})
    assert polygan.make_samples(recipe, networks, 0, given=given, domain=domain).extra == {"unit": "mm"}
    assert polygan.make_samples(recipe, networks, 0, given=given).extra == {}
    made = stream_samples(recipe, networks, [given, given], domain=domain)
    assert [piece.extra for piece in made] == [{"unit": "mm"}] * 2
