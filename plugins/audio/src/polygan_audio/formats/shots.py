"""Generators of short sounds as one ONNX file, run by onnxruntime and compared."""

from __future__ import annotations

import copy
import dataclasses
import json
import warnings
from typing import TYPE_CHECKING, Any

import torch

from ..optional import need
from .comparison import agree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from ..wavegan import WaveGAN


def export(recipe: WaveGAN, networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator: ``latent`` (batch, latent_dim) and, with classes, ``label`` (batch,) to ``waveform`` or ``mel``.

    The batch is free. Sample rate, classes and, of mels, the front end stand in the file's metadata as JSON under ``polygan``.
    ConfigError without onnx and onnxruntime, in which the file is compared; CheckpointError where it differs.
    """
    onnx, runtime = (need(name, "onnx", "export to ONNX", "use another format") for name in ("onnx", "onnxruntime"))
    generator = copy.deepcopy(networks["generator"]).cpu().float().eval()
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    trials = [trial_of(recipe, n) for n in (2, 3)]
    names, made = [*trials[0]], "mel" if recipe.makes_mels else "waveform"
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter by tracing is called old, but needs no onnxscript, and these networks have no control flow to lose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            generator,
            tuple(trials[0].values()),
            path,
            input_names=names,
            output_names=[made],
            dynamic_axes={name: {0: "batch"} for name in (*names, made)},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "polygan", json.dumps(facts_of(recipe))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    for trial in trials:
        found = torch.from_numpy(session.run(None, {name: x.numpy() for name, x in trial.items()})[0])
        with torch.no_grad():
            agree(generator(*trial.values()), found, path)
    return [path]


def trial_of(recipe: WaveGAN, n: int) -> dict[str, Tensor]:
    """Inputs of ``n`` sounds by name, with which files are compared."""
    latent = torch.randn(n, recipe.config.latent_dim, generator=torch.Generator().manual_seed(n))
    label = {"label": torch.arange(n) % len(recipe.classes)} if recipe.classes else {}
    return {"latent": latent, **label}


def facts_of(recipe: WaveGAN) -> dict[str, Any]:
    """What a user of the file has to know."""
    mel = {"mel": dataclasses.asdict(recipe.mel)} if recipe.makes_mels else {}
    own = {"kind": "latents", "latent_size": recipe.config.latent_dim, "sample_rate": recipe.rate}
    return {**recipe.origin, **own, "classes": list(recipe.classes), **mel}
