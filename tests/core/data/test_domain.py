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
