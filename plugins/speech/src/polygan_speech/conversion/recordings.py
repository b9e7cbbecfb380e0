"""Voice conversion from recording to recording as one ONNX file: front end, pitch, generator and vocoder."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError
from polygan.graphs import Graph, agree, write_graph
from polygan_audio import vocoding
from polygan_audio.formats.comparison import folded
from polygan_audio.formats.fourier import Bases
from polygan_audio.formats.onnx import in_a_file
from polygan_audio.formats.recordings import (
    MEL_TOLERANCE,
    LogMel,
    cut,
    facts_of,
    noise_of,
    sound_of,
    sounds_agree,
    trial_recordings,
    whole_hops,
)

from ..formats.attention_onnx import EXTRA
from . import onnx
from .frames import log_mels
from .generator import Generator
from .making import Converter, source_voice
from .pitch import cut_size, frame_centres, pitch_in_cuts, pitch_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from polygan import Recipe
    from polygan_audio.networks.frontend import FrontEnd
    from polygan_audio.networks.melspec import MelSpec

    from .settings import Exported

_SAME = 1e-3  # share of a pitch by which torch and a file may differ
_OTHERS = 0.05  # share of frames whose pitch may differ by more: where two peaks are alike, the last digit decides


class Pitch(nn.Module):
    """`pitch_of` as ONNX knows it: by the matrices of `Bases`, in float64."""

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec, self.size = spec, cut_size(spec)
        self.bases = Bases(-(-self.size // 32) * 32)  # of few prime factors

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (1, T) of whole hops to the pitch (1, T / hop_length) in Hz, float32; 0 where unvoiced."""
        hop, centre = self.spec.hop_length, int(frame_centres(self.spec, torch.zeros(1, dtype=torch.int64)))
        padded = F.pad(waveform.double(), (self.size // 2 - centre, centre))
        cuts = cut(padded, self.size, hop, waveform.shape[1] // hop)
        return pitch_in_cuts(cuts, self.spec, self._correlated).float()

    def _correlated(self, cuts: Tensor, first: Tensor) -> Tensor:
        """`polygan_audio.networks.pitch.correlated`, as far as lags go that leave ``first`` within the cut."""
        more = self.bases.n - self.size
        a, b = (self.bases.to_spectra(F.pad(x, (0, more))) for x in (cuts, first))
        (x, y), (u, v) = a.unbind(3), b.unbind(3)
        return self.bases.to_samples(torch.stack([x * u + y * v, y * u - x * v], 3))


class Converted(nn.Module):
    """A recording to the same in another voice, as `Converter` and a vocoder make it."""

    def __init__(self, generator: Generator, vocoder: FrontEnd) -> None:
        """``vocoder``: `folded`."""
        super().__init__()
        self.hop = generator.mel.hop_length
        self.front_end, self.pitch = LogMel(generator.mel), Pitch(generator.mel)
        self.generator, self.vocoder, self.silence = generator, in_a_file(vocoder), 2 * generator.mel.n_fft

    def forward(
        self, recording: Tensor, speaker: Tensor, voice: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """As `export` says: (1, T), (1,), (2,), and noise (1, T) or None."""
        whole = whole_hops(recording, self.hop)
        frames = whole.shape[1] // self.hop
        given = self.front_end(F.pad(whole, (0, -(-self.silence // self.hop) * self.hop)))[..., :frames]
        pitch = self.pitch(whole)
        voice, wanted = source_voice(self.generator, pitch, speaker, voice)
        mel = self.generator(given, speaker, wanted)
        return sound_of(self.vocoder, mel, noise, self.hop)[:, : recording.shape[1]], mel, given, pitch, voice


def export(
    recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path, options: Exported | None = None
) -> list[Path]:
    """Write the generator: `onnx.export`, or with ``options.vocoder`` a file from recording to recording.

    That file takes ``recording`` (1, samples), ``speaker`` (1,) int64, whose voice is wanted, and ``voice`` (2,): mean and deviation of ln F0
    of whoever is heard; 0 and 0 where nobody knows, and the recording tells. A vocoder that hears noise takes ``noise`` (1, samples). It
    gives ``waveform`` (1, samples), the ``mel`` that it was made of, the recording's own mel (``given``), its ``pitch`` (1, frames) in Hz,
    0 where unvoiced, and the voice that was ``taken``, for the next piece of a long recording. The facts are those of `onnx.export` and
    `polygan_audio.formats.recordings.facts_of`. Errors as `polygan.graphs.write_graph` and `vocoding.network`.
    """
    if options is None or not options.vocoder:
        return onnx.export(recipe, networks, path)
    generator = networks["generator"]
    if not isinstance(generator, Generator):
        raise ConfigError(f"this export takes a generator of voices; this is a {type(generator).__name__}")
    generator = copy.deepcopy(generator).cpu().float().eval().requires_grad_(False)
    heard = folded(vocoding.network(options.vocoder, generator.mel, recipe.runs))
    spec, known = generator.mel, onnx.facts(recipe, generator)
    trials = [
        {"recording": x, "speaker": torch.tensor([i]), "voice": torch.tensor(v), **noise_of(heard, x.shape[1])}
        for i, (x, v) in enumerate(zip(trial_recordings(spec), ([0.0, 0.0], [4.8, 0.2]), strict=True))
    ]
    samples, frames = {1: "samples"}, {2: "frames"}
    graph = Graph(
        Converted(generator, heard),
        trials,
        ["waveform", "mel", "given", "pitch", "taken"],
        {
            "recording": samples,
            "noise": samples,
            "waveform": samples,
            "mel": frames,
            "given": frames,
            "pitch": {1: "frames"},
        },
        {
            **recipe.origin,
            "kind": "converted",
            **known,
            **facts_of(heard, Converter(generator, -1, 0).context),
            "least": 1,
            "vocoder": options.vocoder,
        },
        entries=known,
        extra=EXTRA,
    )
    path, run = write_graph(graph, path, "onnx")
    for trial in trials:
        _compare(generator, heard, trial, dict(zip(graph.made, run(**trial), strict=True)), path)
    return [path]


@torch.no_grad()
def _compare(
    generator: Generator, heard: FrontEnd, trial: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path
) -> None:
    """Each part with what torch makes of the file's own numbers before it, since every part enlarges the last digits."""
    spec, recording = generator.mel, trial["recording"]
    whole = F.pad(recording, (0, -recording.shape[1] % spec.hop_length))
    frames = whole.shape[1] // spec.hop_length
    agree(log_mels(spec, whole)[..., :frames], found["given"], path, "log-mels", MEL_TOLERANCE)
    pitch = pitch_of(whole, spec, torch.arange(frames)[None])
    differ = (pitch - found["pitch"]).abs() > _SAME * pitch
    agree(torch.zeros(()), differ.float().mean(), path, "pitches", _OTHERS)
    _, wanted = source_voice(generator, found["pitch"], trial["speaker"], trial["voice"])
    agree(generator(found["given"], trial["speaker"], wanted), found["mel"], path, "made log-mels", MEL_TOLERANCE)
    sounds_agree(heard, found["mel"], trial.get("noise"), found["waveform"], path)
