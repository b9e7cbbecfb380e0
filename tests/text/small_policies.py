"""Small policies of every kind, for the tests of this folder."""

from __future__ import annotations

import torch

from polygan_text.policy import LSTMPolicy, TransformerPolicy


def policies(classes=0):
    torch.manual_seed(0)
    made = {
        "lstm": LSTMPolicy(11, 5, 7, classes=classes, init_std=1.0),
        "deep": LSTMPolicy(11, 5, 7, layers=2, classes=classes, init_std=1.0),
        "tied": LSTMPolicy(11, 7, 7, classes=classes, init_std=1.0, tied=True),
        "narrow": LSTMPolicy(11, 5, 7, classes=classes, init_std=1.0, tied=True),
        "gpt2": TransformerPolicy(11, 9, 8, classes=classes),
    }
    for parameter in made["gpt2"].parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return {name: policy.eval() for name, policy in made.items()}
