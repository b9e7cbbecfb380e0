"""Texts of a run: one of 8 texts against one text each, and `generate` against `generate()` of transformers."""

from __future__ import annotations

import torch
from timing import interleave, table

from polygan import make_samples
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config, Sampling

TEXTS, LENGTH, VOCABULARY = 512, 32, 5000
INFO = {"vocabulary": VOCABULARY, "length": LENGTH, "start": 0, "eos": None, "classes": []}


def made(policy, discriminator):
    """A recipe and its networks with initial weights, ready to write."""
    torch.manual_seed(0)
    recipe = SeqGAN(Config(policy=policy, hidden_dim=128, layers=2, discriminator=discriminator), INFO)
    return recipe, {name: network.eval() for name, network in recipe.networks().items()}


def writer(recipe, networks, copies):
    options = Sampling(rerank=copies)
    return lambda: make_samples(recipe, networks, TEXTS, 0, options)


def by_transformers(policy):
    """The same number of tokens from the same weights, as a user of transformers draws them."""
    begun = torch.zeros(TEXTS, 1, dtype=torch.long)
    options = {"do_sample": True, "top_k": 0, "max_new_tokens": LENGTH, "min_new_tokens": LENGTH, "pad_token_id": 0}

    def run():
        with torch.no_grad():
            policy.model.generate(begun, attention_mask=torch.ones_like(begun), **options)

    return run


def bench_generating(rounds):
    """Seconds and tokens a second of each, with the ratios."""
    for policy in ("lstm", "gpt2"):
        for discriminator in ("lstm", "cnn"):
            recipe, networks = made(policy, discriminator)
            times = interleave({k: writer(recipe, networks, k) for k in (1, 8)}, min(rounds, 5))
            rows = [("one text each", f"{times[1]:.2f} s", "1.00x")]
            rows.append(("one of 8 texts", f"{times[8]:.2f} s", f"{times[8] / times[1]:.2f}x"))
            title = f"{TEXTS} texts of {LENGTH} tokens, policy {policy}, discriminator {discriminator}"
            table(f"{title}, {torch.get_num_threads()} threads", rows)
    recipe, networks = made("gpt2", "cnn")
    runners = {"transformers": by_transformers(networks["generator"]), "polygan": writer(recipe, networks, 1)}
    times = interleave(runners, min(rounds, 5))
    tokens, base = TEXTS * LENGTH, times["transformers"]
    rows = [(name, f"{tokens / t:,.0f} tokens/s", f"{base / t:.2f}x") for name, t in times.items()]
    table("GPT-2 of 2 layers of 128", rows)
