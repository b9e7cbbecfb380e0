"""A small text/seq2seq, for the tests of this folder."""

from __future__ import annotations

from small_pairs import EOS, LENGTH, SOURCE, VOCABULARY
from small_seqgan import context as context

from polygan_text.rewriting.settings import Config
from polygan_text.seq2seq import Seq2Seq

INFO = {"vocabulary": VOCABULARY, "length": LENGTH, "given_length": SOURCE, "start": 0, "eos": EOS, "classes": []}
SMALL = {
    "embedding_dim": 4,
    "hidden_dim": 6,
    "heads": 2,
    "layers": 1,
    "discriminator_embedding_dim": 4,
    "discriminator_dim": 6,
    "rollouts": 2,
    "mle_steps": 1,
    "pretrain_steps": 1,
    "check_every": 1,
    "check_texts": 1,
}


def recipe(info=INFO, **options):
    return Seq2Seq(Config(**{**SMALL, **options}), info)
