"""Generated texts: classes, prefixes, given texts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_seqgan import INFO, recipe

from polygan import ConfigError, make_samples, testing
from polygan.game.sampling import stream_samples
from polygan_text import generation
from polygan_text.data.facts import TEXTS
from polygan_text.domain import TextDomain
from polygan_text.settings import Sampling


def generated(made, n=70, seed=0, **options):
    return make_samples(made, made.networks(), n, seed, Sampling(**options))


def test_a_class_reaches_the_policy_and_the_discriminator():
    info = {**INFO, "classes": ["a", "b", "c"]}
    made = recipe(info)
    networks = made.networks()
    for p in (networks["generator"].first, networks["discriminator"].classes):
        torch.nn.init.normal_(p.weight)
    samples = make_samples(made, networks, 7)
    assert samples.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert make_samples(made, networks, 3, 0, Sampling(label="c")).labels.tolist() == [2, 2, 2]
    given = {"tokens": samples.extra["tokens"], "label": samples.labels}
    other = {**given, "label": (samples.labels + 1) % 3}
    assert not torch.allclose(made.critic(networks, given), made.critic(networks, other))
    with pytest.raises(ConfigError, match=r"label = 'd': no such class.*a, b, c"):
        make_samples(made, networks, 3, 0, Sampling(label="d"))
    with pytest.raises(ConfigError, match="without classes"):
        generated(recipe(), label="a")


def test_the_first_samples_of_a_seed_do_not_depend_on_their_number():
    made = recipe()
    testing.check_prefix(made, made.networks(), Sampling())
    assert generated(made, seed=1).data != generated(made, seed=2).data


def test_a_prefix_begins_every_text():
    texts = generated(recipe({**INFO, "eos": None}), prefix="3 4").data
    assert all(t.startswith("3 4 ") for t in texts)
    assert len(set(texts)) > 1


@pytest.mark.parametrize(
    ("prefix", "message"), [("3 cats", "only numbers below 12; use numbers"), ("2 2 2 2 2 2", "has 6 tokens")]
)
def test_a_prefix_that_cannot_be(prefix, message):
    with pytest.raises(ConfigError, match=message):
        generated(recipe({**INFO, "eos": None}), prefix=prefix)


WORDS = {"vocabulary": 12, "length": 6, "start": 0, "eos": None, "classes": []}


def continued(made, texts, seed=0, networks=None, **options):
    given = TextDomain().take(texts, made.info)
    return make_samples(made, networks or made.networks(), 0, seed, Sampling(**options), given=given)


def test_each_given_text_is_continued_and_lengths_may_differ():
    made = recipe(WORDS)
    torch.manual_seed(0)
    networks = made.networks()
    texts = ["3 4", "", "5", "7 8 9 10 11"]
    found = continued(made, texts, networks=networks)
    assert len(found) == 4
    for text, begin in zip(found.data, texts, strict=True):
        assert text.startswith(f"{begin} ".lstrip())
        assert len(text.split()) == 6
    assert found.extra["tokens"].shape == (4, 6)
    # A text does not depend on its neighbours, and the option prefix gives the same.
    assert continued(made, texts[:1], networks=networks).data == found.data[:1]
    assert make_samples(made, networks, 1, 0, Sampling(prefix="3 4")).data == found.data[:1]
    assert make_samples(made, networks, 2, 0).data[1] == found.data[1]  # the empty one is invented
    assert continued(made, texts, seed=1, networks=networks).data != found.data


def test_a_given_text_ends_only_after_what_was_given():
    """The end token is drawn for a text while another one is still given."""
    made = recipe()
    networks = made.networks()
    policy = networks["generator"]
    torch.nn.init.zeros_(policy.head.weight)
    policy.head.bias.data = torch.nn.functional.one_hot(torch.tensor(1), 12) * 100.0  # it always says the end
    found = continued(made, ["3", "4 5 6", ""], networks=networks)
    assert found.extra["tokens"].tolist() == [[3, 1, 1, 1, 1, 1], [4, 5, 6, 1, 1, 1], [1, 1, 1, 1, 1, 1]]


def test_pieces_of_a_file_are_what_one_list_gives(tmp_path):
    """More texts than are read at a time: the same noise, and classes go on from piece to piece."""
    made = recipe({**WORDS, "classes": ["a", "b", "c"]})
    networks = made.networks()
    texts = ["3"] * (TEXTS + 3)
    (tmp_path / "in.txt").write_text("\n".join(texts))
    whole = continued(made, texts, networks=networks)
    pieces = list(TextDomain().read(tmp_path / "in.txt", made.info))
    assert [len(p) for p in pieces] == [TEXTS, 3]
    streamed = TextDomain().join(stream_samples(made, networks, pieces))
    assert streamed.data == whole.data
    assert torch.equal(streamed.labels, whole.labels)
    assert torch.equal(streamed.extra["tokens"], whole.extra["tokens"])
    assert streamed.names == [str(i + 1) for i in range(TEXTS + 3)]
    assert whole.data[TEXTS:] != whole.data[:3]  # each piece has numbers of its own


def test_given_texts_keep_their_classes():
    made = recipe({**WORDS, "classes": ["a", "b", "c"]})
    given = TextDomain().take(["3", "4"], made.info)
    given.labels = torch.tensor([2, 2])
    networks = made.networks()
    assert make_samples(made, networks, 0, given=given).labels.tolist() == [2, 2]
    assert make_samples(made, networks, 0, 0, Sampling(label="b"), given=given).labels.tolist() == [1, 1]


def test_given_texts_that_cannot_be():
    made = recipe(WORDS)
    with pytest.raises(ConfigError, match=r"^prefix '3 cats': this data has no words, only numbers below 12"):
        continued(made, ["3", "3 cats"])
    with pytest.raises(ConfigError, match=r"prefix = '3': the given texts are prefixes already; leave the prefix out"):
        continued(made, ["3"], prefix="3")
    for nothing in ([], [1], 3.5):
        with pytest.raises(ConfigError, match="must be a list of at least one string"):
            continued(made, nothing)


def test_words_outside_the_vocabulary_are_written_only_if_asked_for(monkeypatch):
    """The policy knows little but ``<unk>``; data of plain numbers has no such word, and token 2 is a number there."""
    worded, numbers = recipe({**INFO, "tokenizer": "{}"}), recipe({**INFO, "eos": None})
    monkeypatch.setattr(generation, "decode", lambda tokens, info: [""] * len(tokens))
    shares = []
    for made, options in ((worded, {}), (worded, {"unknown": True}), (numbers, {})):
        networks = made.networks()
        networks["generator"].head.bias.data[2] = 20
        tokens = make_samples(made, networks, 50, 0, Sampling(**options)).extra["tokens"]
        shares.append(float((tokens == 2).float().mean()))
    assert shares[0] == 0
    assert min(shares[1:]) > 0.9


def test_surer_options_give_fewer_texts():
    made = recipe({**INFO, "eos": None})
    networks = made.networks()
    texts = [
        len(set(make_samples(made, networks, 60, 0, Sampling(**o)).data)) for o in ({}, {"top_k": 2}, {"top_k": 1})
    ]
    assert texts[0] > texts[1] > texts[2] == 1
    assert len(set(make_samples(made, networks, 60, 0, Sampling(top_p=1e-6)).data)) == 1


@pytest.mark.parametrize("options", [{"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="top_"):
        Sampling(**options)
