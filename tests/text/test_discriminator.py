"""The convolutional discriminator: the paper's order, scores of completions."""

from __future__ import annotations

import pytest
import torch

from polygan_text import discriminator as cnn
from polygan_text.discriminator import PAPER_FILTERS, Discriminator


@pytest.mark.parametrize("tables", [cnn.TABLES, 0])
@pytest.mark.parametrize("classes", [0, 3])
def test_tables_and_sharing_the_common_beginning_change_no_score(classes, tables, monkeypatch):
    monkeypatch.setattr(cnn, "TABLES", tables)
    monkeypatch.setattr(cnn, "COMPLETIONS", 100)
    torch.manual_seed(0)
    discriminator = Discriminator(12, 20, 4, classes=classes).train()
    if classes:
        torch.nn.init.normal_(discriminator.classes.weight)
    tokens, labels = torch.randint(12, (30, 20)), torch.arange(30) % 3 if classes else None
    complete = torch.randint(12, (19, 11, 30, 20))  # 330 rows a prefix: four chunks
    for k in range(19):
        complete[k, :, :, : k + 1] = tokens[:, : k + 1]
    got = discriminator.score_completions(tokens, complete, labels)
    told = None if labels is None else labels.repeat(19 * 11)
    expected = discriminator.score(complete.flatten(0, 2), told).view(19, 11, 30)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_tables_are_made_where_they_pay(monkeypatch):
    made = []
    monkeypatch.setattr(cnn, "_sums", lambda table, sums=cnn._sums: made.append(1) or sums(table))
    discriminator = Discriminator(500, 6, 4)
    for copies, tables in (
        (1, 0),
        (20, len(discriminator.convolutions)),
    ):  # 90 and 1,800 tokens, of a vocabulary of 500
        complete = torch.randint(500, (5, copies, 3, 6))
        discriminator.score_completions(complete[0, 0], complete)
        assert len(made) == tables


def test_the_discriminator_scores_without_dropout_in_training_mode():
    discriminator = Discriminator(12, 6, 4, dropout=0.9).train()
    tokens = torch.randint(12, (300, 6))
    a, b = discriminator.score(tokens), discriminator.score(tokens)
    assert torch.equal(a, b)
    assert not a.requires_grad
    torch.testing.assert_close(a, discriminator.eval()(tokens))
    assert not torch.equal(discriminator.train()(tokens), discriminator(tokens))


def test_pooling_before_the_bias_is_the_paper_s_order():
    """relu(max(conv) + b) against max(relu(conv + b)), convolution by convolution, with torch's own layers."""
    discriminator = Discriminator(12, 20, 8).eval()
    torch.nn.init.normal_(discriminator.bias)
    tokens = torch.randint(12, (4, 20))
    x = discriminator.embedding(tokens).transpose(1, 2)
    pooled, begin = [], 0
    for (_, maps), convolution in zip(PAPER_FILTERS, discriminator.convolutions, strict=True):
        kernel = convolution.weight.squeeze(2)  # (maps, embedding, size)
        h = torch.nn.functional.conv1d(x, kernel, discriminator.bias[begin : begin + maps]).relu()
        pooled.append(h.amax(2))
        begin += maps
    x = torch.cat(pooled, 1)
    gate = discriminator.gate(x).sigmoid()
    expected = gate * discriminator.highway(x).relu() + (1 - gate) * x
    torch.testing.assert_close(discriminator.features(tokens), expected, rtol=1e-4, atol=1e-5)
