"""From a recording to the log-mel of another speaker, and from log-mels to sound: any length, in pieces without seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .frames import log_mels
from .pitch import LOWEST, convert_pitch, pitch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .generator import Generator

PIECE = 512
"""Frames that are converted at a time."""
SOUND = 640
"""Frames that a vocoder decodes at a time, at most; a recording that is not longer is decoded whole."""
_SIDE = 24  # frames on each side that a vocoder sees beside a piece
_NEIGHBOURS = 4  # frames that the smoothing of the pitch looks at, and one more


class Converter:
    """Recordings to log-mels of the speaker ``target``; ``source``: their own speaker, -1 where nobody knows who speaks."""

    def __init__(self, generator: Generator, source: int, target: int) -> None:
        self.generator, self.spec = generator, generator.mel
        self.device = generator.mel_spec.device
        window = max(self.spec.n_fft, round(self.spec.sample_rate * (1 / LOWEST + 0.05)))
        self.context = generator.context() + window // self.spec.hop_length + _NEIGHBOURS
        self._target = torch.tensor([target], device=self.device)
        voice = torch.zeros(2, device=self.device)  # unknown
        if source >= 0:
            voice = torch.stack([generator.pitch_mean[source], generator.pitch_deviation[source]])
        self._voice = voice

    @torch.no_grad()
    def stream(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Log-mels (n_mels, f) on the CPU of blocks (t,) of a recording that follow each other; T // hop_length frames in all.

        Each piece is what the whole recording gives, since the network sees its context on both sides.
        """
        hop, side = self.spec.hop_length, self.context
        held, first, done = torch.zeros(0), 0, 0  # samples from frame ``first`` on; frames that came out
        for block in blocks:
            held = torch.cat([held, block])
            while first + len(held) // hop >= done + PIECE + side:
                begin, end = max(0, done - side), done + PIECE
                yield self._convert(held[(begin - first) * hop : (end + side - first) * hop], done - begin, PIECE)
                done = end
                keep = max(0, done - side)
                held, first = held[(keep - first) * hop :], keep
        rest = first + len(held) // hop - done
        if rest > 0:
            begin = max(0, done - side)
            yield self._convert(held[(begin - first) * hop :], done - begin, rest)

    def _convert(self, waveform: Tensor, start: int, count: int) -> Tensor:
        """``count`` frames from ``start`` on of what samples (t,) give."""
        x = waveform[None].to(self.device)
        frames = torch.arange(x.shape[1] // self.spec.hop_length, device=x.device)[None]
        mel, pitch = log_mels(self.spec, x)[..., : frames.shape[1]], pitch_of(x, self.spec, frames)
        made = self.generator(mel, self._target, self._pitch(pitch))
        return made[0, :, start : start + count].float().cpu()

    def _pitch(self, pitch: Tensor) -> Tensor:
        """The pitch (1, F) to make. Of somebody unknown, the first piece tells the mean; the deviation stays as it is."""
        self._voice, made = source_voice(self.generator, pitch, self._target, self._voice)
        return made


def source_voice(generator: Generator, pitch: Tensor, target: Tensor, voice: Tensor) -> tuple[Tensor, Tensor]:
    """The voice (2,), mean and deviation of ln F0, of whoever speaks with the pitch (1, F), and the pitch (1, F) of speaker ``target`` (1,).

    A ``voice`` of deviation 0 is unknown: the mean of the voiced frames takes its place, with the deviation of the target. Without
    voiced frames it stays unknown.
    """
    voiced = pitch > 0
    logarithm = torch.where(voiced, pitch, 1.0).log()
    mean = logarithm.sum() / voiced.sum().clamp(min=1)
    goal = torch.cat([generator.pitch_mean[target], generator.pitch_deviation[target]])  # (2,)
    found = torch.where(voiced.any(), torch.stack([mean, goal[1]]), 0.0)
    voice = torch.where(voice[1] > 0, voice, found)
    deviation = torch.where(voice[1:] > 0, voice[1:], 1.0)  # of no use where nothing is voiced
    return voice, convert_pitch(pitch, (voice[:1], deviation), (goal[:1], goal[1:]))


def sound_of(mels: Iterable[Tensor], decode: Callable[[Tensor], Tensor], hop: int) -> Iterator[Tensor]:
    """The sound of log-mels (n_mels, f) that follow each other, decoded in pieces of at most 640 frames.

    A vocoder may give other phases to another piece. Pieces therefore meet where the sound is quietest, and fade into each other there
    over one hop of ``hop`` samples. A vocoder sees 24 frames on each side of a piece.
    """
    held, begin, fading = torch.zeros(0), 0, torch.zeros(0)  # ``begin``: frames of ``held`` that came out already

    def piece(end: int, last: bool) -> Iterator[Tensor]:
        nonlocal fading
        sound = decode(held[:, : held.shape[1] if last else end + _SIDE])[begin * hop :]
        wanted = (end - begin) * hop
        if len(fading):
            up = torch.linspace(0, 1, hop)
            sound = torch.cat([fading * (1 - up) + sound[:hop] * up, sound[hop:]])
        fading = sound[:0] if last else sound[wanted : wanted + hop]
        yield sound[:wanted]

    for mel in mels:
        held = torch.cat([held, mel], 1) if held.dim() == 2 else mel
        while held.shape[1] - begin > SOUND + _SIDE:
            least = begin + SOUND // 2
            end = least + int(held[:, least : begin + SOUND].mean(0).argmin())
            yield from piece(end, last=False)
            keep = max(0, end - _SIDE)
            held, begin = held[:, keep:], end - keep
    if held.dim() == 2 and held.shape[1] > begin:
        yield from piece(held.shape[1], last=True)
