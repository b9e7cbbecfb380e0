"""Speech for polygan: speech from text, and one voice from another.

Only data stands here: `polygan list` imports this module and must not import torch.
"""

from __future__ import annotations

from polygan import DomainSpec, FormatSpec, RecipeSpec, hookimpl

POLYGAN_API = 2


@hookimpl
def polygan_domains() -> list[DomainSpec]:
    return [
        DomainSpec(
            "sentence",
            "polygan_speech.text.domain:SentenceDomain",
            "texts to speak, one a line: what recipes of speech are given, nothing to train on",
        )
    ]


@hookimpl
def polygan_recipes() -> list[RecipeSpec]:
    return [
        RecipeSpec(
            "audio/tacotron2",
            "polygan_speech.tacotron2:TextToSpeech",
            "speech from text: all frames at once, small enough to train on two cores, or frame by frame with attention",
            "Shen et al. 2018, arXiv:1712.05884; Badlani et al. 2021, arXiv:2108.10447; Yang et al. 2021, arXiv:2106.15153",
            ("text to speech",),
        ),
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
    sentence, rest = (
        "decoder parallel: {}, a sentence's numbers to its log-mel{}; ",
        "attention: encoder, step and postnet",
    )
    onnx, program = "one ONNX file", "a program for torch.export.load"
    voices = "mel (batch, bands, frames), label and pitch to the mel of that speaker"
    said, converting = sentence + rest, "polygan_speech.conversion.onnx"
    return [
        FormatSpec(
            "audio/tacotron2",
            "onnx",
            "export",
            "polygan_speech.parallel.onnx:export",
            said.format(onnx, ", or sound with --vocoder"),
            settings="polygan_speech.settings:Exported",
        ),
        FormatSpec(
            "audio/tacotron2", "pt2", "export", "polygan_speech.parallel.onnx:program", said.format(program, "")
        ),
        FormatSpec(
            "audio/voice-conversion",
            "onnx",
            "export",
            "polygan_speech.conversion.recordings:export",
            f"{onnx}: {voices}, or a recording to sound with --vocoder",
            settings="polygan_speech.conversion.settings:Exported",
        ),
        FormatSpec("audio/voice-conversion", "pt2", "export", f"{converting}:program", f"{program}: {voices}"),
        FormatSpec(
            "audio/tacotron2",
            "nvidia",
            "import",
            "polygan_speech.formats.tacotron2:import_nvidia",
            "NVIDIA's Tacotron 2, a pickle with state_dict, or torchaudio's bundle of characters",
        ),
    ]
