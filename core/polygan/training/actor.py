"""Actors: each holds a player's network on the device, its average, and its guarded optimizer step."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING

import torch
from torch.nn.utils import get_total_norm

from ..errors import CheckpointError, ConfigError
from ..foreach import lerp
from ..foreach import scale as scale_all
from ..game.protocol import complete_players
from ..losses import clamp_weights
from ..seeding import mix, preserved_generators, seed_everything
from .statefile import check_player
from .stepper import Stepper
from .weights import load_module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from ..files import Facts
    from ..game.protocol import Player
    from ..game.recipe import AnyRecipe
    from ..settings.trainer import TrainerSettings
    from .checkpoint import Checkpoint

_INIT = -1  # the counter that seeds the networks' initial parameters
_FIRST_SCALE, _GROWTH_INTERVAL = 2.0**16, 2000  # as in torch.amp.GradScaler


def first_players(recipe: AnyRecipe, settings: TrainerSettings, device: torch.device) -> dict[str, Player]:
    """The players as a run of these settings begins with them, before other weights are loaded. No caller's generator advances."""
    with preserved_generators(device):
        seed_everything(mix(settings.seed, _INIT), device)
        networks = recipe.networks()
        return complete_players(networks, recipe.players(networks, settings))


class Actor:
    """A `Player` on its device. The device itself decides about non-finite gradients, so that no value is read.

    ``skipped`` counts all steps that were skipped for a non-finite gradient, ``streak`` the skipped steps in a row up to now.
    ``scale`` is the factor of the loss for fp16. Each player has its own scale, and an overflow shrinks no other scale.
    """

    def __init__(
        self, player: Player, device: torch.device, memory_format: torch.memory_format, *, scaled: bool
    ) -> None:
        self.player, self.scaled = player, scaled
        before = dict(player.module.named_parameters(remove_duplicate=False))
        self.module = player.module.to(device=device).to(memory_format=memory_format)  # pyright: ignore[reportCallIssue]
        self.scheduler = player.scheduler
        moved = _moved(self.module, before)
        self._main = None if player.optimizer is None else Stepper(player.optimizer, moved, device)
        self._others = {turn: Stepper(own, moved, device) for turn, own in player.others.items()}
        self._stepper = self._main
        for p in self.module.parameters():
            p.requires_grad_(False)
        self._schedule = copy.deepcopy(self.scheduler.state_dict()) if self.scheduler else None
        self.averaged: nn.Module | None = None
        self._pair: list[list[Tensor]] = []
        self.skipped, self.streak = torch.zeros((), device=device), torch.zeros((), device=device)
        self.scale = torch.full((), _FIRST_SCALE if scaled else 1.0, device=device)
        self._since_growth = torch.zeros((), device=device)

    def start_average(self) -> None:
        """Begin the averaged copy from the network as it is now."""
        if self.player.ema_half_life > 0:
            self.averaged = copy.deepcopy(self.module).requires_grad_(False).eval()
            self._pair = [[p.detach() for p in m.parameters()] for m in (self.averaged, self.module)]

    @property
    def optimizer(self) -> torch.optim.Optimizer | None:
        """The optimizer of the turn that trains the player, or that trained the player last."""
        return self._stepper.optimizer if self._stepper else None

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """The parameters that `optimizer` moves."""
        return self._stepper.parameters if self._stepper else ()

    def begin_turn(self, turn: str) -> None:
        """Let the parameters that the turn's optimizer moves require gradients."""
        self._stepper = self._others.get(turn, self._main)
        for p in self.parameters:
            p.requires_grad_(True)

    def end_turn(self) -> None:
        """Let no parameter require gradients."""
        for p in self.parameters:
            p.requires_grad_(False)

    def gradients(self) -> list[Tensor]:
        """The gradient of every trained parameter; zeros for a parameter that the loss did not reach."""
        for p in self.parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        return [p.grad for p in self.parameters]  # pyright: ignore[reportReturnType]

    def buffers(self) -> list[Tensor]:
        """The floating-point buffers that processes average: those of the network, and of an averaged copy with its own buffers.

        Buffers are given as ``.data``. A graph for a later turn of the iteration may hold a buffer without needing its value
        (running means of batch norm). Autograd would refuse that graph after a direct write to the buffer.
        """
        own = self.averaged is not None and not self.player.ema_buffers
        modules = [self.module, self.averaged] if own else [self.module]
        return [b.data for m in modules if m is not None for b in m.buffers() if b.is_floating_point()]

    def spoilt(self) -> Tensor:
        """Whether a buffer holds NaN, as a tensor on the device. Running means keep a NaN of a single forward pass."""
        found = [b.isnan().any() for b in self.module.buffers() if b.is_floating_point()]
        return torch.stack(found).any() if found else torch.zeros((), dtype=torch.bool, device=self.skipped.device)

    def update(self, gradients: list[Tensor], scale: Tensor | None) -> Tensor:
        """Clip, step, clamp and clear; a step with a non-finite gradient is skipped and counted. Returns the gradient norm.

        ``scale`` is the factor that the loss was multiplied with.
        """
        if self._stepper is None:
            raise ConfigError("a player without optimizer cannot be trained; give it one in players()")
        norm = get_total_norm(gradients)
        factor = None if scale is None else 1 / scale
        if factor is not None:
            norm = norm * factor
        bad = (~torch.isfinite(norm)).to(torch.float32)
        if self.player.clip > 0:
            shrink = (self.player.clip / (norm + 1e-6)).clamp(max=1.0)
            factor = shrink if factor is None else factor * shrink
        if factor is not None:
            scale_all(gradients, factor)
        self._stepper.step(gradients, bad)
        if self.player.weight_clip > 0:
            clamp_weights(self.module, self.player.weight_clip)
        self.skipped += bad
        self.streak += self.scale <= 1  # above a scale of 1, an overflow only lowers the scale and is no fault
        self.streak *= bad
        if self.scaled:
            self._rescale(bad)
        return norm

    def _rescale(self, bad: Tensor) -> None:
        """Halve the scale after an overflow, double it after 2,000 steps without one."""
        self._since_growth += 1
        self._since_growth *= 1 - bad
        grow = self._since_growth >= _GROWTH_INTERVAL
        self.scale *= torch.where(bad.bool(), 0.5, torch.where(grow, 2.0, 1.0))
        self._since_growth *= ~grow

    def finish_iteration(self, batch: int, samples: int, *, trained: bool) -> None:
        """Move the average by ``batch`` samples, copy buffers into it, and step the scheduler of a ``trained`` player."""
        if trained and self.scheduler is not None:
            self.scheduler.step()
        if self.averaged is None:
            return
        player = self.player
        half_life = player.ema_half_life
        if player.ema_ramp > 0:
            half_life = min(half_life, samples * player.ema_ramp)
        decay = 0.5 ** (batch / max(half_life, 1e-8))
        with torch.no_grad():
            averages, parameters = self._pair
            if averages:
                lerp(averages, parameters, 1 - decay)
            if player.ema_buffers:
                for average, buffer in zip(self.averaged.buffers(), self.module.buffers(), strict=True):
                    average.copy_(buffer)

    # State

    def state(self) -> dict[str, object]:
        """The state of the player that a checkpoint holds beside the networks."""
        others = {turn: own.optimizer.state_dict() for turn, own in self._others.items()}
        return {
            "optimizer": self._main.optimizer.state_dict() if self._main else None,
            **({"others": others} if others else {}),
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "counters": torch.stack([x.cpu().double() for x in self._counters()]),
        }

    def _counters(self) -> tuple[Tensor, ...]:
        return self.skipped, self.streak, self.scale, self._since_growth

    def load_state(self, state: Facts, *, iterations: int = 0, anew: bool = False) -> None:
        """Continue from a state that `state` gave, after ``iterations``.

        With ``anew``, the optimizers keep the values they were built with (such as a learning rate), and the schedule is played
        up to this iteration. Only the moments come from the state. An optimizer that the state lacks begins anew: an earlier
        version of the recipe had none for this turn. Raises an error of Python for a state of another shape.
        """
        check_player(state, self.scheduler)
        saved = [(self._main, state["optimizer"])] if self._main else []
        others = state.get("others", {})
        saved += [(own, others.get(turn)) for turn, own in self._others.items()]
        for own, values in saved:
            if values is not None:
                own.check(values)
        if anew:
            self._restart(state["scheduler"], iterations)
        for own, values in saved:
            if values is None:
                own.forget()
            else:
                own.load(values, anew=anew)
        if self.scheduler is not None and not anew:
            self.scheduler.load_state_dict(state["scheduler"])
        for mine, value in zip(self._counters(), state["counters"], strict=True):
            mine.copy_(value)

    def _restart(self, saved: object, iterations: int) -> None:
        """Give the optimizers the values they were built with, and play the schedule up to the iteration of a saved state."""
        for own in (self._main, *self._others.values()):
            if own is not None:
                own.restart()
        if self.scheduler is None or self._schedule is None:
            return
        self.scheduler.load_state_dict(copy.deepcopy(self._schedule))
        played = saved.get("last_epoch") if isinstance(saved, dict) else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch expects steps of the optimizer in between
            for _ in range(played if isinstance(played, int) else iterations):
                self.scheduler.step()

    def load_networks(self, networks: Mapping[str, Mapping[str, Tensor]], name: str, where: Path | str) -> None:
        """Load the network and its average. Raises CheckpointError, which names the first tensor that does not fit."""
        load_module(self.module, networks, name, where)
        if self.averaged is not None:
            load_module(self.averaged, networks, f"{name}.ema", where)


def restore(actors: Mapping[str, Actor], checkpoint: Checkpoint, *, anew: bool) -> None:
    """Continue from a loaded checkpoint; ``anew`` as in `Actor.load_state`. CheckpointError where something does not fit."""
    for name, actor in actors.items():
        actor.load_networks(checkpoint.networks, name, checkpoint.path)
    for name, actor in actors.items():
        try:
            actor.load_state(checkpoint.training["actors"][name], iterations=checkpoint.training["step"], anew=anew)
        except CheckpointError as error:
            raise CheckpointError(f"{checkpoint.path}: {name}: {error}") from None


def contents(actors: Mapping[str, Actor]) -> tuple[dict[str, dict[str, Tensor]], dict[str, object], bool]:
    """The content of a checkpoint: networks and averages by name, the actors' states, and whether all of it is good."""
    networks = {}
    for name, actor in actors.items():
        networks[name] = actor.module.state_dict()
        if actor.averaged is not None:
            networks[f"{name}.ema"] = actor.averaged.state_dict()
    finite = all(bool(torch.isfinite(p).all()) for a in actors.values() for p in a.module.parameters())
    # A good buffer may be infinite: a "lowest value so far" starts at infinity.
    good = finite and not any(bool(a.streak > 0) or bool(a.spoilt()) for a in actors.values())
    return networks, {name: actor.state() for name, actor in actors.items()}, good


def _moved(module: nn.Module, before: Mapping[str, Tensor]) -> dict[int, nn.Parameter]:
    """The new parameter for the id of each old parameter. Tied parameters stay tied where a device replaced them."""
    moved: dict[int, nn.Parameter] = {}
    for name, new in list(module.named_parameters(remove_duplicate=False)):
        first = moved.setdefault(id(before[name]), new)
        if first is not new:
            owner, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(owner), leaf, first)
    return moved
