"""What a domain does without code of its own: joining pieces, refusing files and text, and collating batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from listed_source import build, numbers

import polygan
from polygan.data import split_store
from polygan.data.domain import Domain, Samples
from polygan.data.pieces import Passage
from toy_gan import MLPGAN, Config


def test_samples_without_a_domain_say_so_when_saved(tmp_path):
    made = polygan.make_samples(MLPGAN(Config(), {}), MLPGAN(Config(), {}).networks(), 2)
    with pytest.raises(polygan.ConfigError, match="belong to no domain"):
        made.save(tmp_path)


class Written(Domain):
    """Keeps what it is asked to write."""

    id = "numbers"

    def __init__(self):
        self.written = []

    def write(self, samples, path):
        self.written.append((samples, path))
        return [path]

    def open(self, settings): ...
    def real(self, split, rows): ...
    def render(self, samples): ...
    def features(self, samples): ...


def test_pieces_are_joined_in_their_order_with_their_names():
    first, second = Samples(torch.zeros(2, 3), names=["a", "b"], kind="walk"), Samples(torch.ones(1, 3), names=["c"])
    whole = Written().join([first, second])
    assert torch.equal(whole.data, torch.tensor([[0.0] * 3, [0.0] * 3, [1.0] * 3]))
    assert (whole.names, whole.kind) == (["a", "b", "c"], "walk")
    assert Written().join([Samples([1, 2]), Samples([3])]).data == [1, 2, 3]
    assert Written().join(iter([first])) is first


def test_a_file_of_several_pieces_is_written_once_with_all_of_them(tmp_path):
    domain = Written()
    domain.write_file((Samples(torch.full((1, 2), i)) for i in (3, 4)), tmp_path / "x.npy")
    ((samples, path),) = domain.written
    assert samples.data.tolist() == [[3, 3], [4, 4]]
    assert path == tmp_path / "x.npy"


def test_samples_are_saved_by_their_own_domain(tmp_path):
    domain = Written()
    made = Samples([1], domain)
    assert made.save(str(tmp_path / "x.npy")) == [tmp_path / "x.npy"]
    assert domain.written == [(made, tmp_path / "x.npy")]


class Texts(Written):
    """Has files of two kinds, animations, and pieces to show."""

    id = "texts"
    writes, animates = (".txt", ".md"), (".gif",)

    def render(self, samples):
        return [Passage(f"<b>{text}", "<i>") for text in samples.data]


@pytest.mark.parametrize("kind", ["set", "frames"])
@pytest.mark.parametrize("name", ["walk.mp4", "x.onnx", "a.npz", "walk.gif"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path, name, kind):
    domain = Texts()
    made = Samples(["a"], domain, kind=kind)
    if (name, kind) == ("walk.gif", "frames"):
        assert made.save(tmp_path / name) == [tmp_path / name]
        return
    with pytest.raises(
        polygan.ConfigError, match=rf"{name}: domain 'texts' writes \.txt, \.md, and for an animation \.gif"
    ):
        made.save(tmp_path / name)
    assert not list(tmp_path.iterdir())
    assert not domain.written


def test_a_place_is_refused_before_samples_are_made(tmp_path):
    domain = Texts()
    domain.check_place(tmp_path / "a.gif")  # the kind of the samples is not known yet
    with pytest.raises(polygan.ConfigError, match=r"a\.wav: domain 'texts' writes"):
        domain.check_place(tmp_path / "a.wav")
    (tmp_path / "mine.md").touch()
    with pytest.raises(polygan.ConfigError, match=r"mine\.md"):
        domain.check_place(tmp_path)


# Samples as a sequence


def numbered(n=6, **options):
    options = {"labels": torch.arange(n) % 2, "classes": ("even", "odd"), **options}
    return Samples(torch.arange(n * 3.0).view(n, 3), names=[f"n{i}" for i in range(n)], **options)


def test_single_samples_by_number_and_in_a_loop():
    made = numbered()
    assert torch.equal(made[0], torch.tensor([0.0, 1, 2]))
    assert torch.equal(made[-1], made[np.int64(5)])
    assert [len(row) for row in made] == [3] * 6
    assert list(Samples(["a", "b"], Texts())) == ["a", "b"]
    for wrong in (6, -7):
        with pytest.raises(IndexError):
            made[wrong]
    with pytest.raises(TypeError):
        made["n0"]


def test_a_domain_says_what_a_single_sample_is():
    class Lengths(Texts):
        def one(self, samples, index):
            return len(samples.data[index])

    assert list(Samples(["a", "bcd"], Lengths())) == [1, 3]


@pytest.mark.parametrize(
    "index", [slice(4, 1, -2), [4, 2], (4, -4), torch.tensor([4, 2]), np.array([4, 2]), np.int32([4, 2])]
)
def test_slices_lists_and_tensors_pick_samples_with_all_that_belongs_to_them(index):
    extra = {"rate": 8, "text": list("abcdef"), "tokens": torch.arange(6), "words": ["x", "y"]}
    some = numbered(extra=extra)[index]
    assert isinstance(some, Samples)
    assert some.data[:, 0].tolist() == [12, 6]
    assert some.labels is not None
    assert some.labels.tolist() == [0, 0]
    assert (some.names, some.class_names()) == (["n4", "n2"], ["even", "even"])
    assert (some.extra["rate"], some.extra["text"], some.extra["tokens"].tolist()) == (8, ["e", "c"], [4, 2])
    assert some.extra["words"] == ["x", "y"]


def test_a_mask_picks_and_must_fit():
    made = numbered()
    assert made[made.labels == 1].names == ["n1", "n3", "n5"]
    assert len(made[[]]) == 0
    with pytest.raises(IndexError, match="a mask of 2 does not fit 6 samples"):
        made[[True, False]]


def test_rows_of_a_grid_stay_a_grid_and_other_parts_are_a_set():
    grid = numbered(kind="grid", columns=2)
    assert [(part.kind, part.columns) for part in (grid[2:6], grid[1:3], grid[2:5], grid[::2])] == [
        ("grid", 2),
        ("set", 0),
        ("set", 0),
        ("set", 0),
    ]
    assert numbered(kind="frames")[1:4].kind == "frames"


def test_the_line_about_samples_is_short_whatever_they_hold():
    texts = {
        "Samples(64 x texts, 3x32x32, grid of 8 columns, classes: a, b)": Samples(
            torch.zeros(64, 3, 32, 32), Texts(), classes="ab", kind="grid", columns=8
        ),
        "Samples(2 x a sample without a domain, 10 to 300)": Samples([torch.zeros(300), torch.zeros(10)]),
        "Samples(1 x texts)": Samples(["word " * 1000], Texts()),
        "Samples(0 x texts, 3, classes: 0, 1, 2, 3, 4, 5, 6, 7, ... (100 in all))": Samples(
            torch.zeros(0, 3), Texts(), classes=[str(i) for i in range(100)]
        ),
    }
    for text, samples in texts.items():
        assert repr(samples) == text


def test_a_notebook_shows_samples_and_every_text_is_escaped():
    page = Samples(["x</b>"], Texts(), classes=["<script>"])._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<b>" not in page
    assert "Samples(0 x texts)" in Samples([], Texts())._repr_html_()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda d: d.read(Path("a.png"), {}), "domain 'numbers' reads no files of users; leave --input out"),
        (lambda d: d.read_text(["a"], {}), "no textual form; name a file or a folder with --input"),
        (lambda d: d.lines(Samples([1])), "no textual form; name a file or a folder with --out"),
    ],
)
def test_what_a_domain_cannot_do_is_refused_with_the_option_to_change(ask, message):
    with pytest.raises(polygan.ConfigError, match=message):
        ask(Written())


def test_a_batch_stacks_every_field_of_its_rows(tmp_path):
    split = split_store(build(tmp_path, numbers(9)), 0)["train"]
    batch = Written().collate(split, np.array([7, 2]), np.zeros((2, 4)))
    assert batch["x"].tolist() == [[7, 0], [2, 0]]
