"""Texts for sources of a user, through the domain: words that no vocabulary has, cut sources, choices and beams."""

import logging

import pytest
import torch
from small_pairs import opened_pairs
from small_seq2seq import recipe

from polygan import ConfigError, Samples, make_samples
from polygan.game.sampling import stream_samples
from polygan_text.domain import TextDomain
from polygan_text.rewriting.settings import Sampling

DOMAIN = TextDomain()


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return opened_pairs(tmp_path_factory.mktemp("pairs")).info


@pytest.fixture
def made(info):
    """A recipe and networks whose policy copies its source from the beginning, whatever it is."""
    found = recipe(info, embedding_dim=8)
    torch.manual_seed(0)
    networks = found.networks()
    policy = networks["generator"].eval()

    class Copies(torch.nn.Module):
        """Attention on position t of the source, at token t."""

        def __init__(self):
            super().__init__()
            self.key = policy.head.attention.key
            self.place = 0

        def forward(self, states, keys):
            scores = torch.full((*states.shape[:2], keys.shape[1]), -40.0)
            for t in range(states.shape[1]):
                place = t if states.shape[1] > 1 else self.place
                scores[:, t, min(place, keys.shape[1] - 1)] = 0.0
            return scores

    copies = Copies()
    step = policy.step

    def counted(inputs, memory, past):
        copies.place = -1 if inputs.shape[0] == 0 else copies.place + 1
        return step(inputs, memory, past)

    def first(memory, index, known=policy.first):
        copies.place = -1
        return known(memory, index)

    policy.head.attention, policy.step, policy.first = copies, counted, first
    with torch.no_grad():
        policy.head.gate.weight.zero_()
        policy.head.gate.bias.fill_(-40.0)  # p_gen is 0
    return found, networks


def write(made, texts, seed=0, **options):
    found, networks = made
    return make_samples(
        found, networks, 0, seed, Sampling(**options), given=DOMAIN.take(texts, found.info), domain=DOMAIN
    )


@pytest.mark.parametrize("options", [{}, {"beams": 1}, {"beams": 0}, {"rerank": 3}, {"rerank": 2, "rerank_by": "best"}])
def test_words_that_no_vocabulary_has_are_copied(made, options):
    texts = ["the cat of Zoltán", "Qwerty Uiop", "the dog"]
    samples = write(made, texts, **options)
    assert samples.data == texts
    tokens = samples.extra["tokens"]
    assert int(tokens.max()) < made[0].info["vocabulary"]  # a copy is <unk> there


def test_a_source_without_a_word_gives_a_text(made):
    assert write(made, ["", "the dog"]).data == ["", "the dog"]


def test_a_remark_says_once_how_many_sources_were_cut(made, caplog):
    found, networks = made
    most = found.info["given_length"] - 1
    texts = [" ".join(["cat"] * n) for n in (most, most + 1, most + 9)]
    with caplog.at_level(logging.WARNING, logger="polygan"):
        write(made, texts)
    assert [r.getMessage() for r in caplog.records if "--data.given_length" in r.getMessage()] == [
        f"polygan: 2 of 3 given texts have more than {most} tokens, and their ends were not read; "
        "train with a larger --data.given_length"
    ]
    caplog.clear()
    pieces = (Samples([text], DOMAIN, names=[str(i)]) for i, text in enumerate(texts))
    with caplog.at_level(logging.WARNING, logger="polygan"):
        whole = list(stream_samples(found, networks, pieces, 0, Sampling(), domain=DOMAIN))
    assert len(whole) == 3
    assert [m for r in caplog.records if (m := r.getMessage()).startswith("polygan: 2 of 3 given texts")]
    assert len(caplog.records) == 1


def test_sources_of_the_data_are_cut_in_silence(made, caplog):
    found, networks = made
    given = Samples([" ".join(["cat"] * 99)], DOMAIN, extra={"tokens": torch.zeros(1, 2, dtype=torch.long)})
    make_samples(found, networks, 0, 0, None, given=given, domain=DOMAIN)
    assert not caplog.records


def test_without_sources_nothing_is_written(made):
    with pytest.raises(ConfigError, match="given"):
        make_samples(*made, 3)


def test_a_model_without_discriminator_cannot_choose(made):
    found, networks = made
    with pytest.raises(ConfigError, match="--rerank"):
        write((found, {"generator": networks["generator"]}), ["the dog"], rerank=4)


def test_the_best_looking_of_several_texts_is_chosen(info):
    found = recipe(info)
    torch.manual_seed(0)
    networks = found.networks()
    discriminator = networks["discriminator"]
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.zero_()
        discriminator.token_bias.weight[1] = -1.0
        discriminator.token_bias.weight[3:] = 1.0  # every known word looks real: long texts win
    texts = [f"the cat {i}" for i in range(20)]
    lengths = [
        sum(len(text.split()) for text in write((found, networks), texts, rerank=k, rerank_by="best").data)
        for k in (1, 8)
    ]
    assert lengths[1] > lengths[0] + 10
