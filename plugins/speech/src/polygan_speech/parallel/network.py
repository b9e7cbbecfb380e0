"""Speech from text with all frames at once: encoder, predictors of duration, pitch and energy, decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan_audio.networks.convolutions import full_precision, wide
from polygan_audio.networks.vocos import Block

from ..masks import inside

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 200  # frames of a symbol
_CLEAR = 10.0  # how much a speaker's vector counts beside languages: a voice is then learned by the speaker, not by the language
_WEAK = 0.1  # how much a language's vector counts in front of the encoder, which else learns voices from languages
_PLACES = 3  # numbers that say where within its symbol a frame lies


@dataclass(frozen=True)
class Size:
    """The width of the network, and how many blocks it has."""

    dim: int
    hidden: int
    encoder_blocks: int
    decoder_blocks: int
    dropout: float


class Prosody(NamedTuple):
    """What is predicted of each symbol, each (B, S)."""

    duration: Tensor
    """ln (1 + frames)."""
    pitch: Tensor
    """ln Hz, less the speaker's mean, over the speaker's deviation; 0 for symbols without voice."""
    energy: Tensor
    """Mean of the normalised log-mel."""


class Parallel(nn.Module):
    """Normalised log-mels from symbols and their durations: FastPitch (Lancucki 2021, figure 1) with ConvNeXt blocks.

    A symbol's vector depends on the text alone: padding is 0 in front of every convolution, as beyond the ends of a text alone.
    """

    def __init__(
        self,
        embedding: Callable[[int], nn.Module],
        n_mels: int,
        speakers: int,
        size: Size,
        frames_per_symbol: float,
        languages: int = 0,
        *,
        letters: bool = False,
    ) -> None:
        """``embedding``: makes an embedding of symbols of so many channels. ``speakers``, ``languages``: 0 or 1 for a single one.

        ``letters``: whether the language says how symbols sound, as of letters; phonemes sound alike in any language.
        """
        super().__init__()
        dim = size.dim
        self.embedding = embedding(dim)
        self.speakers = nn.Embedding(speakers, dim) if speakers > 1 else None
        self.languages, self.letters = nn.Embedding(languages, dim) if languages > 1 else None, letters
        self.encoder = Blocks(dim, size.hidden, size.encoder_blocks, size.dropout)
        self.predictor = Predictor(dim, size.dropout)
        self.pitch, self.energy = (nn.Conv1d(1, dim, 3, padding=1) for _ in range(2))
        self.place = nn.Linear(_PLACES, dim)
        self.decoder = Blocks(dim, size.hidden, size.decoder_blocks, 0.0)
        self.head = nn.Linear(dim, n_mels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=0.02)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        nn.init.constant_(self.predictor.head.bias[:1], torch.tensor(1.0 + frames_per_symbol).log().item())

    def forward(
        self,
        ids: Tensor,
        tokens: Tensor,
        said: Tensor,
        frames: Tensor,
        prosody: Prosody,
        speaker: Tensor | None = None,
        language: Tensor | None = None,
    ) -> tuple[Tensor, Prosody]:
        """Mels (B, n_mels, F) with the frames that ``said`` (B, F, S) gives each symbol, and what is predicted of the symbols.

        ``ids`` (B, S), ``tokens`` and ``frames`` (B,), ``prosody``: that of the recording, ``speaker`` and
        ``language`` (B,) or None.
        """
        x = self.encode(ids, tokens, speaker, language)
        found = self._predict(x, inside(tokens, ids.shape[1]), language)
        return self.decode(x, tokens, said, frames, prosody), found

    def encode(
        self, ids: Tensor, tokens: Tensor, speaker: Tensor | None = None, language: Tensor | None = None
    ) -> Tensor:
        """Symbols (B, S) to vectors (B, S, C), 0 behind a text's end; the speaker's vector is added.

        Where each language has one speaker, a language's vector in front of the encoder (Casanova et al. 2022, "YourTTS")
        carries most of the voice. Letters need it there, for their sounds, and have it weakly; phonemes do without.
        """
        mask = inside(tokens, ids.shape[1])
        x = self.embedding(ids)
        if self.letters and self.languages is not None and language is not None:
            x = x + _WEAK * self.languages(language)[:, None]
        x = self.encoder(x, mask)
        if self.speakers is not None and speaker is not None:
            voice = self.speakers(speaker)[:, None]
            x = x + (voice if self.languages is None else _CLEAR * voice)
        return x * mask[..., None]

    def _predict(self, x: Tensor, mask: Tensor, language: Tensor | None) -> Prosody:
        """What `Predictor` says of symbols (B, S, C): rhythm and melody are the language's, too."""
        if self.languages is not None and language is not None:
            x = x + self.languages(language)[:, None]
        return self.predictor(x, mask)

    def decode(self, x: Tensor, tokens: Tensor, said: Tensor, frames: Tensor, prosody: Prosody) -> Tensor:
        """Vectors of symbols (B, S, C) with their pitch and energy to mels (B, n_mels, F), 0 behind their ends."""
        mask = inside(tokens, x.shape[1])
        for layer, value in ((self.pitch, prosody.pitch), (self.energy, prosody.energy)):
            x = x + layer((value * mask)[:, None].to(x.dtype)).transpose(1, 2)
        x = said.to(x.dtype) @ (x * mask[..., None]) + self.place(places(said).to(x.dtype))  # (B, F, C)
        mask = inside(frames, said.shape[1])
        x = self.head(self.decoder(x, mask)) * mask[..., None]
        return x.transpose(1, 2)

    def speak(
        self,
        ids: Tensor,
        speaker: Tensor | None = None,
        pace: float | Tensor = 1.0,
        pitch: float | Tensor = 0.0,
        language: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One text (1, S) to its mel (1, n_mels, F) and durations (1, S). ``pitch``: speaker's deviations that it is raised by."""
        tokens = torch.ones_like(ids).sum(1)
        x = self.encode(ids, tokens, speaker, language)
        found = self._predict(x, torch.ones_like(ids, dtype=torch.bool), language)
        length = (found.duration.exp() - 1).clamp(1, _LONGEST) / pace
        # The ends are rounded, not the durations, so that the whole text is as long as was predicted.
        ends = (length.cumsum(1) + 0.5).floor().long()
        ends = torch.cat([ends[:, :-1], ends[:, -1:].clamp(min=1)], 1)
        durations = ends - F.pad(ends[:, :-1], (1, 0))
        last: Any = ends[0, -1]  # a tensor, which an export to ONNX follows
        frame = torch.arange(last, device=ids.device)[None, :, None]  # (1, F, 1)
        said = ((frame < ends[:, None]) & (frame >= (ends - durations)[:, None])).to(x.dtype)
        prosody = found._replace(pitch=found.pitch + pitch)
        return self.decode(x, tokens, said, ends[:, -1], prosody), durations


class Blocks(nn.Module):
    """ConvNeXt blocks over (B, L, C), between two norms."""

    def __init__(self, dim: int, hidden: int, count: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.blocks = nn.ModuleList(Block(dim, hidden, 1 / count) for _ in range(count))
        self.final_norm = nn.LayerNorm(dim, eps=1e-6)
        self.dropout = dropout

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, L, C) to (B, L, C); ``mask`` (B, L) says what is no padding."""
        kept = mask[:, None, None].to(x.dtype)  # (B, 1, 1, L)
        x = self.norm(x).permute(0, 2, 1)[:, :, None] * kept  # (B, C, 1, L), channels beside each other in memory
        for block in self.blocks:
            x = F.dropout(block(x), self.dropout, self.training) * kept
        return self.final_norm(x[:, :, 0].transpose(1, 2))


class Predictor(nn.Module):
    """Duration, pitch and energy of symbols: two convolutions with norms (Ren et al. 2021, figure 1b), three numbers."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(dim, dim, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-6) for _ in range(2))
        self.head = nn.Linear(dim, len(Prosody._fields))
        self.dropout = dropout

    def forward(self, x: Tensor, mask: Tensor) -> Prosody:
        """Vectors (B, S, C) to three numbers for each symbol."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = layer((x * mask[..., None]).transpose(1, 2)).relu().transpose(1, 2)
            x = F.dropout(norm(x), self.dropout, self.training)
        return Prosody(*wide(self.head(x)).unbind(2))


def places(said: Tensor) -> Tensor:
    """(B, F, 3): where within its symbol a frame lies: the share that is over, ln of the frames since its beginning and to its end.

    ``said`` (B, F, S): 1 where a frame says a symbol, as `spread`.
    """
    with full_precision(said.device):  # half the bits lose frames
        said = wide(said)
        durations = said.sum(1)  # (B, S)
        begin = said @ (durations.cumsum(1) - durations)[..., None]  # (B, F, 1)
        length = said @ durations[..., None]
    since = torch.arange(said.shape[1], device=said.device)[None, :, None] - begin
    left = (length - since).clamp(min=0)
    return torch.cat([(since + 0.5) / length.clamp(min=1), since.clamp(min=0).log1p(), left.log1p()], 2)
