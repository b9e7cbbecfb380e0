"""What is played: every recipe of the checkout, small, with its data, and the trainers that the parts need."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from device.paths import ROOT

import polygan
from polygan.data import build_store, split_store
from polygan.plugins import Catalogue, load_catalogue
from polygan.runs.data.receipt import add_survey


@dataclass(frozen=True)
class Case:
    """A recipe with settings that let every turn be due within a few iterations."""

    model: Mapping[str, Any]
    source: Callable[[Path], str] | str
    """The name of a data set, or a function that writes data into a folder and returns the place."""
    batch: int = 8
    data: Mapping[str, Any] = field(default_factory=dict)
    inexact: str = ""
    """The operations whose derivatives torch does not repeat to the bit on CUDA; empty: there are none."""
    quick: Mapping[str, Any] = field(default_factory=dict)
    """What replaces settings of ``model`` where only the script itself is tried."""
    phases: tuple[str, ...] = ()
    """Settings of the recipe that count iterations before the next phase; each becomes a quarter of all."""


def pictures(folder: Path) -> str:
    """96 pictures 32x32 in colour: a bright disc anywhere on a dark slope."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    images = np.empty((96, 32, 32, 3), np.uint8)
    for image in images:
        row, column, radius = rng.uniform(8, 24), rng.uniform(8, 24), rng.uniform(3, 8)
        disc = ((y - row) ** 2 + (x - column) ** 2 < radius**2)[..., None] * rng.uniform(80, 200, 3)
        image[:] = disc + (y + x)[..., None] * 0.8 + rng.uniform(0, 4, (32, 32, 3))
    np.savez(folder / "pictures.npz", images=images, labels=np.arange(96) % 3)
    return str(folder / "pictures.npz")


def pairs(folder: Path) -> str:
    """96 sentences of four words, each with its first and last word; some words are too rare for the vocabulary."""
    rng = np.random.default_rng(0)
    rows = ["long,short"]
    for i in range(96):
        words = [f"w{k}" for k in rng.integers(0, 12, 3)] + [f"rare{i}"]
        rows.append(f"{' '.join(words)},{words[0]} {words[-1]}")
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(folder / "pairs.csv")


_PLAIN = {"conditional": "no", "augment": "none"}
_WIDTHS = {"generator_width": 16, "discriminator_width": 16}
_THIN = {"generator_width": 4, "discriminator_width": 4}
_VOCODER = {"batch": 2, "source": "tones", "inexact": "reflected padding"}
CASES: dict[str, Case] = {
    "points/mlp": Case({"r1": 1.0, "r1_every": 2}, "ring", 32),
    "image/dcgan": Case({**_PLAIN, **_WIDTHS, "penalty": "r1", "penalty_every": 2}, pictures, quick=_THIN),
    "image/sngan": Case({**_PLAIN, **_WIDTHS, "critic_steps": 2}, pictures, quick=_THIN),
    "image/r3gan": Case({**_PLAIN, **_WIDTHS, "depth": 1}, pictures, quick={**_THIN, "group": 2}),
    "image/stylegan": Case(
        {"conditional": "yes", "augment": "ada", "latent_dim": 32, "channel_base": 512, "channel_max": 32}
        | {"path_weight": 2.0, "path_every": 2, "r1_every": 2},
        pictures,
        inexact="gather and embeddings",
        quick={"latent_dim": 8, "channel_base": 64, "channel_max": 8},
    ),
    "image/colorize": Case(
        {"width": 16, "depth": 3, "discriminator_width": 16, "discriminator_layers": 1}
        | {"check_every": 2, "check_batches": 1},
        pictures,
        data={"pairs": "grey", "crop": 0},
        quick={"width": 4, "discriminator_width": 4},
        phases=("regression_steps",),
    ),
    "audio/hifigan": Case(
        {"variant": "v2", "channels": 32, "discriminator_width": 8}, **_VOCODER, quick={"channels": 16}
    ),
    "audio/vocos": Case(
        {"dim": 32, "hidden": 64, "blocks": 2}, **_VOCODER, quick={"dim": 8, "hidden": 16}, phases=("pretrain_steps",)
    ),
    "audio/wavegan": Case(
        {"width": 8, "spectra": (1024, 256), "penalty_every": 2},
        "tones",
        data={"kind": "notes", "segment": 16_384, "crop": "start"},
        inexact="gather and embeddings",
        quick={"width": 2, "latent_dim": 8},
    ),
    "audio/parallel-wavegan": Case(
        {"layers": 6, "stacks": 3, "channels": 16, "discriminator_channels": 16},
        **_VOCODER,
        data={"segment": 2560},
        quick={"channels": 4, "discriminator_channels": 4},
        phases=("discriminator_start",),
    ),
    "text/seqgan": Case(
        {"hidden_dim": 32, "rollouts": 2, "discriminator_steps": 1, "check_every": 2, "discriminator_dropout": 0.0},
        "grammar",
        16,
        inexact="embeddings",
        quick={"hidden_dim": 8},
        phases=("mle_steps", "pretrain_steps"),
    ),
    "text/leakgan": Case(
        {"hidden_dim": 16, "rollouts": 2, "discriminator_steps": 1, "check_every": 2, "discriminator_dropout": 0.0},
        "grammar",
        16,
        inexact="embeddings",
        quick={"hidden_dim": 8},
        phases=("mle_steps",),
    ),
    "text/residual": Case(
        {"hidden_dim": 32, "check_every": 2, "discriminator_dropout": 0.0},
        "grammar",
        16,
        inexact="embeddings",
        quick={"hidden_dim": 8},
        phases=("mle_steps",),
    ),
    "text/seq2seq": Case(
        {"embedding_dim": 16, "hidden_dim": 32, "check_every": 2, "check_texts": 8, "dropout": 0.0}
        | {"discriminator_dim": 16, "discriminator_dropout": 0.0},
        pairs,
        data={"given": "long", "column": "short", "min_count": 2},
        inexact="embeddings and copies",
        quick={"embedding_dim": 4, "hidden_dim": 8},
        phases=("mle_steps", "pretrain_steps"),
    ),
}
"""By recipe. `points/mlp` is the GAN of the tests, which needs no plugin."""


class Missing(Exception):
    """A package is not installed that a plugin needs."""


def missing(error: BaseException | None) -> str:
    """The package whose absence caused an error; empty: something else did."""
    while error is not None:
        name = getattr(error, "name", "") or ""
        if isinstance(error, ModuleNotFoundError) and not name.startswith("polygan"):
            return name
        error = error.__cause__ or error.__context__
    return ""


@cache
def catalogue() -> Catalogue:
    """The plugins of this checkout with recipes, installed or not, and the tests' own."""
    with tempfile.TemporaryDirectory() as folder:
        files = [ROOT / "tests" / "toy_gan.py"]
        for package in sorted(ROOT.glob("plugins/*/src/polygan_*/__init__.py")):
            if "def polygan_recipes(" not in package.read_text(encoding="utf-8"):
                continue
            file = Path(folder) / f"device_{package.parent.name}.py"
            file.write_text(f"from {package.parent.name} import *  # noqa: F403\n", encoding="utf-8")
            files.append(file)
        return load_catalogue(allow=(), files=files)


@dataclass(frozen=True)
class Subject:
    """The device, how much to do, a temporary folder, and which recipes to play."""

    device: torch.device
    quick: bool
    folder: Path
    recipes: tuple[str, ...] = tuple(CASES)

    @property
    def steps(self) -> int:
        """Iterations of a recipe."""
        return 4 if self.quick else 20

    @cached_property
    def _opened(self) -> dict[str, Any]:
        return {}

    def opened(self, id: str) -> Any:
        """What a recipe is played with: ``kind``, ``domain`` and ``splits``. Raises `Missing` where a package is absent."""
        if id not in self._opened:
            try:
                self._opened[id] = self._open(id)
            except (ImportError, polygan.PolyganError) as error:
                if name := missing(error):
                    raise Missing(f"{name} is not installed") from error
                raise
        return self._opened[id]

    def _open(self, id: str) -> Any:
        case, known = CASES[id], catalogue()
        kind = known.resolve(known.recipe(id))
        domain = known.resolve(known.domain(kind.domain))()
        source = case.source
        if callable(source):
            source = source(self.folder)
        named = source in known.datasets
        own = known.data_settings(known.dataset(source)) if named else domain.Settings
        settings = own(source=source, cache=str(self.folder / "cache"), held_out=0.25, **case.data)
        opened = known.resolve(known.dataset(source))(settings) if named else domain.open(settings)
        splits = split_store(build_store(opened, settings, progress=False), settings.held_out)
        model = kind.Config(**{**case.model, **(case.quick if self.quick else {})})
        add_survey(kind, model, domain, splits["train"])
        return SimpleNamespace(kind=kind, domain=domain, splits=splits)

    def trainer(self, id: str, device: torch.device | None = None, **settings: Any) -> polygan.Trainer:
        """A fresh trainer of a recipe; ``settings`` are those of `polygan.TrainerSettings`."""
        case, found, steps = CASES[id], self.opened(id), settings.get("steps", self.steps)
        checkpoints, listener = settings.pop("checkpoints", None), settings.pop("listener", None)
        info = found.splits["train"].store.info
        small = case.quick if self.quick else {}
        model = {**case.model, **small, **dict.fromkeys(case.phases, steps // 4)}
        run = polygan.TrainerSettings(
            **{
                "steps": steps,
                "batch_size": case.batch // 2 if self.quick else case.batch,
                "precision": "fp32",
                "hang_timeout": 0,
                **settings,
            }
        )
        return polygan.Trainer(
            found.kind(found.kind.Config(**model), info),
            polygan.Streams(found.splits, found.domain, run.batch_size, run.seed),
            run,
            device=device or self.device,
            prepare=lambda batch: found.domain.prepare(batch, info),
            checkpoints=checkpoints,
            listener=listener,
        )


class HostNoise(polygan.Noise):
    """Noise that is drawn on the CPU and handed to another device, so that both devices see the same numbers."""

    def __init__(self, device: torch.device) -> None:
        super().__init__("cpu")
        self.target = device

    def _draw(self, n: int, draw: Callable[[int], torch.Tensor]) -> torch.Tensor:
        return super()._draw(n, draw).to(self.target)


class Losses(polygan.Listener):
    """Every logged value of every iteration."""

    def __init__(self) -> None:
        self.logged_values: list[dict[str, float]] = []

    def logged(self, trainer: polygan.Trainer, values: Mapping[str, float]) -> None:
        """Keep the values."""
        self.logged_values.append(dict(values))


def play(trainer: polygan.Trainer, until: int = 0) -> polygan.Trainer:
    """The trainer after iteration ``until``; 0: after its last one."""
    while trainer.step < (until or trainer.settings.steps):
        trainer.iterate()
    return trainer


def state(trainer: polygan.Trainer) -> dict[str, torch.Tensor]:
    """Every parameter and buffer of the networks and of their averages, on the CPU."""
    found = {}
    for averaged in (False, True):
        for name, network in trainer.networks(averaged=averaged).items():
            for key, value in network.state_dict().items():
                found[f"{name}{'.ema' * averaged}.{key}"] = value.detach().cpu().clone()
    return found
