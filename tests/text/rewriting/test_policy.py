import pytest
import torch
from small_pairs import EOS, LENGTH, SOURCE, UNK, VOCABULARY, given, policies, texts

from polygan_text.policy import join, repeat, select
from polygan_text.rewriting.beams import search
from polygan_text.rewriting.pointer import Memory
from polygan_text.rollout import Shape, roll_out, sample

KINDS = ["lstm", "deep", "transformer"]


def walked(sampler, state, tokens):
    """(n, L, V + S) logarithms of what the sampler gives before each token."""
    found = []
    for t in range(tokens.shape[1]):
        found.append(sampler.logits(state))
        if t + 1 < tokens.shape[1]:
            state = sampler.advance(state, tokens[:, t])
    return torch.stack(found, 1)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_sampler_is_the_network(kind):
    policy = policies()[kind]
    writer = policy.of(given())
    sampler = writer.sampler()
    found = walked(sampler, sampler.start(5), texts())
    torch.testing.assert_close(found.exp(), policy(texts(), given()).probabilities(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_states_are_copied_selected_and_joined_without_their_memory(kind):
    policy = policies()[kind]
    sampler = policy.of(given()).sampler()
    state = sampler.advance(sampler.start(5), texts()[:, 0])
    many = join([select(repeat(state, 2), slice(3, 8)), select(state, slice(0, 1))])
    order = [3, 4, 0, 1, 2, 0]
    torch.testing.assert_close(sampler.logits(many), sampler.logits(state)[order])
    after = sampler.logits(sampler.advance(many, texts()[order, 1]))
    torch.testing.assert_close(after, sampler.logits(sampler.advance(state, texts()[:, 1]))[order])
    assert all(part.shape[0] == 6 for part in many)
    numbers = sum(part.numel() for part in state[:3])
    assert numbers < 5 * 20  # no keys or values of the sources


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_the_numbers_of_the_sources(kind):
    writer = policies()[kind].of(given())
    index = torch.tensor([4, 0, 0, 2])
    found = writer.log_probabilities(texts()[index], index)
    torch.testing.assert_close(found, writer.log_probabilities(texts())[index])
    uniform = torch.rand(5, LENGTH, 2, generator=torch.Generator().manual_seed(0))
    all_of_them = sample(writer, uniform, eos=EOS)
    assert torch.equal(sample(writer, uniform[index], eos=EOS, labels=index), all_of_them[index])


@pytest.mark.parametrize("kind", KINDS)
def test_likelihoods_at_a_temperature_are_those_of_the_drawn_distribution(kind):
    policy = policies()[kind]
    with torch.no_grad():
        expected = (policy(texts(), given()).probabilities().log() / 0.7).softmax(2)
    found = policy.of(given()).log_probabilities(texts(), None, 0.7)
    torch.testing.assert_close(found.exp(), expected.gather(2, texts()[:, :, None]).squeeze(2))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind):
    policy, short = policies()[kind], given()[:1, :4]
    assert short[0, -1] == EOS
    found = policy(texts(1), short).log_probability(texts(1))
    torch.testing.assert_close(found, policy(texts(1), given()[:1]).log_probability(texts(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_depends_on_the_source_and_on_the_tokens_before_alone(kind):
    policy, one = policies()[kind], texts()
    other = one.clone()
    other[:, 3] = 3 + (one[:, 3] - 2) % 8
    change = (policy(one, given()).probabilities() - policy(other, given()).probabilities()).abs().amax((0, 2))
    assert change[:4].max() == 0
    assert change[4] > 1e-4
    source = given()
    source[:, 0] = 3 + (source[:, 0] - 2) % 8
    assert (policy(one, given()).words - policy(one, source).words).abs().amax((0, 2)).min() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_only_unknown_words_of_the_own_source_are_copied(kind):
    writer = policies()[kind].of(given(3))
    uniform = torch.rand(3000, LENGTH, 2, generator=torch.Generator().manual_seed(0))
    index = torch.arange(3).repeat(1000)
    found = sample(writer, uniform, eos=EOS, labels=index, shape=Shape(temperature=3.0, banned=UNK))
    copies = found >= VOCABULARY
    assert copies.any()
    places = (found - VOCABULARY).clamp(min=0)
    assert (given(3)[index].gather(1, places)[copies] == UNK).all()
    assert not (found == UNK).any()


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_off_unless_the_loss_asks(kind):
    policy = policies(dropout=0.5)[kind].train()
    assert torch.equal(policy(texts(), given()).words, policy(texts(), given()).words)
    assert not torch.equal(policy(texts(), given(), dropped=True).words, policy(texts(), given(), dropped=True).words)
    kept = policy.dropout
    policy.dropout = 0.0
    expected = policy(texts(), given(), dropped=True).words
    policy.dropout = kept
    torch.testing.assert_close(policy(texts(), given()).words, expected)


def test_rollouts_keep_the_prefix_and_copy_from_the_own_source():
    from polygan import Noise

    writer = policies()["lstm"].of(given())
    tokens = sample(writer, torch.rand(5, LENGTH, 2), eos=EOS)
    complete = roll_out(writer, tokens, 3, Noise().reset(0), eos=EOS)
    assert complete.shape == (LENGTH - 1, 3, 5, LENGTH)
    for k in range(LENGTH - 1):
        assert (complete[k, :, :, : k + 1] == tokens[:, : k + 1]).all()
    copies = complete >= VOCABULARY
    places = (complete - VOCABULARY).clamp(min=0).flatten(0, 1)  # (K * 3, 5, L)
    sources = given()[None].expand(places.shape[0], -1, -1).gather(2, places).view(complete.shape)
    assert (sources[copies] == UNK).all()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_wide_beam_search_finds_the_text_with_the_most_nats_a_token(kind):
    length, vocabulary = 3, VOCABULARY + SOURCE
    policy = policies()[kind]
    writer = policy.of(given(2))
    found = search(writer.sampler(), 2, length, vocabulary**2, EOS, banned=UNK)
    every = torch.cartesian_prod(*[torch.arange(vocabulary)] * length)
    every = every[~(every == UNK).any(1)]
    ended = (every == EOS).cumsum(1) > 0
    every = every.masked_fill(ended, EOS).unique(dim=0)
    tokens = (every != EOS).sum(1) + (every == EOS).any(1)
    mask = torch.arange(length) < tokens[:, None]
    for i in range(2):
        nats = writer.log_probabilities(every, torch.full((len(every),), i)).nan_to_num(neginf=-1e4)
        best = every[((nats * mask).sum(1) / tokens).argmax()]
        assert found[i].tolist() == best.tolist()


@torch.no_grad()
def test_one_token_at_a_time_is_the_likeliest_token_each_time():
    writer = policies()["lstm"].of(given())
    found = sample(writer, torch.rand(5, LENGTH, 2), eos=EOS, shape=Shape(top_k=1))
    sampler = writer.sampler()
    likeliest = walked(sampler, sampler.start(5), found).argmax(2)
    ended = (found == EOS).cumsum(1) > 0
    assert torch.equal(found.masked_fill(ended, EOS), likeliest.masked_fill(ended, EOS))


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_texts_of_the_sources_in_order_copy_no_memory_and_many_rows_go_in_pieces(kind, monkeypatch):
    policy = policies()[kind]
    expected = policy.of(given()).log_probabilities(texts())[:, 1]
    monkeypatch.setattr("polygan_text.rewriting.policy.ROWS", 2)
    seen = []
    rows = Memory.rows
    monkeypatch.setattr(Memory, "rows", lambda self, index, **more: seen.append(index) or rows(self, index, **more))
    for labels in (None, torch.arange(5)):
        seen.clear()
        sampler = policy.of(given()).sampler()
        state = sampler.advance(sampler.start(5, labels), texts()[:, 0])
        found = torch.cat([sampler.logits(select(state, slice(begin, begin + 2))) for begin in (0, 2, 4)])
        torch.testing.assert_close(found.gather(1, texts()[:, 1:2])[:, 0], expected)
        assert all(isinstance(index, slice) == (labels is None) for index in seen)
        assert seen
