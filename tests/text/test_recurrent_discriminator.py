"""The recurrent discriminator: token by token, scores of completions."""

from __future__ import annotations

import torch

from polygan_text.recurrent_discriminator import RecurrentDiscriminator


def recurrent():
    torch.manual_seed(0)
    made = RecurrentDiscriminator(12, 4, 5, dropout=0.5, classes=3, eos=1)
    torch.nn.init.normal_(made.output.weight)
    torch.nn.init.normal_(made.token_bias.weight)
    torch.nn.init.constant_(made.bias, 0.3)
    return made


def test_the_recurrent_discriminator_adds_up_what_it_says_of_each_token():
    """Token by token with torch's LSTM cell, and nothing after the first end."""
    discriminator = recurrent().eval()
    tokens, labels = torch.tensor([[3, 5, 1, 1], [4, 4, 7, 2]]), torch.tensor([2, 0])
    cell = torch.nn.LSTMCell(4, 5)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in discriminator.lstm.state_dict().items()})
    expected = []
    for row, label in zip(tokens, labels, strict=True):
        state, total, given = (
            (torch.zeros(1, 5), torch.zeros(1, 5)),
            discriminator.bias,
            discriminator.first.weight[label],
        )
        for token in row.tolist():
            state = cell(given[None], state)
            total = total + state[0][0] @ discriminator.output.weight[token] + discriminator.token_bias.weight[token, 0]
            given = discriminator.embedding.weight[token]
            if token == 1:
                break
        expected.append(total)
    torch.testing.assert_close(discriminator(tokens, labels), torch.stack(expected))
    other = tokens.clone()
    other[0, 3] = 6  # after the end
    torch.testing.assert_close(discriminator(other, labels), discriminator(tokens, labels))
    assert not torch.allclose(discriminator(tokens, labels.flip(0)), discriminator(tokens, labels))


def test_the_recurrent_discriminator_scores_completions_without_dropout():
    discriminator = recurrent().train()
    tokens, labels = torch.randint(12, (30, 6)), torch.arange(30) % 3
    complete = torch.randint(12, (5, 11, 30, 6))  # 1,650 rows: more than one chunk
    got = discriminator.score_completions(tokens, complete, labels)
    assert not got.requires_grad
    assert not torch.equal(discriminator(tokens, labels), discriminator(tokens, labels))
    discriminator.eval()
    for k, copy in ((0, 0), (2, 5), (4, 10)):
        torch.testing.assert_close(got[k, copy], discriminator(complete[k, copy], labels), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(discriminator.train().score(tokens, labels), discriminator.eval()(tokens, labels))


def test_terms_and_the_bias_make_the_logit(monkeypatch):
    monkeypatch.setattr("polygan_text.recurrent_discriminator.CHUNK", 2)
    discriminator = recurrent()
    tokens, labels = torch.tensor([[3, 5, 1, 1], [4, 4, 7, 2], [1, 1, 1, 1]]), torch.tensor([2, 0, 1])
    terms = discriminator.terms(tokens, labels)
    torch.testing.assert_close(terms.sum(1) + 0.3, discriminator.score(tokens, labels))
    assert (terms[0, 3], terms[2, 1:].abs().sum()) == (0, 0)
    later = discriminator.terms(torch.tensor([[3, 5, 7, 2]]), labels[:1])
    torch.testing.assert_close(later[:, :2], terms[:1, :2])  # a term knows nothing of later tokens


def test_float16_on_a_processor_is_computed_in_float32():
    discriminator = recurrent().eval()
    tokens, labels = torch.tensor([[3, 5, 1, 1], [4, 4, 7, 2]]), torch.tensor([2, 0])
    expected = discriminator(tokens, labels)
    with torch.autocast("cpu", torch.float16):
        torch.testing.assert_close(discriminator(tokens, labels), expected)
        assert (discriminator.lstm.weight_hh_l0 @ torch.ones(5)).dtype == torch.float16  # the rest is left alone
