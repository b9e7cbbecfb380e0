"""What a step takes from a batch of recordings with transcripts: numbers of symbols, normalised mels, pitch, and who speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from polygan_audio.networks.convolutions import full_precision

from .masks import inside
from .parallel.network import Prosody
from .pitch import mel_of, pitch_of

if TYPE_CHECKING:
    from polygan import Batch
    from polygan_audio.networks.melspec import MelSpec

    from .generator import Generator
    from .text.spelling import Transcripts


class Recorded(NamedTuple):
    """A batch, made ready. ``ids`` (B, S), ``tokens`` and ``frames`` (B,), ``mel`` (B, n_mels, F), ``pitch`` and ``voiced`` (B, F)."""

    ids: Tensor
    tokens: Tensor
    mel: Tensor
    frames: Tensor
    pitch: Tensor
    voiced: Tensor
    speaker: Tensor | None
    language: Tensor | None
    """(B,): the number of the speaker's language, where there are several."""
    usable: Tensor
    """(B,) float32: 0 for clips that teach nothing, without a transcript or with more symbols than frames."""


@torch.no_grad()
def recorded(
    batch: Batch, spec: MelSpec, generator: Generator, transcripts: Transcripts, end: int | None, *, speakers: bool
) -> Recorded:
    """What a step needs of a prepared batch. ``end``: the number that stands around each text; None: nothing does."""
    speaker = batch["label"] if speakers else None
    language = transcripts.language(speaker)
    ids, symbols = transcripts(batch["text"], batch["text_length"], language)
    return of_symbols(batch, spec, generator, ids, symbols, end, speaker, language)


@torch.no_grad()
def of_symbols(
    batch: Batch,
    spec: MelSpec,
    generator: Generator,
    ids: Tensor,
    symbols: Tensor,
    end: int | None,
    speaker: Tensor | None,
    language: Tensor | None,
) -> Recorded:
    """`recorded` of a batch whose transcripts are numbers already: ``ids`` (B, S) and how many of them there are, ``symbols`` (B,)."""
    waveform = batch["waveform"]
    tokens = symbols if end is None else symbols + 2
    ids = ids if end is None else with_ends(ids, symbols, end)
    # Silence behind every clip: its last frames then do not depend on how long the longest clip of the batch is.
    magnitudes = spec.magnitudes(F.pad(waveform, (0, spec.n_fft)))
    size = spec.frames(waveform.shape[1])
    pitch, voiced = pitch_of(spec, _only_inside(magnitudes, batch["waveform_length"], spec))
    frames = torch.div(batch["waveform_length"], spec.hop_length, rounding_mode="floor") + (spec.padding == "center")
    mel = mel_of(spec, magnitudes)[..., :size]
    if "mel" in batch:
        mel, frames = batch["mel"].to(mel.dtype), torch.minimum(batch["mel_length"], frames)
        size = mel.shape[2]
    pitch, voiced = (F.pad(x, (0, max(0, size - x.shape[1])))[:, :size] for x in (pitch, voiced.to(pitch.dtype)))
    mask = inside(frames, size)
    return Recorded(
        ids=ids,
        tokens=tokens,
        mel=generator.normalised(mel) * mask[:, None],
        frames=frames,
        pitch=generator.relative_pitch(pitch, speaker) * voiced * mask,
        voiced=voiced * mask,
        speaker=speaker,
        language=language,
        usable=((symbols > 0) & (tokens <= frames)).float(),
    )


def _only_inside(magnitudes: Tensor, length: Tensor, spec: MelSpec) -> Tensor:
    """Magnitudes (B, bins, F), those of frames behind a clip's end 0, so that its loudest frame is one of its own."""
    frames = torch.div(length, spec.hop_length, rounding_mode="floor") + (spec.padding == "center")
    return magnitudes * inside(frames, magnitudes.shape[2])[:, None]


def with_ends(ids: Tensor, lengths: Tensor, end: int) -> Tensor:
    """Numbers (B, S) of texts of these lengths (B,), each between two numbers ``end``: (B, S + 2)."""
    longer = F.pad(ids, (1, 1))
    place = torch.arange(longer.shape[1], device=ids.device)
    return torch.where((place == 0) | (place == lengths[:, None] + 1), end, longer)


def prosody_of(said: Tensor, heard: Recorded) -> Prosody:
    """The duration, pitch and energy of each symbol (B, S), from the frames that say it, ``said`` (B, F, S)."""
    energy = heard.mel.mean(1)  # (B, F)
    with full_precision(said.device):
        sums = said.to(energy.dtype).transpose(1, 2) @ torch.stack([heard.pitch, heard.voiced, energy], 2)  # (B, S, 3)
    frames, (pitch, voiced, energy) = said.sum(1), sums.unbind(2)
    return Prosody(frames.log1p(), pitch / voiced.clamp(min=1), energy / frames.clamp(min=1))
