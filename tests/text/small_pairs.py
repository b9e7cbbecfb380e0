"""Small policies of both kinds and pairs for them, for the tests of this folder."""

from __future__ import annotations

import json

import torch

from polygan_text.data.settings import TextSettings
from polygan_text.domain import TextDomain
from polygan_text.rewriting.lstm import LSTMSourcePolicy
from polygan_text.rewriting.transformer import TransformerSourcePolicy

VOCABULARY, SOURCE, LENGTH = 11, 7, 6
EOS, UNK = 1, 2


def policies(dropout=0.0):
    torch.manual_seed(0)
    made = {
        "lstm": LSTMSourcePolicy(VOCABULARY, 5, 7, dropout=dropout),
        "deep": LSTMSourcePolicy(VOCABULARY, 5, 6, layers=2, dropout=dropout),
        "transformer": TransformerSourcePolicy(VOCABULARY, SOURCE, LENGTH, 8, heads=2, dropout=dropout),
    }
    for policy in made.values():
        for parameter in policy.parameters():
            torch.nn.init.normal_(parameter, std=0.6)
    return made


def given(n=5, seed=1):
    """(n, S) sources with unknown words, padded with the end token."""
    tokens = torch.randint(2, VOCABULARY, (n, SOURCE), generator=torch.Generator().manual_seed(seed))
    tokens[:, 1] = UNK
    for i in range(n):
        tokens[i, 2 + i % (SOURCE - 2) :] = EOS
    return tokens


def texts(n=5, seed=2):
    """(n, L) texts that copy the unknown word at position 1."""
    tokens = torch.randint(3, VOCABULARY, (n, LENGTH), generator=torch.Generator().manual_seed(seed))
    tokens[:, 2] = VOCABULARY + 1
    tokens[::2, 4:] = EOS
    return tokens


def batch(n=8, seed=2):
    tokens = texts(n, seed)
    copied = torch.where(tokens >= VOCABULARY, tokens - VOCABULARY, -1)
    return {"tokens": torch.where(copied >= 0, UNK, tokens), "given": given(n), "copied": copied}


def opened_pairs(folder):
    """An opened source of sixty pairs of long and short texts."""
    path = folder / "pairs.jsonl"
    things = ("cat", "dog", "bird", "horse", "fish")
    rows = [
        {"long": f"the {things[i % 5]} of name{i} sleeps in the house", "short": f"the {things[i % 5]} of the house"}
        for i in range(60)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    options = TextSettings(source=str(path), given="long", column="short", min_count=2, cache=str(folder / "cache"))
    return TextDomain().open(options)
