"""An optimizer of a player on its device: its step, its state in a checkpoint, and how it begins anew."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from ..errors import CheckpointError, ConfigError
from .statefile import check_optimizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from ..files import Facts

_FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)


class Stepper:
    """An optimizer whose step the device itself skips where a gradient is not finite."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, moved: Mapping[int, nn.Parameter], device: torch.device
    ) -> None:
        """``moved`` gives the parameter on ``device`` for the id of each parameter as the recipe built it."""
        self.optimizer = optimizer
        self.parameters: list[nn.Parameter] = []
        for group in optimizer.param_groups:
            if any(id(p) not in moved for p in group["params"]):
                raise ConfigError(
                    "an optimizer holds parameters that its player's module lacks; give each player its own optimizer"
                )
            # Some devices (e.g. meta) replace parameters instead of moving them in place.
            group["params"] = [moved[id(p)] for p in group["params"]]
            self.parameters += group["params"]
        self.fused = _fuse(optimizer, device)
        self._built = _values(optimizer)

    def step(self, gradients: list[Tensor], bad: Tensor) -> None:
        """Step and clear the gradients; the parameters stay as they are where ``bad`` is 1.

        A fused optimizer skips the step on the device. Any other optimizer gets zero gradients instead, so that its
        parameters stay finite.
        """
        if self.fused:
            self.optimizer.grad_scale, self.optimizer.found_inf = None, bad  # pyright: ignore[reportAttributeAccessIssue]
        else:
            for g in gradients:
                g.masked_fill_(bad.bool(), 0)
        self.optimizer.step()
        for p in self.parameters:
            p.grad = None

    def restart(self) -> None:
        """Give the optimizer the values it was built with, such as its learning rate."""
        for group, built in zip(self.optimizer.param_groups, self._built, strict=True):
            group.update(built)

    def load(self, saved: Facts, *, anew: bool) -> None:
        """Continue from a saved state. With ``anew``, only the moments come from the state. CheckpointError where it does not fit."""
        own = self.optimizer.param_groups
        if anew and (len(own) != len(saved["param_groups"]) or any(map(_unlike, saved["param_groups"], own))):
            raise CheckpointError(
                f"the saved state of the optimizer does not fit {type(self.optimizer).__name__} as it is now"
            )
        # The device of this process decides about fused kernels, not the device that saved the state.
        kept = [{k: v for k, v in m.items() if k != "params" and (anew or k == "fused")} for m in own]
        groups = [g | k for g, k in zip(saved["param_groups"], kept, strict=True)]
        self.optimizer.load_state_dict({**saved, "param_groups": groups})
        for p, values in self.optimizer.state.items():
            for key, value in values.items():
                # Fused kernels read memory in order, so moments need the strides of their parameter (channels_last).
                if torch.is_tensor(value) and value.shape == p.shape and value.stride() != p.stride():
                    values[key] = torch.empty_like(p, dtype=value.dtype).copy_(value)

    def check(self, saved: Facts) -> None:
        """Raise ValueError, TypeError or LookupError for a saved state that the optimizer cannot continue."""
        check_optimizer(saved, self.optimizer)

    def forget(self) -> None:
        """Begin anew: the values the optimizer was built with, and no moments."""
        self.restart()
        self.optimizer.state.clear()
        if self.fused:
            _start_momentum(self.optimizer)


def _values(optimizer: torch.optim.Optimizer) -> list[dict[str, object]]:
    """The values of each parameter group, such as the learning rate."""
    return [{k: copy.deepcopy(v) for k, v in g.items() if k != "params"} for g in optimizer.param_groups]


def _unlike(saved: Facts, own: Facts) -> bool:
    """Whether a saved parameter group belongs to another optimizer, or lacks moments that are needed now."""
    switches = ("amsgrad", "centered", "momentum")
    return saved.keys() != own.keys() or any(bool(saved.get(k)) != bool(own.get(k)) for k in switches)


def _fuse(optimizer: torch.optim.Optimizer, device: torch.device) -> bool:
    """Ask for the fused kernel where the optimizer has one. Returns whether the optimizer will use the kernel."""
    # A subclass may have its own step, which does not skip non-finite gradients.
    if device.type not in ("cpu", "cuda") or type(optimizer) not in _FUSED:
        return False
    for group in optimizer.param_groups:
        if group.get("momentum") and group.get("dampening"):
            return False
        if group.get("foreach") or group.get("differentiable") or group.get("fused") is False:
            return False
        if not all(torch.is_floating_point(p) for p in group["params"]):
            return False
    for group in optimizer.param_groups:
        group["fused"] = True
    _start_momentum(optimizer)
    return True


def _start_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Start momentum at zero; torch leaves it uninitialised if the first step is skipped. 0.9 * 0 + g = g, as in torch."""
    for group in optimizer.param_groups:
        for p in group["params"] if group.get("momentum") else ():
            optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
