"""The adversarial protocol: players that take turns, and what a turn may look at."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..errors import ConfigError
from ..seeding import Noise

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from contextlib import AbstractContextManager

    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from ..settings.trainer import TrainerSettings


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
    loss: Callable[..., Mapping[str, Tensor]]
    """``loss(ctx, batch)``: named, already weighted terms; their sum is minimised. One batch for each name in ``data``."""
    data: str | tuple[str, ...] | None = "train"
    """The stream that the batch comes from: ``train``, ``held_out``, or one class of labelled data, ``train/horse``. Several names:
    one batch of each, in their order. None: an empty batch, for a turn that observes once and not once a micro-batch."""
    every: int = 1
    """Due when step % every == 0 (lazy regularisation)."""
    repeat: int = 1
    """Times in a row, each with its own batch and its own step (critic steps)."""
    start: int = 0
    """First iteration."""
    stop: int | None = None
    """First iteration no longer played."""
    differentiates_twice: bool = False
    """The loss takes gradients of gradients (penalties): fp32, never compiled, and convolutions made for second derivatives."""

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of the streams that batches come from."""
        return (self.data,) if isinstance(self.data, str) else self.data or ()

    def due(self, step: int) -> bool:
        """Whether the turn is played in iteration ``step``."""
        return step >= self.start and (self.stop is None or step < self.stop) and step % self.every == 0


class Context:
    """What a turn may look at. The trainer makes one and updates it before each call of a loss.

    ``ctx["generator"]`` is a player's network. ``ctx.noise`` draws numbers that do not depend on the number of processes.
    ``ctx.cache`` is emptied before each iteration; it has one dict per micro-batch, which a turn's repeats share, so that a turn
    may reuse what an earlier one of the iteration computed. After a turn that repeats that is of its last repeat, whose batch is
    not the later turn's: keep the batch beside it.
    """

    def __init__(self, players: Mapping[str, Player], device: torch.device, training: TrainerSettings) -> None:
        self.players = players
        self.device = device
        self.training = training
        self.step = 0
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


def complete_players(networks: Mapping[str, nn.Module], players: Mapping[str, Player]) -> dict[str, Player]:
    """A player for each network, in the networks' order; those that the recipe left out are never trained by themselves.

    Raises ConfigError for a player that is no network, or that holds another module than the network of its name.
    """
    for name, player in players.items():
        if name not in networks:
            raise ConfigError(f"players() returned {name!r}; networks() has {', '.join(networks)}")
        if player.module is not networks[name]:
            raise ConfigError(
                f"player {name!r} holds another module than the network {name!r}; pass on networks[{name!r}]"
            )
    return {name: players.get(name) or Player(network) for name, network in networks.items()}


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
    """Refuse turns that name no player or one without optimizer, a stream that is not there, and steps in which none would learn."""
    if not turns:
        raise ConfigError("the recipe has no turns; turns() must return at least one")
    for turn in turns:
        for name in turn.players:
            if name not in players:
                raise ConfigError(f"turn {turn.name!r} names player {name!r}; this recipe has {', '.join(players)}")
            if players[name].optimizer is None:
                raise ConfigError(f"turn {turn.name!r} trains player {name!r}, which has no optimizer")
        for stream in turn.streams:
            if stream not in streams:
                raise ConfigError(
                    f"turn {turn.name!r} needs the stream {stream!r}; this run has {', '.join(streams) or 'none'}: a split "
                    "with fewer samples than a batch has none (use a smaller --batch_size, or a larger --data.held_out)"
                )
        if turn.every < 1 or turn.repeat < 1:
            raise ConfigError(f"turn {turn.name!r} needs every >= 1 and repeat >= 1")
    if not any(turn.players and turn.start < steps for turn in turns):
        raise ConfigError(f"no turn starts before step {steps}; train for more steps")
