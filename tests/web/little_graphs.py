"""Small ONNX files with the inputs and the metadata of polygan's exports, whose results are known."""

from __future__ import annotations

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def write(path, nodes, inputs, output, constants, facts):
    """An ONNX file of ``inputs`` {name: (type, dims)} and one ``output`` (name, dims)."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in inputs.items()],
        [helper.make_tensor_value_info(output[0], FLOAT, output[1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if facts is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = "polygan", json.dumps(facts)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def weights(size, count, seed=0):
    return np.random.default_rng(seed).standard_normal((size, count)).astype(np.float32) / size**0.5


def latents(
    path, matrix, shape, classes=(), truncation=False, facts=None, names=("latents", "classes", "made"), step=7
):
    """tanh(truncation * latents @ matrix + a shift for each class), as (batch, *shape)."""
    z, label, made = names
    nodes, constants = [], {"matrix": matrix, "shape": np.array([-1, *shape])}
    inputs = {z: (FLOAT, ["batch", matrix.shape[0]])}
    last = z
    if truncation:
        inputs["truncation"] = (FLOAT, [])
        nodes.append(helper.make_node("Mul", [z, "truncation"], ["near"]))
        last = "near"
    nodes.append(helper.make_node("MatMul", [last, "matrix"], ["flat"]))
    last = "flat"
    if classes:
        inputs[label] = (INT, ["batch"])
        count = len(classes)
        constants["shifts"] = np.linspace(-1, 1, count, dtype=np.float32)[:, None].repeat(matrix.shape[1], 1)
        nodes += [
            helper.make_node("Gather", ["shifts", label], ["shift"]),
            helper.make_node("Add", ["flat", "shift"], ["shifted"]),
        ]
        last = "shifted"
    nodes += [helper.make_node("Tanh", [last], ["bent"]), helper.make_node("Reshape", ["bent", "shape"], [made])]
    said = {"recipe": "image/dcgan", "step": step, "classes": list(classes), **(facts or {})}
    return write(path, nodes, inputs, (made, ["batch", *shape]), constants, said)


def negative(path, given=3, made=3, facts=None):
    """-given, with the channels repeated or cut to ``made``."""
    pick = np.arange(made) % given
    nodes = [
        helper.make_node("Neg", ["given"], ["minus"]),
        helper.make_node("Gather", ["minus", "pick"], ["made"], axis=1),
    ]
    said = {"given": {"channels": given}, "made": {"channels": made}, "range": [-1, 1], "scale": 1, **(facts or {})}
    dims = ["batch", given, "height", "width"]
    return write(
        path, nodes, {"given": (FLOAT, dims)}, ("made", ["batch", made, "height", "width"]), {"pick": pick}, said
    )


def step(path, table, facts, classes=(), size=2):
    """One step of a policy: logits ``table[token]``, plus 30 for the token of the class's number; the state counts places."""
    nodes = [
        helper.make_node("Gather", ["table", "token"], ["told" if classes else "logits"]),
        helper.make_node("Cast", ["place"], ["at"], to=FLOAT),
        helper.make_node("Add", ["state", "at"], ["next_state"]),
    ]
    inputs = {"token": (INT, ["batch"]), "place": (INT, []), "state": (FLOAT, ["batch", size])}
    constants = {"table": np.asarray(table, np.float32)}
    if classes:
        inputs["classes"] = (INT, ["batch"])
        constants["wanted"] = 30 * np.eye(len(table), dtype=np.float32)[: len(classes)]
        nodes += [
            helper.make_node("Gather", ["wanted", "classes"], ["more"]),
            helper.make_node("Add", ["told", "more"], ["logits"]),
        ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in inputs.items()],
        [
            helper.make_tensor_value_info("logits", FLOAT, ["batch", len(table)]),
            helper.make_tensor_value_info("next_state", FLOAT, ["batch", size]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    said = {
        "recipe": "text/seqgan",
        "vocabulary": len(table),
        "start": 0,
        "end": 1,
        "classes": [*classes],
        "state": size,
    }
    entry.key, entry.value = "polygan", json.dumps({**said, **facts})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def speech(path, facts, inputs=("ids", "pace", "pitch", "speaker", "language", "noise"), hop=16, bands=5):
    """A sentence to sound: each number n is ``hop`` samples n / 100 long, plus the sum of the other inputs / 1000; the mel counts bands."""
    kinds = {"ids": (INT, [1, "symbols"]), "speaker": (INT, [1]), "language": (INT, [1]), "noise": (FLOAT, [1, "most"])}
    ports = {name: kinds.get(name, (FLOAT, [1])) for name in inputs}
    nodes = [
        helper.make_node("Cast", ["ids"], ["real"], to=FLOAT),
        helper.make_node("Mul", ["real", "hundredth"], ["level"]),
        helper.make_node("Transpose", ["level"], ["column"], perm=[1, 0]),
        helper.make_node("MatMul", ["column", "row"], ["table"]),
        helper.make_node("Reshape", ["table", "flat"], ["sound"]),
        helper.make_node("Unsqueeze", ["level", "first"], ["bare"]),
        helper.make_node("Mul", ["bare", "counted"], ["mel"]),
    ]
    last = "sound"
    for name, _weight in zip(("pace", "pitch", "speaker", "language"), (1, 10, 100, 10), strict=True):
        if name not in inputs:
            continue
        nodes.append(helper.make_node("Cast", [name], [f"{name}_real"], to=FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}_real", f"{name}_weight"], [f"{name}_part"]))
        nodes.append(helper.make_node("Add", [last, f"{name}_part"], [f"with_{name}"]))
        last = f"with_{name}"
    constants = {
        "hundredth": np.array(0.01, np.float32),
        "row": np.ones((1, hop), np.float32),
        "flat": np.array([1, -1]),
        "first": np.array([1]),
        "counted": np.arange(1, bands + 1, dtype=np.float32)[None, :, None],
        "pace_weight": np.array(1e-3, np.float32),
        "pitch_weight": np.array(1e-3, np.float32),
        "speaker_weight": np.array(0.1, np.float32),
        "language_weight": np.array(0.05, np.float32),
    }
    if "noise" in inputs:
        nodes += [
            helper.make_node("Slice", ["noise", "zero", "one", "axis"], ["some"]),
            helper.make_node("Mul", ["some", "hundredth"], ["little"]),
            helper.make_node("Add", [last, "little"], ["noisy"]),
        ]
        constants |= {"zero": np.array([0]), "one": np.array([1]), "axis": np.array([1])}
        last = "noisy"
    nodes.append(helper.make_node("Identity", [last], ["waveform"]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in ports.items()],
        [
            helper.make_tensor_value_info("waveform", FLOAT, [1, "samples"]),
            helper.make_tensor_value_info("mel", FLOAT, [1, bands, "frames"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    known = {
        "recipe": "audio/tacotron2", "kind": "speech", "sample_rate": 8000, "hop_length": hop, "most_frames": 50, "vocoder": "griffin-lim",
        "end": 7, "speakers": [], "language_of_speakers": [0], "semitones": [0.1, 0.2], "longest_text": 40, "pause": 0.1,
    }  # fmt: skip
    entry.key, entry.value = "polygan", json.dumps({**known, **facts})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
