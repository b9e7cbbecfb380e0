"""The layers of a network by name, what they put out, and how much they are excited."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from polygan import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import Tensor, nn

_MATCHED = 1 << 24  # products of a layer's places with a guide's places that are held at once


class _Reached(Exception):
    """All wanted layers have put something out; the rest of the network need not run."""


def outputs(
    network: nn.Module,
    call: Callable[[nn.Module, Tensor], Any],
    x: Tensor,
    names: Collection[str] | None,
    found: dict[str, Tensor],
) -> None:
    """Fill ``found`` with what the layers called ``names`` (None: all) put out for ``x``, in the order in which they run.

    A layer is a submodule by its dotted name, or a node of an fx graph (an exported program). ``call`` runs a module on ``x``. The
    network stops after the last wanted layer. A layer that runs several times counts with its last output.
    """

    def heard(name: str, value: object) -> None:
        if isinstance(value, torch.Tensor):
            found[name] = value
        if names is not None and found.keys() >= set(names):
            raise _Reached

    with suppress(_Reached):
        if isinstance(network, fx.GraphModule):
            call(_Interpreter(network, names, heard), x)  # pyright: ignore[reportArgumentType]  # called like the module
        else:
            _with_hooks(network, names, heard, lambda: call(network, x))


def _with_hooks(
    network: nn.Module, names: Collection[str] | None, heard: Callable[[str, object], None], run: Callable[[], Any]
) -> None:
    def hook(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: heard(name, output)

    wanted = [(name, m) for name, m in network.named_modules() if name and (names is None or name in names)]
    handles = [module.register_forward_hook(hook(name)) for name, module in wanted]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()


class _Interpreter(fx.Interpreter):
    """Runs an fx graph node by node, and tells what each named node made."""

    def __init__(
        self, network: fx.GraphModule, names: Collection[str] | None, heard: Callable[[str, object], None]
    ) -> None:
        super().__init__(network)
        self._names, self._heard = names, heard

    def __call__(self, x: Tensor) -> Any:
        return self.run(x)

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.op in ("call_module", "call_function", "call_method") and (self._names is None or n.name in self._names):
            self._heard(n.name, value)
        return value


@dataclass(frozen=True)
class Layer:
    """A layer to excite, or one of its channels, with a weight."""

    name: str
    channel: int | None = None
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Layer:
        """``NAME``, ``NAME:CHANNEL``, ``NAME=WEIGHT`` or ``NAME:CHANNEL=WEIGHT``. ConfigError for other texts."""
        found = re.fullmatch(r"([^:=\s]+)(?::(\d+))?(?:=(-?\d+(?:\.\d+)?))?", text.strip())
        if found is None:
            raise ConfigError(
                f"layers = {text!r} is no layer; type NAME, NAME:CHANNEL, NAME=WEIGHT or NAME:CHANNEL=WEIGHT"
            )
        return cls(found[1], None if found[2] is None else int(found[2]), float(found[3] or 1))

    def excitement(self, output: Tensor, guide: Tensor | None = None) -> Tensor:
        """How much the layer is excited, a scalar: half of the mean square of its output (n, C, ...), or the mean of the channel.

        With the output ``guide`` (1, C, ...) for another picture: the mean product of each place with the place of the guide that
        fits best, as in the guided dreams of Mordvintsev et al.
        """
        if self.channel is not None:
            return self.weight * output[:, self.channel].mean()
        if guide is None:
            return self.weight * output.square().mean() / 2
        places, others = output.flatten(2).transpose(1, 2).flatten(0, 1), guide.flatten(2)[0].t()  # (n P, C), (Q, C)
        with torch.no_grad():
            size = max(1, _MATCHED // len(others))
            best = torch.cat([(part @ others.t()).argmax(1) for part in places.split(size)])
        return self.weight * (places * others[best]).mean()


def chosen(texts: Sequence[str], shapes: Mapping[str, Sequence[int]], fault: str = "") -> list[Layer]:
    """The layers that ``texts`` name; without any, one layer in the middle. ``shapes``: the output shape of each layer, in order.

    ``fault`` says why the network stopped before its end, if it did.

    Raises ConfigError for a layer or a channel that does not exist.
    """
    maps = [name for name, shape in shapes.items() if len(shape) == 4 and shape[2] * shape[3] > 1]
    if not texts:
        if not maps:
            raise ConfigError("the network has no layer that makes maps (n, C, H, W); name a layer with --layers")
        return [Layer(maps[len(maps) * 3 // 5])]
    layers = [Layer.parse(text) for text in texts]
    for layer in layers:
        shape = shapes.get(layer.name)
        if shape is None:
            known = ", ".join(maps[:12]) + (", ..." if len(maps) > 12 else "")
            raise ConfigError(
                f"layer {layer.name!r} does not exist{did_you_mean(layer.name, shapes)}; there are {known or 'none'}{fault}"
            )
        if len(shape) < 2:
            raise ConfigError(f"layer {layer.name!r} puts out {tuple(shape)}, not (n, C, ...); name another layer")
        if layer.channel is not None and layer.channel >= shape[1]:
            raise ConfigError(f"layer {layer.name!r} has the channels 0 to {shape[1] - 1}, and not {layer.channel}")
    return layers
