"""SeqGAN, LeakGAN, text from text, the domain, its made-up data sets and metrics are held to `polygan.testing`."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from small_seq2seq import SMALL as SMALL_SEQ2SEQ

from polygan.testing import Case, parametrize_with_checks

GRAMMAR = {"source": "grammar", "size": 60, "label_column": "mood"}
TINY = {
    "embedding_dim": 4,
    "hidden_dim": 6,
    "discriminator_embedding_dim": 4,
    "rollouts": 2,
    "discriminator_steps": 1,
    "mle_steps": 1,
    "pretrain_steps": 1,
    "check_every": 1,
    "check_texts": 8,
}
SEQGAN = Case("text/seqgan", GRAMMAR, TINY)
CHOSEN = {
    "embedding_dim": 4,
    "hidden_dim": 6,
    "discriminator_embedding_dim": 4,
    "mle_steps": 2,
    "check_every": 1,
    "check_texts": 8,
}
RESIDUAL = Case("text/residual", GRAMMAR, {**CHOSEN, "rerank": 3})
SMALL_LEAK = {
    "embedding_dim": 4,
    "hidden_dim": 6,
    "goal_dim": 3,
    "goal_steps": 2,
    "discriminator_embedding_dim": 4,
    "rollouts": 2,
    "rollout_every": 3,
    "discriminator_steps": 1,
    "mle_steps": 1,
    "check_every": 1,
    "check_texts": 1,
    "teach_every": 1,
    "teach_steps": 1,
}
LEAKGAN = [
    Case("text/leakgan", {**GRAMMAR, "max_length": 6}, {**SMALL_LEAK, "preset": preset}) for preset in ("paper", "code")
]
ORACLE = {"source": "oracle", "size": 60}


def pairs(folder):
    """Long and short texts, some of whose words are too rare for the vocabulary."""
    things = ("cat", "dog", "bird", "horse", "fish")
    rows = [
        {
            "long": f"the {things[i % 5]} of {name} sleeps in the {things[i % 3]} house",
            "short": f"a {things[i % 5]} of {name}",
        }
        for i, name in enumerate(f"name{j}" if j % 3 else "anna" for j in range(60))
    ]
    path = folder / "pairs.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return {"source": str(path), "given": "long", "column": "short", "min_count": 2}


SEQ2SEQ = [
    Case("text/seq2seq", pairs, {**SMALL_SEQ2SEQ, "policy": policy, "rewards": rewards})
    for policy, rewards in (("lstm", "dense"), ("transformer", "rollouts"))
]
METRICS = [
    Case(f"text/{name}", ORACLE if name == "nll-oracle" else GRAMMAR, TINY, "metric", "text/seqgan")
    for name in (
        "nll-held-out",
        "nll-oracle",
        "bleu",
        "self-bleu",
        "embedding-distance",
        "novelty",
        "distinct",
        "entropy",
        "grammatical",
        "temperature-sweep",
    )
]
METRICS += [
    Case(f"text/{name}", GRAMMAR, {**CHOSEN, "rerank": 3}, "metric", "text/residual")
    for name in ("nll-held-out", "temperature-sweep")
]
METRICS += [
    Case(f"text/{name}", pairs, SMALL_SEQ2SEQ, "metric", "text/seq2seq")
    for name in ("nll-held-out", "bleu", "novelty", "rouge", "temperature-sweep")
]
OTHERS = [
    Case("text", GRAMMAR, kind="domain"),
    Case("grammar", {"size": 60}, kind="dataset"),
    Case("oracle", {"size": 60}, kind="dataset"),
]


@parametrize_with_checks([SEQGAN, RESIDUAL, *LEAKGAN, *SEQ2SEQ, *OTHERS, *METRICS])
def test_contract(check):
    check()
