"""The adversarial protocol: players that take turns, and the recipe that defines them."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from .errors import ConfigError
from .seeding import Noise, mix, seed_everything

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import Tensor
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from .data import Split
    from .domain import Batch, Domain, Samples
    from .settings import TrainerSettings


@dataclass
class Player:
    """A network with what makes it learn."""

    module: nn.Module
    optimizer: Optimizer | None = None
    """None: never trained by itself (a lagged copy, an augmentation's state)."""
    scheduler: LRScheduler | None = None
    """Stepped after each iteration in which the player acted."""
    ema_half_life: float = 0
    """Half-life of the averaged copy in samples, so that it does not depend on the batch size; 0: no copy."""
    ema_ramp: float = 0.05
    """The half-life is at most this share of the samples seen so far (StyleGAN's ramp-up); 0: no ramp."""
    ema_buffers: bool = True
    """Whether the averaged copy takes over the network's buffers; False: a turn keeps its own up to date (statistics of
    batch norm are true of the weights that they were measured with, and the averaged ones are others)."""
    clip: float = 0
    """Largest global gradient norm; 0: not clipped."""
    weight_clip: float = 0
    """Parameters are clamped to [-weight_clip, weight_clip] after each step (WGAN); 0: not clamped."""


@dataclass
class Turn:
    """Who learns, from what, when."""

    name: str
    players: tuple[str, ...]
    """Only these require gradients during the turn. None at all: the turn observes - its loss runs without gradients,
    its terms are logged and not minimised, and what it does to parameters and buffers (a lagged copy, a snapshot) stays."""
    loss: Callable[[Context, Batch], Mapping[str, Tensor]]
    """Named, already weighted terms; their sum is minimised."""
    data: str | None = "train"
    """The stream that the batch comes from; None: an empty batch, for a turn that observes once and not once a micro-batch."""
    every: int = 1
    """Due when step % every == 0 (lazy regularisation)."""
    repeat: int = 1
    """Times in a row, each with its own batch and its own step (critic steps)."""
    start: int = 0
    """First iteration."""
    stop: int | None = None
    """First iteration no longer played."""
    precision: str | None = None
    """None: the run's; ``"fp32"``: no autocast (gradient penalties)."""
    eager: bool = False
    """Never compiled: the loss differentiates twice."""

    def due(self, step: int) -> bool:
        """Whether the turn is played in iteration ``step``."""
        return step >= self.start and (self.stop is None or step < self.stop) and step % self.every == 0


class Context:
    """What a turn may look at. The trainer makes one and updates it before each call of a loss.

    ``ctx["generator"]`` is a player's network. ``ctx.noise`` draws numbers that do not depend on the number of processes.
    ``ctx.cache`` is emptied before each iteration; it has one dict per micro-batch and repeat, so that a turn may
    reuse what an earlier turn of the iteration computed from the same batch.
    """

    def __init__(self, players: Mapping[str, Player], device: torch.device, steps: int) -> None:
        self.players = players
        self.device = device
        self.steps = steps
        self.step = 0
        self.samples = 0
        self.rollbacks = 0
        self.turn = ""
        self.noise = Noise(device)
        self.cache: dict[str, Any] = {}
        self.observations: list[tuple[str, Tensor]] = []
        self._networks: Mapping[str, nn.Module] = {name: p.module for name, p in players.items()}
        self._averaged: Mapping[str, nn.Module] = {}

    def __getitem__(self, name: str) -> nn.Module:
        try:
            return self._networks[name]
        except KeyError:
            raise ConfigError(f"no player {name!r}; this recipe has {', '.join(self._networks)}") from None

    def averaged(self, name: str) -> nn.Module:
        """The exponential moving average of a player's network, or the network itself if it has none."""
        return self._averaged.get(name) or self[name]

    def observe(self, name: str, value: Tensor) -> None:
        """Log a value under ``turn/name`` without minimising it. No value is read here."""
        self.observations.append((f"{self.turn}/{name}", value.detach()))

    def observe_logits(self, real: Tensor, fake: Tensor) -> None:
        """Log how a discriminator with sign-symmetric logits stands: ``r_t`` and ``accuracy``.

        ``r_t`` = E[sign(D(x))] over real training samples in [-1, 1] (Karras et al. 2020, "Training generative
        adversarial networks with limited data", eq. 1); ``accuracy`` in [0, 1] over both. Health reads them.
        """
        real, fake = real.detach(), fake.detach()
        self.observe("r_t", real.sign().float().mean())
        self.observe("accuracy", ((real > 0).float().mean() + (fake < 0).float().mean()) / 2)

    @contextmanager
    def graph_of(self, name: str) -> Iterator[None]:
        """Record a graph through a player that does not act, for a later turn of the same iteration to reuse."""
        parameters = [p for p in self.players[name].module.parameters() if not p.requires_grad]
        for p in parameters:
            p.requires_grad_(True)
        try:
            yield
        finally:
            for p in parameters:
                p.requires_grad_(False)

    def fp32(self) -> AbstractContextManager[Any]:
        """A context manager without autocast, for the part of a loss that needs full precision."""
        if self.device.type == "meta":  # which autocast does not know
            return nullcontext()
        return torch.autocast(self.device.type, enabled=False)


class Recipe:
    """A method: who plays, in which turns, with which losses, and how samples are generated.

    A subclass sets ``domain``, its frozen ``Config`` and (where generation has options) its frozen ``Sampling`` dataclass,
    and implements `players`, `turns` and `generate`. Networks are built on the CPU; a recipe never names a device.
    """

    domain: ClassVar[str]
    Config: ClassVar[type]
    Sampling: ClassVar[type]
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Trainer settings that suit the recipe, e.g. ``{"steps": 10_000, "batch_size": 64}``."""
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format
    training: TrainerSettings | None = None
    """The trainer's settings, there before `players` is called; None where networks are only loaded to generate."""
    translates: ClassVar[bool] = False
    """Whether samples are made from given ones (a vocoder, picture to picture) by `translate`, and not from noise."""

    formats: ClassVar[tuple[str, ...]] = ()
    """Formats of other programs that `export_as` writes."""

    def __init__(self, config: Any, info: Mapping[str, Any]) -> None:
        """``config`` is an instance of ``Config``, ``info`` the facts of the data (`Source.info`)."""
        self.config = config
        self.info = info

    def players(self) -> dict[str, Player]:
        """Fresh players; called once, after the generators were seeded."""
        raise NotImplementedError

    def turns(self) -> Sequence[Turn]:
        """The turns of one iteration, in order."""
        raise NotImplementedError

    def generate(self, networks: Mapping[str, nn.Module], n: int, noise: Noise, options: Any) -> Samples:
        """``n`` samples on the CPU, from networks in evaluation mode and without gradients.

        ``options`` is an instance of ``Sampling``. Sample i of a seed should not depend on ``n``: ``noise`` sees to it if each
        call asks for ``n`` rows. Networks with much to do run in pieces (`in_chunks`).
        """
        raise NotImplementedError

    def translate(self, networks: Mapping[str, nn.Module], inputs: Samples, noise: Noise, options: Any) -> Samples:
        """What becomes of each of the domain's samples ``inputs``, in their order; conditions as for `generate`."""
        raise NotImplementedError

    def export_as(self, networks: Mapping[str, nn.Module], kind: str, path: Path) -> list[Path]:
        """Write networks for other programs, ``kind`` being one of ``formats``; returns the files."""
        raise NotImplementedError

    def convert(self, networks: Mapping[str, nn.Module], source: Path, out: Path, options: Any) -> Iterator[Path]:
        """Translate a file or every file of a folder into the folder ``out``, one at a time; yields the files written.

        Networks are in evaluation mode and without gradients. Raises `polygan.DataError` for what cannot be read.
        """
        raise ConfigError(
            f"{type(self).__name__} makes samples from noise: it has no use for an input ({source}); leave --input out"
        )

    @classmethod
    def import_weights(cls, path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Tensor]]]:
        """Weights of another program as (model settings, `Source.info`, tensors by player and name).

        Raises `polygan.CheckpointError` for what is no such file.
        """
        raise ConfigError(f"{cls.__name__} knows no weights of other programs, and cannot import {path}")

    def sample(
        self, networks: Mapping[str, nn.Module], n: int, seed: int, options: Any = None, inputs: Samples | None = None
    ) -> Samples:
        """`generate` by seed: networks in evaluation mode (restored after), no gradients, noise that fits any device.

        ``options`` is an instance of ``Sampling``; None: its defaults. Sample i of a seed does not depend on ``n``. Given
        ``inputs`` are translated instead, all of them.
        """
        device = next((p.device for net in networks.values() for p in net.parameters()), torch.device("cpu"))
        seed_everything(mix(seed, 1), device)
        with evaluating(networks), torch.no_grad():
            # Noise from the CPU's generator: a seed shows the same samples on every device.
            noise = Noise("cpu", block=64).reset(seed)
            options = self.Sampling() if options is None else options
            if inputs is not None:
                return self.translate(networks, inputs, noise, options)
            return self.generate(networks, n, noise, options)

    def preview(self) -> tuple[int, Any]:
        """How many samples, with which `Sampling` options, the fixed latent batch shows during training."""
        return 64, self.Sampling()

    def notes(self) -> Sequence[str]:
        """What the recipe settled by itself from its data and settings, a sentence each: said at the start, kept in the report."""
        return ()

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor | None:
        """Logits (n,) of a prepared batch for the overfitting signal, or None where there is no single discriminator."""
        return None


def sample_from(
    recipe: Recipe,
    networks: Mapping[str, nn.Module],
    domain: Domain,
    splits: Mapping[str, Split],
    n: int,
    seed: int,
    options: Any = None,
) -> Samples:
    """`Recipe.sample`; a recipe that translates is given what `shown` gives."""
    inputs = shown(recipe, domain, splits, n) if recipe.translates else None
    return recipe.sample(networks, n, seed, options, inputs)


def shown(recipe: Recipe, domain: Domain, splits: Mapping[str, Split], n: int) -> Samples:
    """Real samples to stand beside the first ``n`` generated ones: of the training split, or what a recipe translates.

    The latter are held out where the data is, since what a network was trained on proves little.
    """
    held_out = splits["held_out"]
    split = held_out if recipe.translates and len(held_out) else splits["train"]
    return domain.real(split, np.sort(split.rows[: min(n, len(split))]))


@contextmanager
def evaluating(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Networks in evaluation mode; each module's mode is restored at the end."""
    modes = [(m, m.training) for network in networks.values() for m in network.modules()]
    for network in networks.values():
        network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def in_chunks(function: Callable[..., Tensor], *inputs: Tensor | None, size: int = 256) -> Tensor:
    """``function`` over slices of at most ``size`` rows of the inputs; the results on the CPU, joined.

    A None among the inputs is passed on as it is.
    """
    n = next(len(x) for x in inputs if x is not None)
    pieces = [function(*(x if x is None else x[i : i + size] for x in inputs)).cpu() for i in range(0, max(n, 1), size)]
    return torch.cat(pieces)


@dataclass(frozen=True)
class NoOptions:
    """Generation without options."""


Recipe.Sampling = NoOptions


def sum_terms(turn: Turn, terms: Mapping[str, Tensor]) -> Tensor:
    """The sum of a turn's loss terms, each a scalar."""
    if not terms:
        raise ConfigError(f"turn {turn.name!r}: the loss returned no terms; return at least one named scalar")
    for name, term in terms.items():
        if not isinstance(term, torch.Tensor) or term.dim():
            got = tuple(term.shape) if isinstance(term, torch.Tensor) else type(term).__name__
            raise ConfigError(f"turn {turn.name!r}: term {name!r} is {got}, not a scalar tensor; take its mean")
    total, *rest = terms.values()
    for term in rest:
        total = total + term
    return total


def check_turns(turns: list[Turn], players: Mapping[str, Any], streams: Collection[str], steps: int) -> None:
    """Refuse turns that name no player or one without optimizer, a stream that is not there, or that can never be due."""
    if not turns:
        raise ConfigError("the recipe has no turns; turns() must return at least one")
    for turn in turns:
        for name in turn.players:
            if name not in players:
                raise ConfigError(f"turn {turn.name!r} names player {name!r}; this recipe has {', '.join(players)}")
            if players[name].optimizer is None:
                raise ConfigError(f"turn {turn.name!r} trains player {name!r}, which has no optimizer")
        if turn.data is not None and turn.data not in streams:
            raise ConfigError(
                f"turn {turn.name!r} needs the stream {turn.data!r}; this run has {', '.join(streams) or 'none'}: a split "
                "with fewer samples than a batch has none (use a smaller --batch_size, or a larger --data.held_out)"
            )
        if turn.every < 1 or turn.repeat < 1 or turn.precision not in (None, "fp32"):
            raise ConfigError(f"turn {turn.name!r} needs every >= 1, repeat >= 1 and precision None or 'fp32'")
    if not any(turn.players and turn.start < steps for turn in turns):
        raise ConfigError(f"no turn starts before step {steps}; train for more steps")
