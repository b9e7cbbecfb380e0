"""Tacotron 2 (Shen et al. 2018, arXiv:1712.05884): symbols to log-mel frames."""

from __future__ import annotations

import sys
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError
from polygan_audio.networks.convolutions import full_precision, wide

from .decoder import Decoder
from .encoder import Encoder
from .layers import blocks, through, valid
from .shape import ORIGINAL, SMALL, Shape
from .stopping import Stop

__all__ = ["ORIGINAL", "SMALL", "Outputs", "Shape", "Tacotron2"]

_WEAK = 0.1  # how much a language's vector counts, which would else learn voices in place of the speaker's
_FAR = -1e9  # a weight of exactly 0 after the softmax, and no NaN where a whole row is padding


class Outputs(NamedTuple):
    """What the network makes of a text and the true frames."""

    mel: Tensor
    """(B, n_mels, F) log-mel of the decoder, 0 behind each clip."""
    post: Tensor
    """(B, n_mels, F) log-mel corrected by the postnet, 0 behind each clip."""
    stop_logits: Tensor
    """(B, F): whether the sentence ends with a frame; 1000 behind each clip, which costs nothing where the target is 1."""
    alignment: Tensor
    """(B, F, S): how much a frame attends to a symbol; rows sum to 1, padding of the text has 0."""


class Postnet(nn.Module):
    """Convolutions that find what the decoder's mel lacks (Shen et al. 2018, section 2.2)."""

    def __init__(self, n_mels: int, shape: Shape) -> None:
        super().__init__()
        self.dropout = shape.postnet_dropout
        inner = shape.postnet_layers - 1
        widths = [n_mels, *[shape.postnet] * inner, n_mels]
        self.convolutions = blocks(widths, shape.postnet_kernel, [*["tanh"] * inner, "linear"])

    def forward(self, mel: Tensor, mask: Tensor | None) -> Tensor:
        """(B, n_mels, F) to (B, n_mels, F). ``mask`` (B, 1, F): nothing comes of what lies behind a clip."""
        activations = [*[torch.tanh] * (len(self.convolutions) - 1), torch.nn.Identity()]
        return through(self.convolutions, mel, mask, activations, self.dropout if self.training else 0.0)


class Tacotron2(nn.Module):
    """Encoder, attention decoder and postnet.

    ``symbols``: rows of the embedding, the padding's row 0 among them. ``speakers``: names that `forward` and `infer` tell apart; with
    0 or 1 there is no embedding. ``languages``: as ``speakers``; a language's vector is added to those of the symbols. ``masked``: a padded sentence or clip is treated as alone; set it to False to let convolutions
    see padding, as NVIDIA's and torchaudio's code do.
    """

    def __init__(self, symbols: int, n_mels: int, shape: Shape, speakers: int = 0, languages: int = 0) -> None:
        super().__init__()
        self.shape, self.n_mels, self.masked = shape, n_mels, True
        self.embedding = nn.Embedding(symbols, shape.width)
        nn.init.xavier_uniform_(self.embedding.weight)
        self.encoder = Encoder(shape)
        joined = shape.speaker_width if shape.speaker == "concat" else shape.width
        self.speakers = nn.Embedding(speakers, joined) if speakers > 1 else None
        self.languages = nn.Embedding(languages, shape.width) if languages > 1 else None
        memory = shape.width + (joined if self.speakers and shape.speaker == "concat" else 0)
        self.decoder = Decoder(n_mels, memory, shape)
        self.postnet = Postnet(n_mels, shape)

    def encode(
        self, ids: Tensor, lengths: Tensor, speaker: Tensor | None = None, language: Tensor | None = None
    ) -> Tensor:
        """Symbols (B, S), padded to any length, to what is attended to, (B, S, memory): 0 behind each sentence.

        ``lengths`` (B,) in any order, ``speaker`` and ``language`` int64 (B,). ConfigError where there are several and none is given.
        """
        mask = valid(lengths, ids.shape[1])[:, None].to(self.embedding.weight.dtype)  # (B, 1, S)
        x = self.embedding(ids)
        if self.languages is not None:
            if language is None:
                count = self.languages.num_embeddings
                raise ConfigError(f"the decoder knows {count} languages; name one of them (language)")
            x = x + _WEAK * self.languages(language)[:, None]
        memory = self.encoder(x.transpose(1, 2), lengths, mask, self.masked)
        if self.speakers is None:
            return memory
        if speaker is None:
            raise ConfigError(f"the decoder knows {self.speakers.num_embeddings} speakers; name one of them (speaker)")
        voice = self.speakers(speaker)[:, None]  # (B, 1, speaker_width)
        if self.shape.speaker == "add":
            return memory + voice * mask.transpose(1, 2)
        return torch.cat([memory, voice * mask.transpose(1, 2)], 2)

    def forward(
        self,
        ids: Tensor,
        lengths: Tensor,
        mel: Tensor,
        frames: Tensor,
        speaker: Tensor | None = None,
        language: Tensor | None = None,
    ) -> Outputs:
        """Each frame from the text and the true frames before it.

        ``ids`` int64 (B, S), ``lengths`` (B,), ``mel`` (B, n_mels, F) log-mel, ``frames`` (B,), ``speaker`` and ``language`` int64
        (B,). No value is read: the turn runs on torch's meta device.
        """
        memory = self.encode(ids, lengths, speaker, language)
        count, reduction = mel.shape[2], self.shape.reduction
        with full_precision(memory.device):
            memory = wide(memory)
            bias = (~valid(lengths, ids.shape[1])).to(memory.dtype) * _FAR
            made = self.decoder(memory, F.pad(wide(mel), (0, -count % reduction)), bias)
        mask = valid(frames, count)
        within = mask[:, None].to(memory.dtype)  # (B, 1, F)
        rough = made.mel[..., :count]
        if self.masked:
            rough = rough * within
        post = (rough + self.postnet(rough, within if self.masked else None)) * within
        stop = made.stop_logits.repeat_interleave(reduction, 1)[:, :count].masked_fill(~mask, 1e3)
        return Outputs(rough * within, post, stop, made.alignment.repeat_interleave(reduction, 1)[:, :count])

    @torch.no_grad()
    def infer(
        self,
        ids: Tensor,
        generator: torch.Generator | None = None,
        speaker: Tensor | None = None,
        max_frames: int | None = None,
        stop: Stop | None = None,
        language: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One sentence (1, S) to log-mel (n_mels, F) and alignment (F, S); call `eval` before.

        ``generator`` draws the prenet's dropout: the same seed gives the same frames. ``max_frames``: a cap beside that of ``stop``,
        rounded up to whole steps. ConfigError for an empty sentence, or a batch.
        """
        if ids.shape[0] != 1 or not ids.shape[1]:
            raise ConfigError(
                f"the attention decoder speaks one sentence at a time; this is {tuple(ids.shape)} symbols"
            )
        stop = stop or Stop()
        limit = min(stop.limit(ids.shape[1]), max_frames or sys.maxsize)
        memory = self.encode(ids, torch.full((1,), ids.shape[1], device=ids.device), speaker, language)
        with full_precision(memory.device):
            made = self.decoder.infer(wide(memory), generator, stop, limit)
        post = made.mel + self.postnet(made.mel, None)
        return post[0], made.alignment[0].repeat_interleave(self.shape.reduction, 0)
