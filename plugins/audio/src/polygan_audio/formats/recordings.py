"""Vocoders as ONNX files that take a recording: the front end stands in the file, so that its user needs no other definition of a mel."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError
from polygan.graphs import Graph, write_graph
from polygan.graphs import agree as agree_within

from ..networks.frontend import FrontEnd
from .comparison import EXTRA, agree, folded
from .fourier import Bases
from .onnx import export as export_of_mels
from .onnx import hears_noise, in_a_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from polygan import Recipe

    from ..networks.melspec import MelSpec

MEL_TOLERANCE = 1e-3
"""Largest difference of a log-mel between torch, which transforms in float32, and a file, which does in float64."""
_HOPS = (31.4, 12.0)  # lengths of the recordings that are compared


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an ONNX file of a vocoder begins with."""

    given: Literal["mel", "recording"] = "mel"
    """What the file takes: a log-mel, or a recording whose mel it computes by itself."""


class LogMel(nn.Module):
    """`MelSpec` as ONNX knows it: by the matrices of `Bases`, in float64; the same to within rounding."""

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec, self.bases = spec, Bases(spec.n_fft)
        spare = spec.n_fft - spec.win_length
        window = torch.hann_window(spec.win_length).double()
        self.window = nn.Buffer(F.pad(window, (spare // 2, spare - spare // 2)))

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (1, T) of whole hops, more than ``pad`` samples, to float32 log-mels (1, n_mels, T / hop_length)."""
        spec = self.spec
        padded = F.pad(waveform.double()[:, None], (spec.pad, spec.pad), mode="reflect")[:, 0]
        frames = cut(padded, spec.n_fft, spec.hop_length, waveform.shape[1] // spec.hop_length)
        spectra = self.bases.to_spectra(frames * self.window)
        return spec.of_squares(spectra.square().sum(3).transpose(1, 2)).float()


def cut(waveform: Tensor, size: int, hop: int, count: int) -> Tensor:
    """The first ``count`` cuts (1, count, size) of a waveform (1, T), each a hop later than the one before; silence follows the waveform.

    Sums of slices in place of `Tensor.unfold`, which ONNX does not have.
    """
    pieces = -(-size // hop)
    hops = F.pad(waveform, (0, (pieces + 1) * hop - 1))
    hops = hops[:, : (count + pieces) * hop].unflatten(1, (-1, hop))
    return torch.cat([hops[:, i : i + count] for i in range(pieces)], 2)[..., :size]


def whole_hops(waveform: Tensor, hop: int) -> Tensor:
    """A waveform (1, T) with silence to a whole number of hops behind it."""
    padded = F.pad(waveform, (0, hop - 1))
    return padded[:, : padded.shape[1] // hop * hop]


class Resynthesis(nn.Module):
    """A recording to its sound by way of its log-mel, as `Vocoder.generate` makes it."""

    def __init__(self, generator: FrontEnd) -> None:
        """``generator``: `folded`."""
        super().__init__()
        self.front_end, self.vocoder, self.hop = LogMel(generator.mel), in_a_file(generator), generator.mel.hop_length

    def forward(self, recording: Tensor, noise: Tensor | None = None) -> tuple[Tensor, ...]:
        """(1, T), and noise (1, T) or None, to a waveform (1, T) in [-1, 1], the log-mel (1, n_mels, F) it was made of, and its own one."""
        mel = self.front_end(whole_hops(recording, self.hop))
        sound = sound_of(self.vocoder, mel, noise, self.hop)
        return sound[:, : recording.shape[1]], mel, self.front_end(sound)


def sound_of(vocoder: nn.Module, mel: Tensor, noise: Tensor | None, hop: int) -> Tensor:
    """The sound (1, F * hop) in [-1, 1] of a log-mel (1, n_mels, F). Noise that ends within the last hop is followed by silence."""
    if noise is None:
        return vocoder(mel).clamp(-1, 1)
    return vocoder(mel, F.pad(noise, (0, hop))[:, : mel.shape[2] * hop]).clamp(-1, 1)


def facts_of(generator: FrontEnd, context: int = 0) -> dict[str, Any]:
    """What a program needs that cuts a recording into pieces: a piece is what the whole gives, if ``context`` frames are seen on both sides.

    ``context``: frames that a network before the vocoder sees. ``least``: samples that the file takes at least.
    """
    spec = generator.mel
    return {
        "sample_rate": spec.sample_rate,
        "hop_length": spec.hop_length,
        "context": context + generator.context() + math.ceil(spec.n_fft / spec.hop_length),
        "least": spec.pad + 1,
    }


def trial_recordings(spec: MelSpec) -> list[Tensor]:
    """Two recordings (1, T) of harmonics whose pitch glides between 110 and 165 Hz, in noise; their ends are loud."""
    draw, found = torch.Generator().manual_seed(0), []
    for hops in _HOPS:
        samples = max(round(hops * spec.hop_length), 2 * spec.pad + 2)
        time = torch.arange(samples) / samples
        phase = 2 * math.pi * torch.cumsum(110 * 1.5**time, 0) / spec.sample_rate
        sound = torch.stack([(n * phase).sin() / n for n in range(1, 12)]).sum(0)
        noise = torch.randn(samples, generator=draw)
        found.append((0.2 * sound + 0.01 * noise)[None])
    return found


def export(
    recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path, options: Exported | None = None
) -> list[Path]:
    """Write a run's generator: `onnx.export`, or with ``options.given`` recording a file from ``recording`` (1, samples) to ``waveform``
    (1, samples), the ``mel`` (1, n_mels, frames) in between, and the waveform's own mel (``remade``), to be shown beside.

    A generator that hears noise takes ``noise`` (1, samples) beside. The facts are `facts_of` and the front end (``mel``). Errors as
    `polygan.graphs.write_graph`; ConfigError for a network that is no vocoder.
    """
    if options is None or options.given == "mel":
        return export_of_mels(recipe, networks, path)
    generator = networks["generator"]
    if not isinstance(generator, FrontEnd):
        raise ConfigError(f"a vocoder's export takes the generator of a vocoder; this is a {type(generator).__name__}")
    return [_write(folded(generator), path, recipe.origin)]


def _write(ours: FrontEnd, path: Path, origin: Mapping[str, Any]) -> Path:
    spec = ours.mel
    trials = [{"recording": x, **noise_of(ours, x.shape[1])} for x in trial_recordings(spec)]
    mel, samples = dataclasses.asdict(spec), {1: "samples"}
    graph = Graph(
        Resynthesis(ours),
        trials,
        ["waveform", "mel", "remade"],
        {"recording": samples, "noise": samples, "waveform": samples, "mel": {2: "frames"}, "remade": {2: "frames"}},
        {**origin, "kind": "resynthesis", "mel": mel, **facts_of(ours)},
        entries={"mel": mel},
        extra=EXTRA,
    )
    path, run = write_graph(graph, path, "onnx")
    for trial in trials:
        waveform, mel, _ = run(**trial)
        padded = F.pad(trial["recording"], (0, -trial["recording"].shape[1] % spec.hop_length))
        agree_within(spec(padded)[..., : mel.shape[2]], mel, path, "log-mels", MEL_TOLERANCE)
        sounds_agree(ours, mel, trial.get("noise"), waveform, path)
    return path


def sounds_agree(ours: FrontEnd, mel: Tensor, noise: Tensor | None, waveform: Tensor, path: Path) -> None:
    """CheckpointError where a file's waveform (1, T) is not what the vocoder ``ours`` makes of the file's own ``mel``."""
    with torch.no_grad():
        wanted = sound_of(ours, mel, noise, ours.mel.hop_length)[:, : waveform.shape[1]]
    agree(wanted, waveform, path, iterations=getattr(ours, "iterations", 0))


def noise_of(ours: FrontEnd, samples: int) -> dict[str, Tensor]:
    """``noise`` (1, samples) by a seed, for a generator that hears any."""
    if not hears_noise(ours):
        return {}
    return {"noise": torch.randn(1, samples, generator=torch.Generator().manual_seed(samples))}
