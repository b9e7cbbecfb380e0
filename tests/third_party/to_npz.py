"""A third party's plugin in one file: it exports the networks of somebody else's recipe."""

from __future__ import annotations

import numpy as np

import polygan


@polygan.hookimpl
def polygan_formats():
    return [
        polygan.FormatSpec("image/dcgan", "npz", "export", "to_npz:export", "the generator's arrays for NumPy"),
        polygan.FormatSpec("image/dcgan", "npz", "import", "to_npz:load", "what the export wrote"),
    ]


def export(recipe, networks, path):
    arrays = {key: value.cpu().numpy() for key, value in networks["generator"].state_dict().items()}
    model = {"generator_width": recipe.config.generator_width, "latent_dim": recipe.config.latent_dim}
    path = path.with_suffix(".npz")
    with path.open("wb") as file:
        np.savez(file, facts=np.array(repr((model, dict(recipe.info)))), **arrays)
    return [path]


def load(path):
    import ast

    import torch

    with np.load(path) as file:
        model, info = ast.literal_eval(str(file["facts"]))
        tensors = {key: torch.from_numpy(file[key]) for key in file.files if key != "facts"}
    return polygan.ImportedWeights(model, info, {"generator": tensors})
