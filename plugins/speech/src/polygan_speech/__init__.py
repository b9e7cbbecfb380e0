"""Speech for polygan: speech from text, and one voice from another.

Only data stands here: `polygan list` imports this module and must not import torch.
"""

from __future__ import annotations

from polygan import FormatSpec, RecipeSpec, hookimpl

POLYGAN_API = 2


@hookimpl
def polygan_recipes() -> list[RecipeSpec]:
    return [
        RecipeSpec(
            "audio/voice-conversion",
            "polygan_speech.voice_conversion:VoiceConversion",
            "one speaker's recordings in another's voice, also across languages, learned without parallel recordings",
            "Kaneko et al. 2019, arXiv:1907.12279",
            ("speech",),
        ),
    ]


@hookimpl
def polygan_formats() -> list[FormatSpec]:
    onnx = "one ONNX file: mel (batch, bands, frames), label and pitch to the mel of that speaker"
    return [FormatSpec("audio/voice-conversion", "onnx", "export", "polygan_speech.conversion.onnx:export", onnx)]
