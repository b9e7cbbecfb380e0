"""SeqGAN, LeakGAN, the domain, its made-up data sets and metrics are held to `polygan.testing`."""

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
METRICS.append(Case("text/nll-held-out", GRAMMAR, {**CHOSEN, "rerank": 3}, "metric", "text/residual"))
OTHERS = [
    Case("text", GRAMMAR, kind="domain"),
    Case("grammar", {"size": 60}, kind="dataset"),
    Case("oracle", {"size": 60}, kind="dataset"),
]


@parametrize_with_checks([SEQGAN, RESIDUAL, *LEAKGAN, *OTHERS, *METRICS])
def test_contract(check):
    check()
