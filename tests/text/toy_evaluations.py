"""Evaluations whose texts are written by hand, for the tests of scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch

from polygan import Evaluation, Samples
from polygan.data import build_store, split_store
from polygan.scoring.evaluation import Pairs
from polygan_text.data.settings import TextSettings
from polygan_text.data.vocabulary import decode, load_vocabulary
from polygan_text.domain import TextDomain

DOMAIN = TextDomain()


@dataclass
class Written(Evaluation):
    """An evaluation whose generator writes ``made``, and, with ``sources``, each of them for a source with a truth."""

    made: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    truths: list[str] = field(default_factory=list)

    def samples_of(self, texts: list[str]) -> Samples:
        """Texts as a run would write them: unknown words are ``<unk>``."""
        rows = load_vocabulary(self.info["tokenizer"]).encode(texts)
        width = max(map(len, rows), default=0) + 1
        tokens = torch.tensor([row + [1] * (width - len(row)) for row in rows])
        return Samples(decode(tokens, self.info), DOMAIN, extra={"tokens": tokens})

    def generate(self, n, seed, options=None, **_: Any) -> Samples:
        return self.samples_of([self.made[i % len(self.made)] for i in range(n)])

    @property
    def paired(self) -> bool:
        return bool(self.sources)

    def pairs(self, n, variant="") -> Pairs:
        if not self.paired:
            return super().pairs(n, variant)
        made = [text.upper() for text in self.made] if variant else self.made
        return Pairs(Samples(self.sources[:n], DOMAIN), self.samples_of(made[:n]), self.samples_of(self.truths[:n]))


def written(folder, train, held_out, made, variants=None, **options) -> Written:
    """Of training texts, held-out texts and generated texts; ``options`` are of `Written`, and ``tokenizer`` of the data."""
    files = [folder / "train.txt", folder / "held_out.txt"]
    for file, texts in zip(files, (train, held_out), strict=True):
        file.write_text("\n".join(texts))
    tokenizer, samples = options.pop("tokenizer", "word"), options.pop("samples", len(made))
    settings = TextSettings(
        source=str(files[0]), test=str(files[1]), cache=str(folder), tokenizer=tokenizer, vocabulary=300
    )
    splits = split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0)
    return Written(
        domain=DOMAIN,
        info=splits["train"].store.info,
        train=splits["train"],
        held_out=splits["held_out"],
        cache=folder,
        device=torch.device("cpu"),
        recipe=SimpleNamespace(given=None, invents=False, variants=variants or {}),
        networks={},
        samples=samples,
        made=made,
        **options,
    )
