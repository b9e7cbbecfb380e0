"""Train SeqGAN on a file of sentences from Python, read what it writes, and compare it with its maximum-likelihood start.

    python examples/captions.py captions.txt                # a tenth of the file is held out for the scores
    python examples/captions.py train.txt test.txt

Without a file the script takes the made-up sentences of the set `grammar`. It prints:

- sentences of the generator and of its start, at the same temperature;
- sentences that go on from a given word;
- BLEU and self-BLEU, each next to its floor;
- the report's path.
"""

from __future__ import annotations

import sys
from typing import Any

import polygan


def main(data: str | dict[str, Any], steps: int = 2600, samples: int = 1000, **model: Any) -> polygan.Run:
    """Train for ``steps`` iterations and print what came of it."""
    run = polygan.train("text/seqgan", data=data, steps=steps, model=model, save_every=200)
    mle: Any = run.networks["mle"]
    start = {"generator": mle.policy}
    for title, networks in (("generator", run.networks), ("maximum likelihood", start)):
        print(f"\n{title}:")
        for text in polygan.make_samples(run.recipe, networks, 10, seed=1).data:
            print(f"  {text}")
    beginnings = [text.partition(" ")[0] for text in run.generate(3, seed=2).data]
    print("\ngiven a first word:")
    for text in run.generate(given=beginnings, seed=3).data:
        print(f"  {text}")
    print()
    for score in run.evaluate(samples=samples):
        floor = "" if score.floor is None else f", floor {score.floor:.3f}"
        print(f"{score.name} {score.value:.3f}{floor}")
    print(run.report())
    return run


if __name__ == "__main__":
    main(dict(zip(("source", "test"), sys.argv[1:] or ["grammar"], strict=False)))
