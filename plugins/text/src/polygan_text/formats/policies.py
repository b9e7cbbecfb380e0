"""Policies of text/seqgan, text/residual and text/leakgan as graphs of one step: an ONNX file, or an exported program of torch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

from polygan.graphs import Graph, agree, write_graph

from ..data.facts import UNK
from ..data.vocabulary import load_vocabulary
from .steps import step_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from polygan.graphs import Kind, Opened

    from ..base import TextGAN

EXTRA = "polygan-text[onnx]"
"""What brings the packages of ONNX."""
LEAST = -50.0
"""Log-probabilities below this number of nats are those of tokens that are never drawn."""
_BYTES = "Ġ"  # the space of tokenizers of bytes


def onnx(recipe: TextGAN[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write one step of the policy as one ONNX file; see `graph_of` and `polygan.graphs.write_graph`.

    CheckpointError where the file, step by step, gives other log-probabilities than the policy.
    """
    return _write(recipe, networks, path, "onnx")


def program(recipe: TextGAN[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the same step as an exported program."""
    return _write(recipe, networks, path, "pt2")


def _write(recipe: TextGAN[Any], networks: Mapping[str, nn.Module], path: Path, kind: Kind) -> list[Path]:
    policy: Any = copy.deepcopy(networks["generator"]).cpu().float().eval().requires_grad_(False)
    graph = graph_of(recipe, policy)
    path, run = write_graph(graph, path, kind)
    draw = torch.Generator().manual_seed(0)
    for n in (1, 3):
        tokens = torch.randint(policy.vocabulary, (n, recipe.text["length"]), generator=draw)
        classes = (torch.arange(n) + n) % len(recipe.classes) if recipe.classes else None
        with torch.no_grad():
            ours = policy(tokens, classes).log_softmax(2)
            beside = {} if classes is None else {"classes": classes}
            check(ours, steps(run, tokens, graph.facts, torch.full((n, graph.facts["state"]), 7.0), **beside), path)
    return [path]


def graph_of(recipe: TextGAN[Any], policy: Any) -> Graph:
    """One step of a policy, for any number of texts.

    ``token`` int64 (batch,): the token drawn last, or the start token. ``place`` int64 (): how many tokens were drawn. ``state`` float32
    (batch, the fact ``state``): at place 0 anything, then ``next_state`` of the step before. ``classes`` int64 (batch,) where the
    recipe has classes. ``logits`` float32 (batch, vocabulary) are of the next token.
    """
    step: Any = step_of(policy, recipe.text["length"]).eval()
    trial = {"token": torch.tensor([0, 1]), "place": torch.tensor(1), "state": torch.zeros(2, step.size)}
    trial |= (
        {"classes": torch.tensor([0, 1])} if recipe.classes else {}
    )  # not the same tensor: torch.export joins those
    made = ("logits", "next_state")
    free = {name: {0: "batch"} for name in (*trial, *made) if name != "place"}
    return Graph(step, [trial], made, free, {"kind": "text", **facts(recipe), "state": step.size}, extra=EXTRA)


def check(ours: Tensor, theirs: Tensor, path: Path) -> None:
    """CheckpointError where log-probabilities differ. Those below `LEAST` count as `LEAST`."""
    agree(ours.clamp(min=LEAST), theirs.clamp(min=LEAST), path, "log-probabilities")


def facts(recipe: TextGAN[Any]) -> dict[str, Any]:
    """What a user of the file has to know; without a tokenizer, tokens are only numbers."""
    info = recipe.text
    known: dict[str, Any] = {
        **recipe.origin,
        "vocabulary": info["vocabulary"],
        "length": info["length"],
        "start": info["start"],
        "end": info["eos"],
        "classes": list(recipe.classes),
    }
    if "tokenizer" not in info:
        return known
    vocabulary = load_vocabulary(info["tokenizer"])
    words = vocabulary.names()
    space = vocabulary.gap or (_BYTES if any(word.startswith(_BYTES) for word in words) else "")
    own = {
        "words": words,
        "space": space,
        "tokenizer": vocabulary.text,
        "shift": vocabulary.shift,
    }
    return {**known, "unknown": UNK, **own}


def steps(run: Opened, tokens: Tensor, known: Mapping[str, Any], state: Tensor, **beside: Tensor) -> Tensor:
    """Log-probabilities (n, L, V) that a step gives for each place of tokens (n, L), from its first state and its other inputs."""
    token, found = torch.full((len(tokens),), known["start"]), []
    for place in range(tokens.shape[1]):
        logits, state = run(token=token, place=torch.tensor(place), state=state, **beside)
        found.append(logits.log_softmax(1))
        token = tokens[:, place]
    return torch.stack(found, 1)
