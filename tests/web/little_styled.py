"""A small ONNX file of a generator with a space w between latents and pictures, as the export of StyleGAN writes it."""

from __future__ import annotations

import json

import numpy as np
import onnx
from little_graphs import FLOAT, INT
from onnx import helper, numpy_helper


def styled(path, mapping, matrix, shape, classes=()):
    """w = latents @ mapping + 10 times the class; tanh(truncation * (w + shift) @ matrix) as (batch, *shape), and w."""
    size, inner = mapping.shape
    nodes = [helper.make_node("MatMul", ["latents", "mapping"], ["mapped"])]
    inputs = {
        "latents": (FLOAT, ["batch", size]),
        "shift": (FLOAT, ["batch", inner]),
        "truncation": (FLOAT, []),
    }
    constants = {"mapping": mapping, "matrix": matrix, "shape": np.array([-1, *shape])}
    if classes:
        inputs["classes"] = (INT, ["batch"])
        constants["means"] = 10 * np.arange(len(classes), dtype=np.float32)[:, None].repeat(inner, 1)
        nodes += [
            helper.make_node("Gather", ["means", "classes"], ["mean"]),
            helper.make_node("Add", ["mapped", "mean"], ["w"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["mapped"], ["w"]))
    nodes += [
        helper.make_node("Add", ["w", "shift"], ["moved"]),
        helper.make_node("Mul", ["moved", "truncation"], ["near"]),
        helper.make_node("MatMul", ["near", "matrix"], ["flat"]),
        helper.make_node("Tanh", ["flat"], ["bent"]),
        helper.make_node("Reshape", ["bent", "shape"], ["made"]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in inputs.items()],
        [
            helper.make_tensor_value_info("made", FLOAT, ["batch", *shape]),
            helper.make_tensor_value_info("w", FLOAT, ["batch", inner]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    facts = {"recipe": "image/stylegan", "classes": [*classes], "sampling": {"truncation": 0.8}}
    entry.key, entry.value = "polygan", json.dumps(facts)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
