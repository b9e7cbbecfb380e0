"""Writing the folder: the page, the network and onnxruntime-web as scripts, so that the page also opens without a server."""

from __future__ import annotations

import base64
import gzip
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

from polygan import ConfigError

from . import attention, graphs, intermediate, recordings, rewriting, runtime, sounding, speech, texts
from .directions import directions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from polygan import Recipe

    from .graphs import Graph

PAGE = Path(__file__).parent / "page"
SCRIPTS = {
    "picture": ("engine.js", "parts.js", "pictures.js", "latents.js"),
    "sound": ("engine.js", "parts.js", "sounds.js", "latents.js"),
    "mel": ("engine.js", "parts.js", "sounds.js", "sounding.js", "latents.js"),
    "translation": ("engine.js", "parts.js", "pictures.js", "translation.js"),
    "text": ("engine.js", "parts.js", "texts.js"),
    "rewriting": ("engine.js", "parts.js", "tokens.js", "rewriting.js"),
    "speech": ("engine.js", "parts.js", "reading.js", "sounds.js", "mels.js", "speech.js"),
    "attention": ("engine.js", "parts.js", "reading.js", "sounds.js", "mels.js", "attention.js", "speech.js"),
    "recording": ("engine.js", "parts.js", "sounds.js", "mels.js", "listening.js", "recording.js"),
}
"""The scripts of each kind of page, in their order."""
_SEVERAL = attention, rewriting, sounding  # networks of several files, named by their parts
_LARGEST = 512  # pixels of the longer side of given pictures, until a user chooses another


def export(recipe: Recipe[Any], files: Sequence[Path], path: Path, options: object = None) -> list[Path]:
    """Write the folder ``path`` for the ONNX file of a recipe, or for the parts of a network that runs in a loop, and return its files. The file already has what ``options`` say.

    ConfigError for a graph that no page can show, and where onnxruntime-web cannot be had (`runtime.runtime_files`: CheckpointError).
    """
    named = {file.stem.rpartition("-")[2]: file for file in files}
    several = next((kind for kind in _SEVERAL if {*named} == {*kind.PARTS}), None)
    if several is None:
        graph = graphs.read(files)
        facts, onnx = facts_of(recipe, graph), packed(graph.data)
    else:
        graphs.refuse_large(files)
        read = {part: graphs.read([named[part]]) for part in several.PARTS}
        graph, facts = read[several.MAIN], several.facts_of(read)
        onnx = {part: packed(found.data) for part, found in read.items()}
    facts = {**_about(recipe, graph), **facts}
    parts = runtime.runtime_files()
    facts["runtime"] = _version(parts["ort.wasm.bundle.min.mjs"])
    page = jinja2.Environment(loader=jinja2.FileSystemLoader(PAGE), autoescape=True, undefined=jinja2.StrictUndefined)
    scripts = SCRIPTS[next((name for name in ("attention", "mel") if name in facts), facts["kind"])]
    text = page.get_template("index.html.j2").render(facts=facts, scripts=scripts)
    written = {
        "index.html": text.encode(),
        "style.css": (PAGE / "style.css").read_bytes(),
        **{name: (PAGE / name).read_bytes() for name in scripts},
        "model.js": _script("model", {"facts": facts, "onnx": onnx}),
        "onnxruntime.js": _script("runtime", {name: packed(data) for name, data in parts.items()}),
        **{f"onnxruntime-{name}": data for name, data in runtime.licences().items()},
        "README.txt": page.get_template("README.txt.j2").render(facts=facts).encode(),
    }
    path.mkdir(parents=True, exist_ok=True)
    for name, data in written.items():
        (path / name).write_bytes(data)
    return [path / name for name in written]


def facts_of(recipe: Recipe[Any], graph: Graph) -> dict[str, Any]:
    """What the page does with the graph, as JSON. ConfigError for a graph that no page can show."""
    if {*graph.inputs} == {"given"} and graph.outputs[0] == "made":
        return _translation(recipe.info, graph)
    if texts.is_text(graph):
        return texts.facts_of(graph)
    if speech.is_speech(graph):
        return speech.facts_of(graph)
    if recordings.is_recording(graph):
        return recordings.facts_of(graph)
    found = graphs.latents_of(graph)
    if found and graph.outputs[0] in ("made", "waveform"):
        one = found.make(np.zeros((1, found.size), np.float32), np.zeros(1, np.int64))
        if one.ndim == 4 or graph.outputs[0] == "waveform":
            return _latents(found, one)
    taken, made = ", ".join(graph.inputs), ", ".join(graph.outputs)
    raise ConfigError(
        f"no page shows a network that makes {made} of {taken}: use --format onnx and a program of your own"
    )


def _latents(found: graphs.Latents, one: np.ndarray[Any, Any]) -> dict[str, Any]:
    facts = found.graph.facts
    along = intermediate.components(found) if found.shift else directions(found)
    common = {
        "latents": found.latents,
        "size": found.size,
        "label": found.label,
        "classes": list(found.classes),
        "made": found.graph.outputs[0],
        "directions": np.round(along, 5).tolist(),
        "shift": found.shift,
    }
    if one.ndim == 4:
        truncation = None
        if "truncation" in found.graph.inputs:
            truncation = float(facts.get("sampling", {}).get("truncation", 1))
        return {"kind": "picture", **common, "shape": list(one.shape[1:]), "truncation": truncation}
    if "sample_rate" not in facts:
        raise ConfigError("the ONNX file does not say its sample rate, so no page can play it: export the run again")
    samples = int(one.size)
    return {"kind": "sound", **common, "samples": samples, "rate": int(facts["sample_rate"]), "truncation": None}


def _translation(info: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    given, made = graph.facts.get("given", {}), graph.facts.get("made", {})
    channels = {"given": int(given.get("channels", 3)), "made": int(made.get("channels", 3))}
    labels = {}
    if given.get("values"):
        names = given.get("names") or [str(value) for value in given["values"]]
        labels = {"labels": list(map(str, names)), "colours": _colours(given, len(names))}
    elif not {*channels.values()} <= {1, 3, 4}:
        raise ConfigError(
            f"a page shows pictures of 1, 3 or 4 channels, and this network makes {channels['made']} of {channels['given']}: "
            "use --format onnx"
        )
    side = max(int(info.get("height", 256)), int(info.get("width", 256))) // int(given.get("factor", 1))
    return {
        "kind": "translation",
        **channels,
        **labels,
        "scale": int(graph.facts.get("scale", 1)),
        "side": max(16, min(side, _LARGEST)),
    }


def _colours(given: Mapping[str, Any], count: int) -> list[str]:
    """A colour ``#rrggbb`` for each class of a label map: the run's own, else hues far apart."""
    own = [text for text in given.get("colours", ()) if re.fullmatch("#[0-9a-fA-F]{6}", str(text))]
    if len(own) == count:
        return own
    hues = (np.arange(count) * 0.618034) % 1  # the golden ratio keeps neighbours apart
    parts = [np.clip(np.abs((h * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1) for h in hues]
    return ["#" + "".join(f"{round(40 + 190 * float(v)):02x}" for v in rgb) for rgb in parts]


def _about(recipe: Recipe[Any], graph: Graph) -> dict[str, Any]:
    """The title of the page, and one line about the method."""
    said = (inspect.getdoc(type(recipe)) or "").strip().split("\n")[0]
    title = str(graph.facts.get("recipe") or type(recipe).__name__)
    return {"title": title, "about": said.replace("`", ""), "step": int(graph.facts.get("step") or 0)}


def packed(data: bytes) -> str:
    """Bytes as the page unpacks them: gzip, then base64. Equal bytes give equal text."""
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()


def _script(name: str, content: Mapping[str, Any]) -> bytes:
    """A script that hands ``content`` to the page; a page from a disk may load scripts, and nothing else."""
    text = json.dumps(content, allow_nan=False).replace("<", "\\u003c")
    return f"globalThis.polygan = {{ ...globalThis.polygan, {name}: {text} }};\n".encode()


def _version(code: bytes) -> str:
    found = re.search(rb"ONNX Runtime Web v([\w.-]+)", code[:1000])
    return found[1].decode() if found else ""
