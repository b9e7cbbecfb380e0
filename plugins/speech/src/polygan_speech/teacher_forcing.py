"""The mel that a model makes with the prosody of a recording: as in training, and as long as the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from polygan import mix
from polygan_audio.networks.convolutions import wide

from .aligning.paths import best_paths, spread
from .parallel.network import Parallel
from .recordings import of_symbols, prosody_of
from .speaking import Spoken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .attention import Tacotron2
    from .recordings import Recorded
    from .speaking import Voice


class Clip(NamedTuple):
    """A recording with its transcript."""

    text: str
    waveform: Tensor
    """(T,) float32 in [-1, 1], on the CPU."""
    speaker: int | None
    """The number of the voice, for models of several."""


class TeacherForcing:
    """A voice that is given what it would predict.

    The parallel decoder gets durations on the aligner's path, and the pitch and energy of the recording (Ren et al. 2021, Lancucki 2021):
    with predicted ones, mel and recording would differ in pitch. The attention decoder gets the true frames before each frame
    (Shen et al. 2018, section 3.3.1).
    """

    def __init__(self, voice: Voice) -> None:
        self.voice = voice

    def problem(self, clip: Clip) -> str:
        """Why nothing can be made of a clip; empty: it can."""
        if not clip.text.strip():
            return "no transcript"
        symbols, frames = len(self._numbers(clip)), self.voice.spec.frames(len(clip.waveform))
        if not symbols:
            return "a transcript without a character that the model knows"
        tokens = symbols if self.voice.end is None else symbols + 2
        return f"more symbols ({tokens}) than frames ({frames})" if tokens > frames else ""

    @torch.no_grad()
    def mels(self, clips: Sequence[Clip], seed: int) -> list[tuple[Tensor, Tensor]]:
        """The log-mel (n_mels, F) and the alignment (F, S) of each clip, on the CPU; F is that of the front end for the recording.

        ``seed``: of the prenet's dropout, which is on in the attention decoder. The clips have no `problem`.
        """
        voice = self.voice
        device, several = voice.device, len(voice.languages) > 1
        ids, waveforms = ([*rows] for rows in zip(*((self._numbers(c), c.waveform) for c in clips), strict=True))
        languages = [voice.language_of(clip.speaker) for clip in clips]
        speaker = None if clips[0].speaker is None else torch.tensor([c.speaker for c in clips], device=device)
        batch = {
            "waveform": pad_sequence(waveforms, batch_first=True).to(device),
            "waveform_length": torch.tensor([len(w) for w in waveforms], device=device),
        }
        heard = of_symbols(
            batch,
            voice.spec,
            voice.generator,
            pad_sequence([torch.tensor(row) for row in ids], batch_first=True).to(device),
            torch.tensor([len(row) for row in ids], device=device),
            voice.end,
            speaker,
            torch.tensor(languages, device=device) if several else None,
        )
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            made, alignment = self._forced(heard)
        mel = voice.generator.mel(wide(made)).clamp(min=voice.spec.silence).float().cpu()
        ends = zip(heard.frames.tolist(), heard.tokens.tolist(), strict=True)
        said = alignment.float().cpu()
        return [
            (mel[i, :, :frames].clone(), said[i, :frames, :tokens].clone()) for i, (frames, tokens) in enumerate(ends)
        ]

    def _forced(self, heard: Recorded) -> tuple[Tensor, Tensor]:
        """Normalised mels (B, n_mels, F) and alignments (B, F, S)."""
        network = self.voice.generator.network
        if not isinstance(network, Parallel):
            out = cast("Tacotron2", network)(
                heard.ids, heard.tokens, heard.mel, heard.frames, heard.speaker, heard.language
            )
            return out.post, out.alignment
        assert self.voice.aligner is not None
        log_p = self.voice.aligner(heard.ids, heard.tokens, heard.mel, heard.frames, heard.speaker)
        path = best_paths(log_p, heard.frames, heard.tokens)
        said = spread(path, heard.frames, heard.ids.shape[1], heard.mel.dtype)
        made, _ = network(
            heard.ids, heard.tokens, said, heard.frames, prosody_of(said, heard), heard.speaker, heard.language
        )
        return made, said

    def _numbers(self, clip: Clip) -> list[int]:
        spelling = self.voice.spellings[self.voice.language_of(clip.speaker)]
        return spelling.encode(spelling.written(clip.text))


def spoken_again(voice: Voice, clips: Sequence[Clip], seed: int) -> list[Spoken]:
    """Each clip with the voice's sound and the recording's prosody; silence as long as the clip where nothing can be made."""
    forcing, made = TeacherForcing(voice), list[Spoken]()
    for i, clip in enumerate(clips):
        if forcing.problem(clip):
            frames = max(1, voice.spec.frames(len(clip.waveform)))
            mel = torch.full((voice.spec.n_mels, frames), voice.spec.silence)
            made.append(Spoken(torch.zeros(frames * voice.spec.hop_length), mel, torch.ones(frames, 1)))
            continue
        ((mel, alignment),) = forcing.mels([clip], mix(seed, i))
        made.append(Spoken(voice.decode(mel), mel, alignment))
    return made
