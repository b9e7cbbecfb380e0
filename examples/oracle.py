"""The synthetic task of SeqGAN, with controls: does the discriminator's reward teach what a constant or a random one does not?

    .venv/bin/python examples/oracle.py --oracle FILE.safetensors --seeds 3        # the oracle of a file
    .venv/bin/python examples/oracle.py                                            # one drawn from N(0, 1), 1 seed

The runs of one seed share their start to the bit: the phases before the game do not see the reward. Prints, for each reward, the
negative log-likelihood of the samples under the oracle and of held-out data under the generator, in nats a token at
temperature 1, beside the early-stopped start and the oracle's own figure.
"""

from __future__ import annotations

import argparse
import json
import statistics

import polygan
from polygan_text.settings import Config

REWARDS = ("discriminator", "constant", "random")
MODEL = {"embedding_dim": 32, "hidden_dim": 32, "mle_rate": 0.01, "mle_steps": 700, "check_every": 35}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracle", default="", help="a .safetensors file; empty: drawn by seed")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=200, help="generator steps of the game")
    parser.add_argument("--rewards", nargs="+", default=REWARDS, choices=REWARDS)
    parser.add_argument("--size", type=int, default=11_112, help="sequences, of which a tenth is held out")
    parser.add_argument("--samples", type=int, default=5000, help="sequences that are scored")
    parser.add_argument("--model", nargs="*", default=[], metavar="NAME=VALUE", help="settings of text/seqgan")
    parser.add_argument("--runs", default="runs")
    arguments = parser.parse_args()
    model = MODEL | {name: json.loads(value) for name, _, value in (word.partition("=") for word in arguments.model)}
    method = Config(**model).method()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*REWARDS, "start", "oracle")}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for reward in arguments.rewards:
            run = polygan.train(
                "text/seqgan",
                data={"source": "oracle", "oracle": arguments.oracle, "size": arguments.size},
                model={"reward": reward, **model},
                steps=method.mle_steps + method.pretrain_steps + arguments.steps,
                seed=seed,
                runs=arguments.runs,
                name=f"oracle-{reward}-{seed}",
                save_every=0,
                sample_every=0,
            )
            scores = run.evaluate(
                ["text/nll-oracle", "text/nll-held-out", "text/temperature-sweep"], samples=arguments.samples
            )
            value = {s.name: s.value for s in scores}
            floor = next(s.floor for s in scores if s.name == "text/nll-oracle")
            found[reward].append((value["text/nll-oracle"], value["text/nll-held-out"]))
            start = (value["text/nll-oracle-of-mle"], value["text/nll-held-out-of-mle"])
            if start not in found["start"]:
                found["start"].append(start)
                found["oracle"].append((floor or 0.0, floor or 0.0))
            print(f"seed {seed} {reward}: {found[reward][-1]}, start {start}", flush=True)
    print(f"\n{'':14} NLL by the oracle         NLL of held-out data")
    for name, pairs in found.items():
        if pairs:
            cells = [f"{statistics.mean(v):.3f} ({min(v):.3f} .. {max(v):.3f})" for v in zip(*pairs, strict=True)]
            print(f"{name:14} {cells[0]:25} {cells[1]}")


if __name__ == "__main__":
    main()
