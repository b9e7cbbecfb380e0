"""Sizes of Tacotron 2."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from polygan import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_RATES = ("encoder_dropout", "prenet_dropout", "attention_dropout", "decoder_dropout", "postnet_dropout")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of Tacotron 2; the defaults are those of NVIDIA's code (https://github.com/NVIDIA/tacotron2)."""

    width: int = 512
    """Channels of the symbols' embedding and of the encoder, even."""
    encoder_layers: int = 3
    """Convolutions of the encoder."""
    encoder_kernel: int = 5
    """Symbols that a convolution of the encoder sees, odd."""
    prenet: int = 256
    """Units of both layers between the frame before and the attention's LSTM."""
    attention_units: int = 1024
    """Units of the LSTM that asks where to look."""
    decoder_units: int = 1024
    """Units of the LSTM that makes frames."""
    attention: int = 128
    """Units in which question, text and place are compared."""
    location_filters: int = 32
    """Filters over the places attended before."""
    location_kernel: int = 31
    """Symbols that a filter of places sees, odd."""
    postnet: int = 512
    """Channels of the convolutions that correct the mel."""
    postnet_layers: int = 5
    """Convolutions that correct the mel, at least 2."""
    postnet_kernel: int = 5
    """Frames that a convolution of the postnet sees, odd."""
    reduction: int = 1
    """Frames that one step of the decoder makes."""
    speaker: Literal["concat", "add"] = "concat"
    """How the speaker's embedding meets the encoder's outputs."""
    speaker_width: int = 64
    """Channels of a speaker's embedding that is concatenated."""
    encoder_dropout: float = 0.5
    """Share of the encoder's channels that training drops."""
    prenet_dropout: float = 0.5
    """Share of the prenet's units that is always dropped, in training and in synthesis."""
    attention_dropout: float = 0.1
    """Share of the attention LSTM's state that training drops."""
    decoder_dropout: float = 0.1
    """Share of the decoder LSTM's state that training drops."""
    postnet_dropout: float = 0.5
    """Share of the postnet's channels that training drops."""

    def __post_init__(self) -> None:
        for name in ("encoder_kernel", "location_kernel", "postnet_kernel"):
            if getattr(self, name) < 1 or getattr(self, name) % 2 == 0:
                raise ConfigError(f"attention decoder: {name} = {getattr(self, name)} is not odd; use 5, for example")
        for name in ("prenet", "attention_units", "decoder_units", "attention", "location_filters", "postnet"):
            if getattr(self, name) < 1:
                raise ConfigError(f"attention decoder: {name} = {getattr(self, name)} is too small; the least is 1")
        if self.width < 2 or self.width % 2:
            raise ConfigError(f"attention decoder: width = {self.width} is not even; use 256, for example")
        if self.encoder_layers < 0 or self.postnet_layers < 2:
            raise ConfigError(
                f"attention decoder: encoder_layers = {self.encoder_layers} must be at least 0 and postnet_layers = "
                f"{self.postnet_layers} at least 2"
            )
        if self.reduction < 1 or self.speaker_width < 1:
            raise ConfigError(
                f"attention decoder: reduction = {self.reduction} and speaker_width = {self.speaker_width} must be at least 1"
            )
        for name in _RATES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"attention decoder: {name} = {getattr(self, name)} is not in [0, 1)")


ORIGINAL = Shape()
"""The sizes of Shen et al. 2018 as NVIDIA's code has them: 28 million parameters."""
SMALL = Shape(
    width=256,
    prenet=128,
    attention_units=256,
    decoder_units=256,
    attention=64,
    location_filters=16,
    postnet=256,
    postnet_layers=4,
    reduction=2,
)
"""For processors: 256 units, two frames a step."""


def shape_of(size: str, info: Mapping[str, Any]) -> Shape:
    """The shape that the setting ``attention_size`` names: small, original, or custom.

    Custom sizes are the fact ``attention_shape`` of an imported model, JSON as one text: a run that starts from the model keeps the
    values of its facts whole. Before the facts are known, custom is small.
    ConfigError for custom sizes without the fact.
    """
    if size != "custom" or "attention_shape" not in info:
        return ORIGINAL if size == "original" else SMALL
    found = info["attention_shape"]
    if not found:
        raise ConfigError(
            "model.attention_size = custom takes its sizes from an imported model; start from one (init_from), or use small"
        )
    return Shape(**json.loads(found))
