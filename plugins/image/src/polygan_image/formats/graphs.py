"""Networks as graphs for other programs: ONNX files and torch's exported programs, run again and compared."""

from __future__ import annotations

import inspect
import json
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.export import Dim

from polygan import CheckpointError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

TOLERANCE = 1e-4
"""Largest difference of a value between torch and a file, for values in [-1, 1]; a grey level of 8 bits is 80 times as far."""
MOST_BYTES = 2_000_000_000
"""Bytes of weights in an ONNX file with everything in it; the format ends at 2 GiB."""


class Graph(NamedTuple):
    """A network as a function of named tensors, with what its files need beside it."""

    module: nn.Module
    """On the CPU, in float32 and evaluation mode, without gradients; ``forward`` takes the inputs by their names and returns ``made``."""
    source: Callable[..., Tensor]
    """What the module stands for, with the same arguments."""
    trials: Sequence[Mapping[str, Tensor]]
    """Inputs by name, with which files are compared; the first traces the module. A free dimension is at least 2 there."""
    free: Mapping[str, Mapping[int, str]]
    """The free dimensions of the inputs and of ``made``, by name."""
    facts: Mapping[str, Any]
    """What a user of the files has to know, as JSON data."""
    dims: Mapping[str, Any] = {}
    """What an exported program knows of a free dimension, by its name (`torch.export.Dim`); of others, that they are at least 1."""


def write_onnx(graph: Graph, path: Path) -> list[Path]:
    """Write one ONNX file, with the facts as JSON under ``polygan`` in its metadata, and compare it in onnxruntime.

    ConfigError without onnx and onnxruntime, and for more weights than a file holds; CheckpointError where onnxruntime makes something
    else than the source.
    """
    onnx, runtime = need("onnx"), need("onnxruntime")
    size = sum(x.nbytes for x in (*graph.module.parameters(), *graph.module.buffers()))
    if size > MOST_BYTES:
        raise ConfigError(
            f"{size:,} bytes of weights are too many for an ONNX file, which holds {MOST_BYTES:,}; use --format pt2"
        )
    path = _place(path, ".onnx")
    names = [name for name in inspect.signature(graph.module.forward).parameters if name in graph.trials[0]]
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter by tracing is called old, but needs no onnxscript, and these networks have no control flow to lose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module,
            (),
            path,
            kwargs=dict(graph.trials[0]),
            input_names=names,
            output_names=["made"],
            dynamic_axes={name: dict(dims) for name, dims in graph.free.items()},
            opset_version=18,
            dynamo=False,
        )
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "polygan", json.dumps(graph.facts)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def run(**inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["made"], {name: x.numpy() for name, x in inputs.items()})[0])

    _compare(graph, run, path)
    return [path]


def write_program(graph: Graph, path: Path) -> list[Path]:
    """Write a program that `torch.export.load` opens, with the facts as JSON in the extra file ``polygan``, and compare it.

    The program takes the inputs as keywords. CheckpointError where the program, loaded again, makes something else than the source.
    """
    path = _place(path, ".pt2")
    dims = {name: Dim(name, min=1) for axes in graph.free.values() for name in axes.values()} | dict(graph.dims)
    free = {name: {axis: dims[dim] for axis, dim in graph.free.get(name, {}).items()} for name in graph.trials[0]}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of parameters that a copy shares
        program = torch.export.export(graph.module, (), dict(graph.trials[0]), dynamic_shapes=free)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # paths of this machine
        torch.export.save(program, path, extra_files={"polygan": json.dumps(graph.facts)})
        _compare(graph, torch.export.load(path).module(), path)
    return [path]


def _place(path: Path, suffix: str) -> Path:
    path = path if path.suffix == suffix else path.with_name(path.name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _compare(graph: Graph, run: Callable[..., Tensor], path: Path) -> None:
    with torch.no_grad():
        for trial in graph.trials:
            agree(graph.source(**trial), run(**trial), path)


def agree(ours: Tensor, theirs: Tensor, path: Path) -> None:
    """CheckpointError where pictures differ by more than `TOLERANCE`."""
    if ours.shape != theirs.shape:
        raise CheckpointError(
            f"{path} makes pictures {[*theirs.shape]} in place of {[*ours.shape]}; do not use the file"
        )
    gap = float((ours - theirs).abs().max())
    if not gap <= TOLERANCE:
        raise CheckpointError(
            f"{path} makes other pictures than its source: values differ by {gap:.2g}; do not use the file"
        )


def need(package: str) -> Any:
    """The package. ConfigError, which says what to install, where it is missing."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"export to ONNX needs the package {error.name or package}: pip install 'polygan-image[onnx]', or use another format"
        ) from None
