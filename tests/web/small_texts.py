"""A small run of text/seq2seq on pairs of texts."""

from __future__ import annotations

import polygan

PAIRS = [
    ("the cat sat on the mat", "a cat sat"),
    ("a dog ran to Rome, then home", "a dog ran"),
    ("the bird sang (in Paris) all day", "a bird sang"),
    ("an old man read his book", "a man read"),
]


def seq2seq(folder, policy="lstm", steps=60):
    """A run that has learned a little."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["long,short", *(f'"{a}","{b}"' for a, b in PAIRS * 10)]
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return polygan.train(
        "text/seq2seq",
        data={
            "source": str(folder / "pairs.csv"),
            "given": "long",
            "column": "short",
            "cache": str(folder / "cache"),
            "min_count": 7,
            "held_out": 0.3,
        },
        model={
            "policy": policy,
            "embedding_dim": 16,
            "hidden_dim": 16,
            "layers": 1,
            "mle_steps": steps,
            "mle_rate": 0.01,
            "heads": 2,
        },
        steps=steps,
        batch_size=4,
        sample_every=0,
        runs=str(folder / "runs"),
        name=policy,
        quiet=True,
    )
