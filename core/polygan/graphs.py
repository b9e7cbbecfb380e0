"""Networks as graphs for other programs: ONNX files and torch's exported programs, opened again and compared."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor
from torch.export import Dim

from .errors import CheckpointError, ConfigError
from .files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

TOLERANCE = 1e-4
"""Largest difference of a number between torch and a file."""
MOST_BYTES = 2_000_000_000
"""Bytes of weights in an ONNX file with everything in it; the format ends at 2 GiB."""
Kind = Literal["onnx", "pt2"]
Opened = Callable[..., Sequence[Tensor]]
"""A written file: a function from inputs by name to the outputs in their order."""


def agree(ours: Tensor, theirs: Tensor, path: Path, what: str = "values", most: float = TOLERANCE) -> None:
    """CheckpointError where numbers differ by more than ``most``; ``what`` names them in the message."""
    same = ours.shape == theirs.shape
    gap = float((ours - theirs).abs().max()) if same else float("inf")
    if not gap <= most:
        how = f"differ by {gap:.2g}" if same else f"have the shape {[*theirs.shape]} in place of {[*ours.shape]}"
        raise CheckpointError(f"{path} makes something else than its source: {what} {how}; do not use the file")


class Graph(NamedTuple):
    """A network as a function of named tensors, with what its files need beside it."""

    module: nn.Module
    """On the CPU, in float32 and without gradients; ``forward`` takes the inputs by name."""
    trials: Sequence[Mapping[str, Tensor]]
    """Inputs in the order of ``forward``; the first trial traces the module. A free dimension is at least 2 there."""
    made: Sequence[str]
    """The names of the outputs."""
    free: Mapping[str, Mapping[int, str]]
    """The free dimensions of inputs and outputs, by name."""
    facts: Mapping[str, Any]
    """What a user of the files has to know, as JSON data."""
    source: Callable[..., Any] | None = None
    """What the module stands for, with the same arguments: files are compared with it. None: the caller compares."""
    dims: Mapping[str, Any] = {}
    """What a program knows of a free dimension, by its name (`torch.export.Dim`); of others, that they are at least 1."""
    agree: Callable[[Tensor, Tensor, Path], None] = agree
    """Raises where an output differs from the source's."""
    entries: Mapping[str, Any] = {}
    """Further entries of an ONNX file's metadata, as JSON data."""
    extra: str = ""
    """The plugin's extra that brings ONNX's packages, such as ``polygan-image[onnx]``; empty: they are named themselves."""


def write_graph(graph: Graph, path: Path, kind: Kind, part: str = "") -> tuple[Path, Opened]:
    """Write NAME.onnx, or NAME.pt2 for `torch.export.load`, for ``path`` NAME (with a ``part``, NAME-PART), and open it again.

    The facts stand as JSON under ``polygan``: in an ONNX file's metadata, or the extra file of a program. ConfigError without onnx and
    onnxruntime, and for what the format cannot hold; CheckpointError for a file that differs from the source in a trial.
    """
    stem = path.stem if path.suffix == f".{kind}" else path.name
    path = path.with_name(f"{stem}-{part}.{kind}" if part else f"{stem}.{kind}")
    path.parent.mkdir(parents=True, exist_ok=True)
    graph.module.eval()
    write, name, other = (_onnx, "ONNX", "pt2") if kind == "onnx" else (_program, "a program", "onnx")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            run = write(graph, path)
    except RuntimeError as error:
        why = str(error).strip().partition("\n")[0][:200]
        message = f"this network has a part that torch cannot write as {name} ({why}); use --format {other}"
        raise ConfigError(message) from error
    with torch.no_grad():
        for trial in graph.trials if graph.source else ():
            ours = _several(graph.source(**trial))  # pyright: ignore[reportOptionalCall]
            for mine, theirs in zip(ours, run(**trial), strict=True):
                graph.agree(mine, theirs, path)
    return path, run


def _onnx(graph: Graph, path: Path) -> Opened:
    onnx, runtime = (_need(name, graph.extra) for name in ("onnx", "onnxruntime"))
    size = sum(x.nbytes for x in (*graph.module.parameters(), *graph.module.buffers()))
    if size > MOST_BYTES:
        raise ConfigError(
            f"{size:,} bytes of weights are too many for an ONNX file, which holds {MOST_BYTES:,}; use --format pt2"
        )
    trial, file = graph.trials[0], io.BytesIO()
    names: dict[str, Any] = {"input_names": [*trial], "output_names": [*graph.made], "dynamic_axes": graph.free}
    with patch.object(torch._C, "_jit_onnx_log", lambda *_: None):  # it prints the whole graph where a part is unknown
        # The exporter by tracing is called old, but needs no onnxscript.
        torch.onnx.export(graph.module, (), file, kwargs=dict(trial), opset_version=18, dynamo=False, **names)  # pyright: ignore[reportArgumentType]
    model = onnx.load_from_string(file.getvalue())
    for name in trial.keys() - {given.name for given in model.graph.input}:  # the network does not read it
        sizes = [graph.free.get(name, {}).get(i, size) for i, size in enumerate(trial[name].shape)]
        dtype = onnx.helper.np_dtype_to_tensor_dtype(trial[name].numpy().dtype)
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, dtype, sizes))
    onnx.helper.set_model_props(model, {k: json.dumps(v) for k, v in {**graph.entries, "polygan": graph.facts}.items()})
    onnx.checker.check_model(model)
    write_bytes(path, model.SerializeToString())
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda **inputs: [
        *map(torch.from_numpy, session.run([*graph.made], {n: x.numpy() for n, x in inputs.items()}))
    ]


def _program(graph: Graph, path: Path) -> Opened:
    trial, file = dict(graph.trials[0]), io.BytesIO()
    dims = {name: Dim(name, min=1) for axes in graph.free.values() for name in axes.values()} | dict(graph.dims)
    free = {name: {axis: dims[dim] for axis, dim in graph.free.get(name, {}).items()} for name in trial}
    with patch.dict(torch.ops.aten.lstm.input.py_kernels, {torch._C.DispatchKey.CompositeImplicitAutograd: _lstm}):
        program = torch.export.export(graph.module, (), trial, dynamic_shapes=free)
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # paths of this machine
    torch.export.save(program, file, extra_files={"polygan": json.dumps(graph.facts)})
    write_bytes(path, file.getvalue())
    loaded = torch.export.load(path).module()
    return lambda **inputs: _several(loaded(**inputs))


def _lstm(x: Tensor, state: Sequence[Tensor], *options: Any) -> tuple[Tensor, ...]:
    """The sizes of what an LSTM makes. Torch would run as many steps as the trial has, and take their number for fixed."""
    *_, both_ways, batch_first = options
    a, b, width = *x.shape[:2], state[0].shape[2] * (2 if both_ways else 1)
    made = x.new_empty(b, a, width).transpose(0, 1) if batch_first else x.new_empty(a, b, width)
    return made, state[0].clone(), state[1].clone()


def _several(made: Any) -> Sequence[Tensor]:
    return (made,) if isinstance(made, Tensor) else made


def _need(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        missing = error.name or package
        raise ConfigError(
            f"export to ONNX needs the package {missing}: pip install {repr(extra) if extra else 'onnx onnxruntime'}, or use --format pt2"
        ) from None
