"""Speech from text (Shen et al. 2018): with all frames at once or with attention, first by spectra, then by a game."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F

from polygan import Context, Player, Turn
from polygan_audio import losses
from polygan_audio.networks.convolutions import wide

from .aligning.aligner import Aligner
from .aligning.forward_sum import forward_sum
from .aligning.paths import best_paths, spread
from .generator import Generator
from .masks import inside, mean_inside
from .parallel.discriminator import Patches, windows
from .parallel.embedding import embedding_of
from .parallel.network import Parallel, Prosody, Size
from .recordings import Recorded, prosody_of, recorded
from .speech import Speech
from .text.spelling import Transcripts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, TrainerSettings

_GATE = 5.0  # weight of the frame at which speech stops, beside each frame at which it goes on


class _Played(NamedTuple):
    """What the generator made of a batch, with the terms of its loss."""

    terms: dict[str, Tensor]
    heard: Recorded
    made: Tensor
    """(B, n_mels, F)."""
    difference: Tensor
    """(B,) mean absolute difference of the mels."""


class TextToSpeech(Speech):
    """Speech from text: symbols and frames are aligned by a network of its own, which learns beside the one that speaks."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 8_000,
        "batch_size": 16,
        "data.segment": 0,
        "sample_every": 1000,
    }
    first_options: ClassVar[tuple[str, ...]] = ("decoder", "symbols", "language", "mel", "pretrain_steps")

    def networks(self) -> dict[str, nn.Module]:
        """``generator``, ``aligner`` and ``discriminator``."""
        c, n_mels, speakers = self.config, self.mel.n_mels, len(self.classes)
        embedding = embedding_of(self.spelling.alphabet)
        transcripts = Transcripts(self.spelling.alphabet, self.info.get("spoken", {}))
        aligner = Aligner(embedding, n_mels, speakers, transcripts)
        network = self._attention() if c.decoder == "attention" else self._parallel()
        return {
            "generator": Generator(network, n_mels, speakers, self.info),
            "aligner": aligner,
            "discriminator": Patches(c.discriminator_width),
        }

    def _parallel(self) -> nn.Module:
        c = self.config
        size = Size(c.dim, c.hidden, c.encoder_blocks, c.decoder_blocks, c.dropout)
        frames = float(self.info.get("frames_per_symbol", 5.0))
        return Parallel(embedding_of(self.spelling.alphabet), self.mel.n_mels, len(self.classes), size, frames)

    def _attention(self) -> nn.Module:
        from .attention.network import ORIGINAL, SMALL, Shape, Tacotron2

        sizes = {"small": SMALL, "original": ORIGINAL}
        size = self.config.attention_size
        shape = sizes[size] if size in sizes else Shape(**self.info.get("attention_shape", {}))
        return Tacotron2(len(self.spelling.alphabet), self.mel.n_mels, shape, len(self.classes))

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Rates rise over ``warmup`` iterations and fall along a cosine; that of the discriminator from where it comes in."""
        c, steps = self.config, training.steps
        rates = {"generator": c.learning_rate, "aligner": c.learning_rate, "discriminator": c.discriminator_learning_rate}
        found = {}
        for name, rate in rates.items():
            begin = c.pretrain_steps if name == "discriminator" else 0
            warm = 0 if name == "discriminator" else c.warmup
            optimizer = torch.optim.AdamW(
                networks[name].parameters(), rate, (c.beta1, c.beta2), weight_decay=c.weight_decay
            )
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _Schedule(max(1, steps - begin), warm))
            half_life = c.ema_half_life if name == "generator" else 0.0
            found[name] = Player(networks[name], optimizer, schedule, ema_half_life=half_life, clip=c.clip)
        return found

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """Clips that teach nothing, and where the run ends before the game begins."""
        steps, begin, notes = training.steps, self.config.pretrain_steps, []
        if unusable := self.info.get("unusable"):
            notes.append(
                f"Of the clips for training, {unusable:,} teach nothing: they have no transcript, or more symbols than frames."
            )
        if 0 < steps <= begin:
            notes.append(
                f"The discriminator comes in at step {begin:,} and this run ends at {steps:,}: speech stays as smooth as the mean. "
                f"Train for more --steps, or lower --model.pretrain_steps, e.g. to {3 * steps // 4}."
            )
        return notes

    # The method

    def turns(self) -> list[Turn]:
        """``pretrain`` on spectra, then ``d`` and ``g``."""
        begin, made = self.config.pretrain_steps, ("generator", "aligner")
        game = [
            Turn("d", ("discriminator",), self.discriminator_loss, start=begin),
            Turn("g", made, self.generator_loss, start=begin),
        ]
        return [Turn("pretrain", made, self.spectral_loss, stop=begin), *game] if begin else game

    def spectral_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The difference of mels, the aligner's terms, and those of the predictors or of the attention."""
        return self._play(ctx, batch).terms

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Least squares over patches of a window of each mel, real and made; what was made is kept for the generator's turn."""
        with ctx.graph_of("generator"), ctx.graph_of("aligner"):
            played = self._play(ctx, batch)
        pair = self._windows(ctx, played)
        ctx.cache["played"] = played, pair
        (maps,) = ctx["discriminator"](torch.cat([pair[0], pair[1].detach()]))
        real, made = zip(*(m.chunk(2) for m in maps), strict=True)
        return losses.discriminator_loss([[*real]], [[*made]])

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """What the discriminator says, and feature matching as large as the difference of mels (GANSpeech, Yang et al. 2021).

        The paper scales by the batch's values; here each clip is scaled by its own, so that shares of a batch add up.
        """
        c, (played, (real, made)) = self.config, ctx.cache.pop("played")
        with torch.no_grad():
            (wanted,) = ctx["discriminator"](real)
        (found,) = ctx["discriminator"](made)
        terms = dict(played.terms)
        terms["adversarial"] = c.adversarial_weight * losses.generator_loss([found])
        if c.feature_weight:
            pairs = zip(wanted, found, strict=True)
            apart = torch.stack([(wide(a) - wide(b)).abs().flatten(1).mean(1) for a, b in pairs]).sum(0)  # (B,)
            scale = (played.difference / apart.clamp(min=1e-4)).detach()
            terms["features"] = c.feature_weight * (scale * apart * played.heard.usable).mean()
        return terms

    def _windows(self, ctx: Context, played: _Played) -> tuple[Tensor, Tensor]:
        """The same frames of real and made mels (B, n_mels, window); those of clips that teach nothing are 0."""
        heard = played.heard
        start = ctx.noise.uniform(len(heard.frames))
        real, made = (windows(wide(m), heard.frames, start, self.config.window) for m in (heard.mel, played.made))
        usable = heard.usable[:, None, None]
        return real * usable, made * usable

    def _play(self, ctx: Context, batch: Batch) -> _Played:
        """Align, speak, and compare. Every term is a mean over clips of each clip's own mean."""
        c, generator, aligner = self.config, ctx["generator"], ctx["aligner"]
        with ctx.fp32():
            heard = recorded(
                batch, self.mel, generator, aligner.transcripts, self.end, speakers=len(self.classes) > 1
            )
        ids, tokens, mel, frames = heard.ids, heard.tokens, heard.mel, heard.frames
        log_p = aligner(ids, tokens, mel, frames, heard.speaker)
        with ctx.fp32():
            path = best_paths(log_p, frames, tokens)
            said = spread(path, frames, ids.shape[1], log_p.dtype)
            hard = mean_inside(-log_p.gather(2, path[..., None])[..., 0], frames)
            terms = {
                "align": c.aligner_weight * forward_sum(log_p, frames, tokens) / frames.clamp(min=1),
                "binary": c.binary_weight * min(1.0, ctx.step / max(1, c.pretrain_steps // 5)) * hard,
            }
        speak = self._speak if c.decoder == "parallel" else self._attend
        made, difference, own = speak(generator, heard, path, said)
        terms = {name: (value * heard.usable).mean() for name, value in {**own, **terms}.items()}
        return _Played(terms, heard, made, difference)

    def _speak(
        self, generator: nn.Module, heard: Recorded, path: Tensor, said: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """All frames at once: the mel, and the predictors against what the aligner found (Lancucki 2021, section 2.1)."""
        with torch.no_grad():
            prosody = prosody_of(said, heard)
        made, found = generator(heard.ids, heard.tokens, said, heard.frames, prosody, heard.speaker)
        difference = mean_inside((wide(made) - heard.mel).abs().mean(1), heard.frames)
        terms = {"mel": difference}
        for name, wanted, value in zip(Prosody._fields, prosody, found, strict=True):
            terms[name] = self.config.predictor_weight * mean_inside((value - wanted).square(), heard.tokens)
        return made, difference, terms

    def _attend(
        self, generator: nn.Module, heard: Recorded, path: Tensor, said: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Frame by frame: both mels, the gate that stops, and the attention on the aligner's path."""
        c, frames = self.config, heard.frames
        out = generator(heard.ids, heard.tokens, heard.mel, frames, heard.speaker)
        apart = [wide(out.mel) - heard.mel, wide(out.post) - heard.mel]
        before, after = (mean_inside(x.abs().mean(1) + x.square().mean(1), frames) for x in apart)
        attended = wide(out.alignment).gather(2, path[..., None])[..., 0]
        place = torch.arange(path.shape[1], device=path.device)
        last = (place == frames[:, None] - 1).to(heard.mel.dtype)
        gate = F.binary_cross_entropy_with_logits(wide(out.stop_logits), last, reduction="none")
        terms = {
            "mel": before,
            "post": after,
            "stop": c.stop_weight * mean_inside(gate * (1 + (_GATE - 1) * last), frames),
            "guide": c.guide_weight * mean_inside(-attended.clamp(min=1e-4).log(), frames),
        }
        made = out.post * inside(frames, path.shape[1])[:, None]
        return made, mean_inside(apart[1].abs().mean(1), frames), terms


class _Schedule:
    """A factor of the learning rate: up over ``warm`` iterations, then down to 0 along a cosine."""

    def __init__(self, steps: int, warm: int) -> None:
        self.steps, self.warm = steps, min(warm, steps // 10)

    def __call__(self, n: int) -> float:
        rise = min(1.0, (n + 1) / (self.warm + 1))
        return rise * (0.5 + 0.5 * math.cos(math.pi * min(1.0, n / self.steps)))
