"""Networks as graphs for other programs: ONNX files and torch's exported programs."""

from __future__ import annotations

import io
import json
import warnings
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch.export import Dim
from torch.onnx import OnnxExporterError

from polygan import CheckpointError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

TOLERANCE = 1e-4
"""Largest difference of a log-probability in nats between torch and a file."""
LEAST = -50.0
"""Log-probabilities below this number of nats are those of tokens that are never drawn."""
MOST_BYTES = 2_000_000_000
"""Bytes of weights in an ONNX file with everything in it; the format ends at 2 GiB."""


class Graph(NamedTuple):
    """A network as a function of named tensors."""

    module: nn.Module
    """On the CPU, in float32 and evaluation mode, without gradients; ``forward`` takes the inputs by their names, in this order."""
    trial: Mapping[str, Tensor]
    """Inputs that trace the module; a free dimension is at least 2 there."""
    made: Sequence[str]
    """The names of the outputs."""
    free: Mapping[str, Mapping[int, str]]
    """The free dimensions of inputs and outputs, by name."""
    facts: Mapping[str, Any]
    """What a user of the file has to know, as JSON data."""


class Opened(Protocol):
    """A written file, as a function from inputs by name to the outputs in their order."""

    def __call__(self, **inputs: Tensor) -> Sequence[Tensor]: ...


class Writer(Protocol):
    """`write_onnx` or `write_program`."""

    def __call__(self, graph: Graph, path: Path) -> Opened: ...


def write_onnx(graph: Graph, path: Path) -> Opened:
    """Write one ONNX file, with the facts as JSON under ``polygan`` in its metadata; returns the file, opened in onnxruntime.

    ConfigError without onnx and onnxruntime, and for more weights than a file holds.
    """
    onnx, runtime = need("onnx"), need("onnxruntime")
    size = sum(x.nbytes for x in (*graph.module.parameters(), *graph.module.buffers()))
    if size > MOST_BYTES:
        raise ConfigError(
            f"{size:,} bytes of weights are too many for an ONNX file, which holds {MOST_BYTES:,}; use --format pt2"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad(), _one_line():
        # The exporter by tracing is called old, but needs no onnxscript; the steps have no control flow to lose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module,
            (),
            path,
            kwargs=dict(graph.trial),
            input_names=[*graph.trial],
            output_names=[*graph.made],
            dynamic_axes={name: dict(dims) for name, dims in graph.free.items()},
            opset_version=18,
            dynamo=False,
        )
    model = onnx.load(path)
    for name in graph.trial.keys() - {given.name for given in model.graph.input}:  # the network does not read it
        model.graph.input.append(_input(onnx, graph, name))
    entry = model.metadata_props.add()
    entry.key, entry.value = "polygan", json.dumps(graph.facts)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def run(**inputs: Tensor) -> list[Tensor]:
        return [torch.from_numpy(x) for x in session.run([*graph.made], {n: x.numpy() for n, x in inputs.items()})]

    return run


@contextmanager
def _one_line() -> Iterator[None]:
    """One line where a network of another library has a part that ONNX has not; torch prints the whole graph."""
    try:
        with redirect_stdout(io.StringIO()):
            yield
    except OnnxExporterError as error:
        raise ConfigError(
            f"this network has a part that torch cannot write as ONNX ({str(error).splitlines()[0][:200]}); use --format pt2"
        ) from None


def _input(onnx: Any, graph: Graph, name: str) -> Any:
    tensor, free = graph.trial[name], graph.free.get(name, {})
    kind = onnx.helper.np_dtype_to_tensor_dtype(tensor.numpy().dtype)
    return onnx.helper.make_tensor_value_info(name, kind, [free.get(i, size) for i, size in enumerate(tensor.shape)])


def write_program(graph: Graph, path: Path) -> Opened:
    """Write a program that takes the inputs as keywords, with the facts as JSON in the extra file ``polygan``; returns it, loaded again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = {name for axes in graph.free.values() for name in axes.values()}
    dims = {name: Dim(name, min=1) for name in names}
    free = {name: {axis: dims[dim] for axis, dim in graph.free.get(name, {}).items()} for name in graph.trial}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of parameters that a copy shares
        program = torch.export.export(graph.module, (), dict(graph.trial), dynamic_shapes=free)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # paths of this machine
        torch.export.save(program, path, extra_files={"polygan": json.dumps(graph.facts)})
        return torch.export.load(path).module()


def named(path: Path, suffix: str, part: str = "") -> Path:
    """The place of a file: ``path`` with the suffix, and ``-part`` before it."""
    stem = path.stem if path.suffix == suffix else path.name
    return path.with_name(f"{stem}-{part}{suffix}" if part else f"{stem}{suffix}")


def agree(ours: Tensor, theirs: Tensor, path: Path) -> None:
    """CheckpointError where log-probabilities differ by more than `TOLERANCE`. Those below `LEAST` count as `LEAST`."""
    ours, theirs = ours.clamp(min=LEAST), theirs.clamp(min=LEAST)
    gap = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else float("inf")
    if not gap <= TOLERANCE:
        raise CheckpointError(
            f"{path} writes other texts than its source: log-probabilities differ by {gap:.2g}; do not use the file"
        )


def need(package: str) -> Any:
    """The package. ConfigError, which says what to install, where it is missing."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"export to ONNX needs the package {error.name or package}: pip install 'polygan-text[onnx]', or use another format"
        ) from None
