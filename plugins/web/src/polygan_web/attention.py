"""The facts of a page that speaks frame by frame: an encoder, one step of a decoder with attention, a postnet and a vocoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polygan import ConfigError

from . import speech

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .graphs import Graph

PARTS = ("encoder", "postnet", "step", "vocoder")
MAIN = "encoder"
"""The part whose file tells what the whole is."""
_STATES = ("attention_hidden", "attention_cells", "decoder_hidden", "decoder_cells", "context", "places")


def facts_of(parts: Mapping[str, Graph]) -> dict[str, Any]:
    """What a page that speaks does with the parts, as JSON. ConfigError for other graphs, and where the encoder does not say how a text is read."""
    encoder, step, vocoder = parts["encoder"], parts["step"], parts["vocoder"]
    facts = encoder.facts
    if {*step.inputs} != {"before", "kept", "memory", "keys", *_STATES} or not {"shape", "stop"} <= {*facts}:
        raise ConfigError(
            "no page shows this encoder, step, postnet and vocoder: use --format onnx and a program of your own"
        )
    shape, stop = facts["shape"], facts["stop"]
    return {
        **speech.facts_of(encoder),
        "vocoder": str(vocoder.facts.get("vocoder", "")),
        "attention": {
            "bands": int(facts["n_mels"]),
            "reduction": int(shape["reduction"]),
            "prenet": int(shape["prenet"]),
            "dropout": float(shape["prenet_dropout"]),
            "attentionUnits": int(shape["attention_units"]),
            "decoderUnits": int(shape["decoder_units"]),
            "gate": float(stop["gate"]),
            "patience": int(stop["patience"]),
            "framesPerSymbol": float(stop["frames_per_symbol"]),
            "slack": int(stop["slack"]),
            "most": int(facts["most_frames"]),
            "noisy": "noise" in vocoder.inputs,
        },
    }
