"""The synthetic task of SeqGAN, with controls: does the discriminator's reward teach what a constant or a random reward does not?

    .venv/bin/python examples/oracle.py --oracle FILE.safetensors --seeds 3        # the oracle of a file
    .venv/bin/python examples/oracle.py                                            # one drawn from N(0, 1), 1 seed

Each seed trains one early-stopped start of maximum likelihood and its discriminator. The games for the three rewards begin from these
networks with fresh optimizers. The script prints a table for several temperatures, in nats a token, as mean (lowest .. highest) over
the seeds:

- the negative log-likelihood of samples under the oracle, and the oracle's own;
- the negative log-likelihood of held-out data under the generator.

It also prints in how many pairs the start's discriminator ranks a held-out sequence above a fresh one. With ``--rerank 2 4 8`` the table has
rows for the start whose discriminator chooses each sequence among so many; their likelihood is that of the choice. ``dense`` is the game
in which the discriminator rewards each token. A seed took 8 to 15 minutes on about half a core of an x86-64 processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import polygan
from polygan_text.oracle import oracle_of
from polygan_text.residual import Config as ResidualConfig
from polygan_text.residual import Residual
from polygan_text.settings import Config, Sampling

if TYPE_CHECKING:
    from torch import nn

REWARDS: dict[str, dict[str, str]] = {
    "discriminator": {"reward": "discriminator"},
    "dense": {"reward": "discriminator", "rewards": "dense"},
    "constant": {"reward": "constant"},
    "random": {"reward": "random"},
}
TEMPERATURES = (1.0, 0.9, 0.8)
MODEL: dict[str, Any] = {
    "embedding_dim": 32,
    "hidden_dim": 32,
    "mle_rate": 0.01,
    "mle_steps": 350,
    "check_every": 35,
    "pretrain_steps": 500,
    "discriminator": "lstm",
    "discriminator_embedding_dim": 32,
    "discriminator_dropout": 0.5,
    "discriminator_rate": 3e-3,
    "reward_scale": "logit",
    "adversarial_rate": 4e-3,
    "rollouts": 2,
    "rollout_lag": 0.0,
    "entropy": 0.0,
}


def score(run: polygan.Run, policy: nn.Module, samples: int, temperature: float) -> tuple[float, float]:
    """NLL by the oracle of fresh sequences, and NLL of all held-out ones by the policy, at the same temperature."""
    recipe: Any = run.recipe
    oracle, held_out = oracle_of(recipe.info), run.splits()["held_out"]
    real = run.domain.real(held_out, np.sort(held_out.rows)).extra["tokens"]
    options = Sampling(temperature=temperature)
    drawn = polygan.make_samples(recipe, {"generator": policy}, samples, 0, options).extra["tokens"]
    # The recipe scores by any policy, and an oracle is one.
    by_oracle = -recipe.log_likelihood(oracle, drawn).mean()
    return float(by_oracle), float(-recipe.log_likelihood(policy, real, temperature=temperature).mean())


def score_choice(run: polygan.Run, samples: int, copies: int) -> tuple[float, float]:
    """The same for the start whose discriminator chooses among ``copies`` sequences, at temperature 1."""
    oracle, held_out = oracle_of(run.recipe.info), run.splits()["held_out"]
    real = run.domain.real(held_out, np.sort(held_out.rows)).extra["tokens"]
    drawn = run.generate(samples, seed=0, rerank=copies).extra["tokens"]
    chooser = Residual(ResidualConfig(rerank=copies), run.recipe.info)
    nats = chooser.log_likelihood(run.networks["generator"], real).sum(1)
    nats = nats.double() + chooser.chosen_log_ratio(run.networks, real, None)
    return float(-chooser.log_likelihood(oracle, drawn).mean()), float(-nats.mean()) / real.shape[1]


@torch.no_grad()
def ranked(run: polygan.Run, samples: int) -> float:
    """Share of pairs of a held-out and a fresh sequence in which the discriminator takes the held-out one for more real."""
    held_out = run.splits()["held_out"]
    real = run.domain.real(held_out, np.sort(held_out.rows)).extra["tokens"]
    fake = run.generate(samples, seed=0).extra["tokens"]
    discriminator: Any = run.networks["discriminator"]
    a, b = discriminator.score(real), discriminator.score(fake)
    return float((a[:, None] > b).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracle", default="", help="a .safetensors file; empty: drawn by seed")
    parser.add_argument("--vocabulary", type=int, default=5000, help="words of a drawn oracle")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=80, help="generator steps of the game")
    parser.add_argument("--rewards", nargs="*", default=("discriminator", "constant", "random"), choices=REWARDS)
    parser.add_argument(
        "--rerank", nargs="*", type=int, default=[], help="sequences among which the discriminator chooses"
    )
    parser.add_argument("--size", type=int, default=11_112, help="sequences, of which a tenth is held out")
    parser.add_argument("--samples", type=int, default=3000, help="sequences that are scored")
    parser.add_argument("--model", nargs="*", default=[], metavar="NAME=VALUE", help="settings of text/seqgan")
    parser.add_argument("--runs", default="runs")
    arguments = parser.parse_args()
    model = MODEL | {name: json.loads(value) for name, _, value in (word.partition("=") for word in arguments.model)}
    method = Config(**model).method()
    common = {
        "data": {
            "source": "oracle",
            "oracle": arguments.oracle,
            "size": arguments.size,
            "vocabulary": arguments.vocabulary,
        },
        "runs": arguments.runs,
        "save_every": 0,
        "sample_every": 0,
    }
    found: dict[tuple[str, float], list[tuple[float, float]]] = {}

    def note(seed: int, name: str, run: polygan.Run, policy: nn.Module, temperatures: tuple[float, ...]) -> None:
        for t in temperatures:
            pair = score(run, policy, arguments.samples, t)
            found.setdefault((name, t), []).append(pair)
            print(f"seed {seed} {name} at {t}: {pair[0]:.3f} by the oracle, {pair[1]:.3f} held out", flush=True)

    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        steps = method.mle_steps + method.pretrain_steps
        start = polygan.train("text/seqgan", model=model, steps=steps, seed=seed, name=f"oracle-start-{seed}", **common)
        note(seed, "start", start, start.networks["generator"], TEMPERATURES)
        print(f"seed {seed}: {ranked(start, arguments.samples):.1%} of pairs ranked rightly", flush=True)
        for copies in arguments.rerank:
            pair = score_choice(start, arguments.samples, copies)
            found.setdefault((f"rerank {copies}", 1.0), []).append(pair)
            print(f"seed {seed} rerank {copies}: {pair[0]:.3f} by the oracle, {pair[1]:.3f} held out", flush=True)
        note(seed, "oracle", start, oracle_of(start.recipe.info), (1.0,))
        for reward in arguments.rewards:
            run = polygan.train(
                "text/seqgan",
                model=model | REWARDS[reward] | {"mle_steps": 0, "pretrain_steps": 0},
                steps=arguments.steps,
                seed=seed,
                name=f"oracle-{reward}-{seed}",
                init_from=str(start.folder),
                **common,
            )
            note(seed, reward, run, run.networks["generator"], TEMPERATURES)
    print(f"\n{'':14} temperature  NLL by the oracle         NLL of held-out data")
    for (name, t), pairs in sorted(found.items(), key=lambda item: -item[0][1]):
        cells = [f"{statistics.mean(v):.3f} ({min(v):.3f} .. {max(v):.3f})" for v in zip(*pairs, strict=True)]
        print(f"{name:14} {t:11}  {cells[0]:25} {cells[1]}")


if __name__ == "__main__":
    main()
