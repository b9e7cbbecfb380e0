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
