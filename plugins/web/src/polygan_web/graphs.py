"""What an ONNX file of a generator takes and makes, and what a page has to know of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime

from polygan import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MOST_BYTES = 350_000_000
"""Most bytes of a network in a page: a browser's texts end at half a gigabyte, and base64 is a third longer."""
MOST_CLASSES = 100_000
"""Most classes that a page lists."""


class Graph(NamedTuple):
    """A network in an ONNX file."""

    data: bytes
    """The file."""
    session: onnxruntime.InferenceSession
    facts: Mapping[str, Any]
    """What polygan wrote into the file: the metadata ``polygan``."""
    inputs: Mapping[str, Sequence[int | str | None]]
    """The sizes of each input by name; a name or None is free."""
    outputs: Sequence[str]

    def run(self, **inputs: NDArray[Any]) -> NDArray[Any]:
        """The first output."""
        return np.asarray(self.session.run([self.outputs[0]], inputs)[0])


class Latents(NamedTuple):
    """How samples are made of latents by a graph."""

    graph: Graph
    latents: str
    """The input (batch, size) that takes latents."""
    size: int
    classes: Sequence[str]
    """The names of the classes; empty: the graph takes none."""
    label: str
    """The input (batch,) that takes classes."""
    shift: int = 0
    """The size of w, which the input ``shift`` (batch, size of w) moves; 0: the graph has no such input."""

    def make(self, latents: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[Any]:
        """Samples (n, ...) of latents (n, size) and classes (n,)."""
        inputs: dict[str, NDArray[Any]] = {self.latents: latents}
        if self.classes:
            inputs[self.label] = classes
        if "truncation" in self.graph.inputs:
            inputs["truncation"] = np.array(1, np.float32)
        if self.shift:
            inputs["shift"] = np.zeros((len(latents), self.shift), np.float32)
        return self.graph.run(**inputs)


def read(files: Sequence[Path]) -> Graph:
    """The network in the one ONNX file that an export wrote. ConfigError for several files, and for a file that is too large."""
    if len(files) != 1:
        names = ", ".join(file.name for file in files)
        raise ConfigError(f"a page runs one ONNX file, and this recipe has {len(files)} ({names}): use --format onnx")
    refuse_large(files)
    data = files[0].read_bytes()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map.get("polygan", "{}"))
    inputs = {port.name: port.shape for port in session.get_inputs()}
    return Graph(data, session, facts, inputs, [port.name for port in session.get_outputs()])


def refuse_large(files: Sequence[Path]) -> None:
    """ConfigError where the files of a network are together more than a page carries."""
    size = sum(file.stat().st_size for file in files)
    if size > MOST_BYTES:
        raise ConfigError(
            f"the network has {size:,} bytes, and a page carries at most {MOST_BYTES:,}: use --format onnx"
        )


def latents_of(graph: Graph) -> Latents | None:
    """How the graph makes samples of latents; None where it takes something else, or more than latents, classes, a truncation and a shift."""
    name = next((name for name in ("latents", "latent") if name in graph.inputs), "")
    label = next((name for name in ("classes", "label") if name in graph.inputs), "")
    size = graph.inputs[name][1] if name and len(graph.inputs[name]) == 2 else None
    if not isinstance(size, int) or not {*graph.inputs} <= {name, label, "truncation", "shift"}:
        return None
    shift = graph.inputs["shift"][-1] if "shift" in graph.inputs else 0
    if not isinstance(shift, int) or (shift and "w" not in graph.outputs):
        return None
    classes = graph.facts.get("classes") or []
    if isinstance(classes, int):  # of many classes, the file holds the number
        classes = [str(i) for i in range(classes)]
    if len(classes) > MOST_CLASSES:
        raise ConfigError(f"a page lists at most {MOST_CLASSES:,} classes, and the run has {len(classes):,}")
    return Latents(graph, name, size, list(map(str, classes)) if label else [], label, shift)
