"""The adversarial protocol: players, the turns that train them, and the context that a turn reads."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import ConfigError
from ..seeding import Noise

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from contextlib import AbstractContextManager

    from torch import Tensor
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from ..settings.trainer import TrainerSettings


@dataclass
class Player:
    """A network with its optimizer, schedule, average and bounds."""

    module: nn.Module
    optimizer: Optimizer | None = None
    """None: no turn trains the network (a lagged copy, an augmentation's state)."""
    scheduler: LRScheduler | None = None
    """Stepped after each iteration in which a turn trained the player."""
    ema_half_life: float = 0
    """Half-life of the averaged copy in samples, so that it does not depend on the batch size; 0: no copy."""
    ema_ramp: float = 0.05
    """The half-life is at most this share of the samples seen so far (StyleGAN's ramp-up); 0: no ramp."""
    ema_buffers: bool = True
    """Whether buffers of the network are copied into the averaged copy. False: a turn updates the copy's own buffers, since
    statistics of batch norm hold only for the weights that they were measured with."""
    clip: float = 0
    """Largest global gradient norm; 0: not clipped."""
    weight_clip: float = 0
    """Parameters are clamped to [-weight_clip, weight_clip] after each step (WGAN); 0: not clamped."""
    others: Mapping[str, Optimizer] = field(default_factory=dict)
    """Optimizers of single turns by the turn's name, so that a phase has moments and a rate of its own. They move parameters of the
    same network and follow no schedule. Every other turn uses ``optimizer``."""


@dataclass
class Turn:
    """Which players learn, from which data, by which loss, and when."""

    name: str
    players: tuple[str, ...]
    """Only these players require gradients during the turn. An empty tuple makes an observing turn: its loss runs without
    gradients, its terms are only logged, and its changes to parameters and buffers (a lagged copy, a snapshot) stay."""
    loss: Callable[..., Mapping[str, Tensor]]
    """``loss(ctx, batch)`` returns named terms, already weighted; their sum is minimised. It gets a batch for each name in ``data``."""
    data: str | tuple[str, ...] | None = "train"
    """The stream of the batch: ``train``, ``held_out``, or a class of labelled data, ``train/horse``. A tuple gives a batch of
    each stream, in order. None gives an empty batch: an observing turn then runs once, not once for each micro-batch."""
    every: int = 1
    """The turn is due when step % every == 0 (lazy regularisation)."""
    repeat: int = 1
    """Number of times in a row, each with its own batch and its own optimizer step (critic steps)."""
    start: int = 0
    """The first iteration that plays the turn."""
    stop: int | None = None
    """The first iteration that no longer plays the turn; None: the turn never stops."""
    anew: bool = False
    """Whether the turn sees the first ``repeat`` batches of its streams each time, so that checks compare the same samples."""
    differentiates_twice: bool = False
    """Whether the loss takes gradients of gradients (penalties). Such a turn runs in fp32, is never compiled, and uses
    convolutions with fast second derivatives."""

    @property
    def streams(self) -> tuple[str, ...]:
        """The names in ``data``, as a tuple."""
        return (self.data,) if isinstance(self.data, str) else self.data or ()

    def due(self, step: int) -> bool:
        """Whether the turn is played in iteration ``step``."""
        return step >= self.start and (self.stop is None or step < self.stop) and step % self.every == 0


Cache = dict[str, Any]
"""What the turns of one iteration keep for each other."""


class Context:
    """What a loss may read. The trainer makes one context and updates it before each call of a loss.

    ``ctx["generator"]`` is a player's network. ``ctx.noise`` draws numbers that do not depend on the number of processes.
    ``ctx.cache`` keeps results for later turns of the iteration: a dict for each micro-batch, emptied before each iteration. The
    repeats of a turn share the dict and overwrite each other. A later turn has another batch than the last repeat: store the
    batch with the result.
    """

    def __init__(self, players: Mapping[str, Player], device: torch.device, training: TrainerSettings) -> None:
        self.players = players
        self.device = device
        self.training = training
        self.step = 0
        self.rollbacks = 0
        self.turn = ""
        self.noise = Noise(device)
        self.cache: Cache = {}
        self.observations: list[tuple[str, Tensor]] = []
        self._networks: Mapping[str, nn.Module] = {name: p.module for name, p in players.items()}
        self._averaged: Mapping[str, nn.Module] = {}

    def __getitem__(self, name: str) -> nn.Module:
        try:
            return self._networks[name]
        except KeyError:
            raise ConfigError(f"no player {name!r}; this recipe has {', '.join(self._networks)}") from None

    def averaged(self, name: str) -> nn.Module:
        """The exponential moving average of a player's network, or the network itself without an average."""
        return self._averaged.get(name) or self[name]

    def observe(self, name: str, value: Tensor) -> None:
        """Log a value under ``turn/name`` without minimising it. The value stays on its device."""
        self.observations.append((f"{self.turn}/{name}", value.detach()))

    def observe_logits(self, real: Tensor, fake: Tensor) -> None:
        """Log ``r_t`` and ``accuracy`` of a discriminator with sign-symmetric logits.

        ``r_t`` = E[sign(D(x))] over real training samples in [-1, 1] (Karras et al. 2020, "Training generative
        adversarial networks with limited data", eq. 1); ``accuracy`` in [0, 1] over real and fake samples. The health signals
        use both.
        """
        real, fake = real.detach(), fake.detach()
        self.observe("r_t", real.sign().float().mean())
        self.observe("accuracy", ((real > 0).float().mean() + (fake < 0).float().mean()) / 2)

    @contextmanager
    def graph_of(self, name: str) -> Iterator[None]:
        """Record a graph through a player that this turn does not train, for a later turn of the iteration."""
        parameters = [p for p in self.players[name].module.parameters() if not p.requires_grad]
        for p in parameters:
            p.requires_grad_(True)
        try:
            yield
        finally:
            for p in parameters:
                p.requires_grad_(False)

    def fp32(self) -> AbstractContextManager[object]:
        """A context manager that turns autocast off, for the part of a loss that needs full precision."""
        if self.device.type == "meta":  # autocast does not know the meta device
            return nullcontext()
        return torch.autocast(self.device.type, enabled=False)


def complete_players(networks: Mapping[str, nn.Module], players: Mapping[str, Player]) -> dict[str, Player]:
    """A player for each network, in the networks' order. A network that the recipe left out gets a player without optimizer.

    Raises ConfigError for a player that is no network, or that holds another module than the network of its name.
    """
    for name, player in players.items():
        if name not in networks:
            raise ConfigError(f"players() returned {name!r}, which is no network; networks() has {', '.join(networks)}")
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


def check_turns(turns: list[Turn], players: Mapping[str, Player], streams: Collection[str], steps: int) -> None:
    """Raise ConfigError for an unknown player, a player without optimizer, a missing stream, and steps without training.

    A recipe whose players all have no optimizer trains nothing: its turns observe.
    """
    if not turns:
        raise ConfigError("the recipe has no turns; turns() must return at least one")
    for turn in turns:
        for name in turn.players:
            if name not in players:
                raise ConfigError(f"turn {turn.name!r} names player {name!r}; this recipe has {', '.join(players)}")
            if players[name].optimizer is None and turn.name not in players[name].others:
                raise ConfigError(
                    f"turn {turn.name!r} trains player {name!r}, which has no optimizer; give it one in players()"
                )
        for stream in turn.streams:
            if stream not in streams:
                raise ConfigError(
                    f"turn {turn.name!r} needs the stream {stream!r}; this run has {', '.join(streams) or 'none'}: a split "
                    "with fewer samples than a batch has none (use a smaller --batch_size, or a larger --data.held_out)"
                )
        if turn.every < 1 or turn.repeat < 1:
            raise ConfigError(f"turn {turn.name!r} needs every >= 1 and repeat >= 1")
    for name, player in players.items():
        for turn in player.others:
            if not any(turn == t.name and name in t.players for t in turns):
                raise ConfigError(
                    f"player {name!r} has an optimizer for turn {turn!r}, which does not train it; name one of its turns"
                )
    learns = any(player.optimizer is not None or player.others for player in players.values())
    if learns and not any(turn.players and turn.start < steps for turn in turns):
        raise ConfigError(f"no turn starts before step {steps}; train for more steps")
