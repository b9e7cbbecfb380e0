import math

import pytest
import torch
from small_pairs import EOS, SOURCE, UNK, VOCABULARY, given, policies, texts

from polygan_text.rewriting.pointer import AdditiveAttention, Distribution
from polygan_text.rewriting.sources import copyable


def by_hand(gate=0.0):
    """One token over 4 words and a source of word 3, an unknown word, word 3 and the end, in equal parts of attention."""
    words = torch.tensor([[[0.1, 0.2, 0.3, 0.4]]]).log()
    attention = torch.tensor([[[0.25, 0.25, 0.25, 0.25]]]).log()
    return Distribution(words, attention, torch.tensor([[gate]]), copyable(torch.tensor([[3, UNK, 3, EOS]]), 4))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (0, 0.5 * 0.1),
        (EOS, 0.5 * 0.2 + 0.5 * 0.25),
        (UNK, 0.5 * 0.3),
        (3, 0.5 * 0.4 + 0.5 * 0.5),  # both positions
        (4 + 1, 0.5 * 0.25),
    ],
)
def test_a_token_has_its_generated_part_and_the_attention_on_all_its_positions(token, expected):
    found = by_hand()
    assert found.log_probability(torch.tensor([[token]])).item() == pytest.approx(math.log(expected), abs=1e-6)
    assert found.probabilities()[0, 0, token].item() == pytest.approx(expected, abs=1e-6)


def test_positions_of_known_words_have_no_probability_of_their_own():
    assert by_hand().probabilities()[0, 0, [4, 6, 7]].tolist() == [0, 0, 0]


@pytest.mark.parametrize("gate", [-200.0, 200.0])
def test_a_saturated_gate_gives_finite_likelihoods_and_gradients(gate):
    found = by_hand(gate)
    parts = [part.clone().requires_grad_() for part in found[:3]]
    tokens = torch.tensor([[0, 3, 5, EOS]])
    long = Distribution(*(p.expand(1, 4, *p.shape[2:]) for p in parts), found.tokens)
    loss = long.log_probability(tokens).sum() + long.entropy().sum()
    for gradient in torch.autograd.grad(loss, parts):
        assert gradient.isfinite().all()
    assert loss.isfinite()


@pytest.mark.parametrize("name", ["lstm", "deep", "transformer"])
def test_the_distribution_sums_to_1_and_agrees_with_the_likelihood(name):
    found = policies()[name](texts(), given())
    whole = found.probabilities()
    assert whole.shape[2] == VOCABULARY + SOURCE
    torch.testing.assert_close(whole.sum(2), torch.ones(whole.shape[:2]))
    chosen = whole.gather(2, texts()[:, :, None]).squeeze(2).log()
    torch.testing.assert_close(found.log_probability(texts()), chosen, atol=1e-5, rtol=1e-5)


def test_padding_gets_no_attention():
    found = policies()["lstm"](texts(), given())
    padded = (given() == EOS).cumsum(1) > 1
    assert found.attention.exp()[padded[:, None].expand(found.attention.shape)].max() == 0


def test_the_likelihood_has_the_gradient_of_finite_differences():
    torch.manual_seed(0)
    tokens = torch.tensor([[3, 5, EOS]])
    source = copyable(torch.tensor([[3, UNK, 3, EOS]]), 4)
    parts = [torch.randn(1, 3, k, dtype=torch.double, requires_grad=True) for k in (4, 4, 1)]

    def likelihood(words, attention, gate):
        found = Distribution(words, attention.log_softmax(2), gate.squeeze(2), source)
        return torch.cat([found.log_probability(tokens), found.entropy(), found.coverage()])

    assert torch.autograd.gradcheck(likelihood, parts)


def test_coverage_is_the_attention_on_what_was_attended_to_before():
    attention = torch.tensor([[[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]]])
    found = Distribution(torch.zeros(1, 3, 4), attention.clamp(min=1e-9).log(), torch.zeros(1, 3), torch.zeros(1, 2))
    expected = [0.0, 0.5, 0.25 + 0.5]  # sums before: 0 and 0, 0.5 and 0.5, 1.5 and 0.5
    assert found.coverage()[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_attention_in_pieces_equals_attention_at_once(monkeypatch):
    torch.manual_seed(0)
    attention, states, keys = AdditiveAttention(5), torch.randn(2, 7, 5, requires_grad=True), torch.randn(2, 3, 2)
    results = []
    for kept, piece in ((1 << 27, 1 << 23), (1 << 27, 30), (0, 30)):
        monkeypatch.setattr("polygan_text.rewriting.pointer._KEPT", kept)
        monkeypatch.setattr("polygan_text.rewriting.pointer._PIECE", piece)
        found = attention(states, keys)
        results.append((found, torch.autograd.grad(found.square().sum(), states)[0]))
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])
