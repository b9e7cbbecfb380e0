"""Generators of sound as exported programs of torch, which `torch.export.load` opens without polygan."""

from __future__ import annotations

import copy
import dataclasses
import json
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch.export import Dim

from polygan import ConfigError

from ..networks.hifigan import Generator
from .comparison import agree, folded, trial_mels
from .shots import facts_of, trial_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from polygan import Recipe

    from ..wavegan import WaveGAN


def vocoder(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator of audio/hifigan: ``mel`` (batch, n_mels, frames) to (batch, frames * hop_length).

    Batch and frames, of 3 or more, are free. The front end stands as JSON in the extra file ``polygan``. CheckpointError where the program, loaded
    again, gives other samples; ConfigError for another network.
    """
    generator = networks["generator"]
    if not isinstance(generator, Generator):
        raise ConfigError(f"a program takes the generator of audio/hifigan; this is a {type(generator).__name__}")
    module = folded(generator)
    trials = [{"mel": mel} for mel in reversed(trial_mels(generator.mel))]
    free = {"mel": {0: Dim("batch", min=1), 2: Dim("frames", min=3)}}
    facts = {**recipe.origin, "kind": "vocoder", "mel": dataclasses.asdict(generator.mel)}
    return _write(module, trials, free, facts, path)


def shots(recipe: WaveGAN, networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator of audio/wavegan: ``latent`` (batch, latent_dim) and, with classes, ``label`` (batch,) to sounds or log-mels.

    The batch is free. The facts stand as JSON in the extra file ``polygan``. CheckpointError as for `vocoder`.
    """
    module = copy.deepcopy(networks["generator"]).cpu().float().eval()
    trials = [trial_of(recipe, n) for n in (2, 1, 3)]
    batch = Dim("batch", min=1)
    return _write(module, trials, {name: {0: batch} for name in trials[0]}, facts_of(recipe), path)


def _write(
    module: nn.Module,
    trials: Sequence[Mapping[str, Tensor]],
    free: Mapping[str, Mapping[int, Any]],
    facts: Mapping[str, Any],
    path: Path,
) -> list[Path]:
    path = path if path.suffix == ".pt2" else path.with_name(path.name + ".pt2")
    path.parent.mkdir(parents=True, exist_ok=True)
    module.requires_grad_(False)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of parameters that a copy shares
        program = torch.export.export(module, (), dict(trials[0]), dynamic_shapes={n: dict(x) for n, x in free.items()})
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # paths of this machine
        torch.export.save(program, path, extra_files={"polygan": json.dumps(facts)})
        run = torch.export.load(path).module()
        for trial in trials:
            agree(module(**trial), run(**trial), path)
    return [path]
