"""Who speaks: embeddings of voices by a published network, whose weights the package resemblyzer brings."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError, read_tensors

from ..networks.melspec import MelSpec
from .measures import resampled

if TYPE_CHECKING:
    from collections.abc import Sequence

RATE = 16_000
"""Hz, the sample rate that the network hears."""
SIZE = 256
"""Numbers of an embedding."""
_WINDOW, _HOP, _BANDS = 400, 160, 40  # 25 ms every 10 ms
_PART, _STEP = 160, 77  # frames of a partial utterance, and from one to the next: 1.6 s, 1.3 of them a second
_COVERED = 0.75  # of the last partial utterance, else it is left out
_QUIET = 10 ** (-30 / 20)  # root mean square; quieter clips are raised to it
_AT_ONCE = 64
_FILTERS = MelSpec(sample_rate=RATE, n_fft=_WINDOW, win_length=_WINDOW, hop_length=_HOP, n_mels=_BANDS)


class VoiceEncoder(nn.Module):
    """The network of Wan et al. 2018, "Generalized end-to-end loss for speaker verification", arXiv:1710.10467, as published.

    Three LSTMs of 256 units over 40 mel bands; the last state goes through a dense layer and a rectifier.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, SIZE, 3, batch_first=True)
        self.linear = nn.Linear(SIZE, SIZE)

    def forward(self, mels: Tensor) -> Tensor:
        """Mel powers (B, F, 40) to embeddings (B, 256) of length 1, whose numbers are 0 or more."""
        _, (hidden, _) = self.lstm(mels)
        return F.normalize(self.linear(hidden[-1]).relu(), dim=1)

    @torch.no_grad()
    def embeddings(self, clips: Sequence[Tensor], rate: int) -> Tensor:
        """Waveforms (T_i,) at ``rate`` Hz to (n, 256), each of length 1; nan for a clip that is silent.

        An embedding is the mean over partial utterances of 1.6 s; silence stands behind a clip that is shorter.
        """
        parts = [partial_utterances(resampled(clip, rate, RATE)) for clip in clips]
        found = torch.cat([self(some) for some in torch.cat(parts).split(_AT_ONCE)])  # (all parts, 256)
        means = torch.stack([F.normalize(of_one.mean(0), dim=0) for of_one in found.split([len(p) for p in parts])])
        silent = torch.tensor([not bool(clip.any()) for clip in clips])
        return means.masked_fill(silent[:, None], torch.nan)


def partial_utterances(clip: Tensor) -> Tensor:
    """(T,) at 16 kHz to the mel powers (parts, 160, 40) of its partial utterances; a quiet clip is raised to -30 dB."""
    level = float(clip.square().mean().sqrt()) if len(clip) else 0.0
    clip = clip * (_QUIET / level) if 0 < level < _QUIET else clip
    starts = partial_starts(len(clip))
    mel = mel_powers(F.pad(clip, (0, max(0, (starts[-1] + _PART) * _HOP - len(clip)))))
    return torch.stack([mel[start : start + _PART] for start in starts])


def mel_powers(waveform: Tensor) -> Tensor:
    """(T,) at 16 kHz to mel powers (T // 160 + 1, 40): frames centred, zeros behind the ends, no logarithm."""
    window = torch.hann_window(_WINDOW)
    spectrum = torch.stft(
        waveform, _WINDOW, _HOP, _WINDOW, window, center=True, pad_mode="constant", return_complex=True
    )
    return (_FILTERS.filters() @ spectrum.abs().square()).T


def partial_starts(samples: int) -> list[int]:
    """The first frames of the partial utterances of a clip at 16 kHz; one at least, and the last is at least 75 % sound."""
    frames = -(-(samples + 1) // _HOP)
    starts = [*range(0, max(1, frames - _PART + _STEP + 1), _STEP)]
    covered = (samples - starts[-1] * _HOP) / (_PART * _HOP)
    return starts[:-1] if covered < _COVERED and len(starts) > 1 else starts


def weights_file() -> Path:
    """The weights in the installed package resemblyzer, whose code is not imported. ConfigError where there are none."""
    spec = find_spec("resemblyzer")
    places = (
        [Path(folder) / "pretrained.pt" for folder in (spec.submodule_search_locations or ()) if spec] if spec else []
    )
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ConfigError(
            "audio/speaker needs the weights in the package resemblyzer: pip install --no-deps resemblyzer (nothing else of it is "
            "used), or leave the metric out (--metrics)"
        )
    return found


def load(path: Path) -> VoiceEncoder:
    """The network with the weights of a file, opened without running code. ConfigError where they are of another network."""
    encoder, found = VoiceEncoder(), read_tensors(path)
    state = found.get("model_state", {}) if isinstance(found, dict) else {}
    own = encoder.state_dict()
    if any(key not in state or state[key].shape != tensor.shape for key, tensor in own.items()):
        raise ConfigError(
            f"{path} holds the weights of another network than resemblyzer 0.1.4; type pip install --no-deps resemblyzer==0.1.4"
        )
    encoder.load_state_dict({key: state[key] for key in own})
    return encoder.eval()


def similarities(made: Tensor, voices: Tensor, belongs: Tensor) -> list[float | None]:
    """Cosine of each embedding (n, 256) and the mean of its voices (m, 256), where ``belongs`` (n, m) says which are its own.

    None for an embedding that is nan, and for one without voices.
    """
    known = ~voices.isnan().any(1)
    found: list[float | None] = []
    for embedding, own in zip(made, belongs & known, strict=True):
        if embedding.isnan().any() or not own.any():
            found.append(None)
        else:
            found.append(float(F.cosine_similarity(embedding, voices[own].mean(0), dim=0)))
    return found
