"""The distance of made pictures from their truths in the layers of a feature network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from polygan import DataError

from ...data.given import in_colour
from ..chosen import features_of
from ..feature_networks import RESIZE, opennsfw_file, opennsfw_input, session
from ..trained import ClassifierFeatures, SelfSupervisedFeatures, has_labels
from .compared import compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from polygan import Evaluation, Score

    from .compared import Compared

    Look = Callable[[Tensor], list[Tensor]]
    """The layers (n, c, h, w) of pictures (n, C, H, W) in [-1, 1]."""

_ROWS = 16
_STAGES = ("Relu:0", "Relu_9:0", "Relu_21:0", "Relu_39:0", "Relu_48:0")
"""The first convolution and the ends of the four stages of opennsfw's ResNet-50."""


def distance(look: Look, made: Tensor, truth: Tensor) -> float:
    """Mean over pictures (n, C, H, W), layers and positions of 1 - the cosine between the activations of two pictures, in [0, 2].

    LPIPS (Zhang et al. 2018, arXiv:1801.03924, eq. 1) without learned weights: its squared distance of unit vectors is twice this.
    """
    total = 0.0
    for a, b in zip(made.split(_ROWS), truth.split(_ROWS), strict=True):
        layers = zip(look(a), look(b), strict=True)
        gaps = [_gap(x.double(), y.double()) for x, y in layers]
        total += float(torch.stack(gaps).mean(0).sum())
    return total / len(made)


def _gap(x: Tensor, y: Tensor) -> Tensor:
    """(n,) mean over positions of 1 - cosine; two positions without any activation are alike."""
    cosine = F.cosine_similarity(x, y, dim=1)
    silent = (x.square().sum(1) == 0) & (y.square().sum(1) == 0)
    return torch.where(silent, 0.0, 1 - cosine).flatten(1).mean(1)


def layer_distance(evaluation: Evaluation) -> list[Score]:
    """``image/layer-distance``: `distance` in the feature network that `polygan.Evaluation.features` names, or in the run's own."""
    look, what = _network(evaluation)

    def measure(compared: Compared, made: Tensor) -> float:
        return distance(look, made, compared.truth)

    return [compare(evaluation, "image/layer-distance", measure, what, key=evaluation.features)]


def _network(evaluation: Evaluation) -> tuple[Look, str]:
    """The layers of the chosen network, and the network in words."""
    name = evaluation.features or ("classifier" if has_labels(evaluation) else "self-supervised")
    if name == "opennsfw":
        if evaluation.info["channels"] not in (1, 3, 4):
            raise DataError(
                "opennsfw takes colour pictures, and these have other channels; type --features self-supervised"
            )
        path = opennsfw_file()
        look = evaluation.once(("image/layers", name), lambda: _opennsfw(session(path, *_STAGES)))
        return look, f"1 - cosine in {len(_STAGES)} layers of opennsfw, pictures resized to 256x256 ({RESIZE})"
    seen = features_of(evaluation) if name in ("classifier", "self-supervised") else None
    if not isinstance(seen, ClassifierFeatures | SelfSupervisedFeatures):
        raise DataError(
            f"image/layer-distance looks into the layers of classifier, self-supervised or opennsfw, and not of features = {name}; name "
            "one of these with --features"
        )
    body = seen.network.body
    layers = sum(isinstance(module, nn.ReLU) for module in body)
    device = evaluation.device
    return lambda x: _activations(
        body, x.to(device, torch.float32)
    ), f"1 - cosine in {layers} layers of the {seen.describe()}, at full size"


@torch.no_grad()
def _activations(body: nn.Sequential, x: Tensor) -> list[Tensor]:
    """The activations after each convolution with its normalisation, on the CPU."""
    found = []
    for module in body:
        x = module(x)
        if isinstance(module, nn.ReLU):
            found.append(x.clone().cpu())  # a later module may write into x
    return found


def _opennsfw(opened: tuple[Any, Any, str]) -> Look:
    runtime, given, _ = opened

    def look(x: Tensor) -> list[Tensor]:
        x = F.interpolate(in_colour(x), size=(256, 256), mode="bilinear", antialias=True, align_corners=False)
        found = runtime.run(list(_STAGES), {given.name: opennsfw_input(x).numpy()})
        return [torch.from_numpy(layer) for layer in found]

    return look
