"""Speech from text (Shen et al. 2018): with all frames at once or with attention, first by spectra, then by a game."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F

from polygan import Context, Player, Turn
from polygan_audio import losses
from polygan_audio.networks.convolutions import wide

from .aligning.aligner import Aligner
from .aligning.forward_sum import forward_sum
from .aligning.paths import best_paths, spread
from .attention import Tacotron2, shape_of
from .cepstra import size_of
from .facts import tensor_of
from .generator import Generator
from .masks import inside, mean_inside
from .parallel.discriminator import Patches, windows
from .parallel.embedding import embedding_of
from .parallel.network import Parallel, Prosody, Size
from .recordings import Recorded, prosody_of, recorded
from .speech import Speech
from .text.spelling import Transcripts, tables_of

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
        "steps": 4_000,
        "batch_size": 16,
        "data.segment": 0,
        "sample_every": 1000,
    }
    first_options: ClassVar[tuple[str, ...]] = ("decoder", "symbols", "language", "mel", "pretrain_steps")

    def networks(self) -> dict[str, nn.Module]:
        """``generator``, ``aligner`` and ``discriminator``."""
        c, n_mels, speakers = self.config, self.mel.n_mels, len(self.classes)
        embedding = embedding_of(self.spelling.alphabet)
        tables = tables_of(self.info, self.languages.known)
        transcripts = Transcripts(self.spelling.alphabet, tables, self.languages.of_speakers)
        deviation = tensor_of(self.info, "cepstrum_deviation", size_of(n_mels), 1.0)
        # A letter says a sound only with the letters beside it; a phoneme says it alone.
        aligner = Aligner(embedding, deviation, speakers, transcripts, context=c.symbols == "characters")
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
        embedding, speakers = embedding_of(self.spelling.alphabet), len(self.classes)
        letters, languages = c.symbols == "characters", len(self.languages)
        return Parallel(embedding, self.mel.n_mels, speakers, size, frames, languages, letters=letters)

    def _attention(self) -> nn.Module:
        shape = shape_of(self.config.attention_size, self.info)
        symbols, speakers = len(self.spelling.alphabet), len(self.classes)
        return Tacotron2(symbols, self.mel.n_mels, shape, speakers, len(self.languages))

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Rates rise over ``warmup`` iterations and fall along a cosine; that of the discriminator from where it comes in."""
        c, steps, align = self.config, training.steps, self._align_steps
        found = {}
        for name, rate, begin, warm in (
            ("generator", c.learning_rate, align, c.warmup),
            ("aligner", c.aligner_learning_rate, 0, min(50, c.warmup)),
            ("discriminator", c.discriminator_learning_rate, c.pretrain_steps, 0),
        ):
            parameters, betas = networks[name].parameters(), (c.beta1, c.beta2)
            optimizer = torch.optim.AdamW(parameters, rate, betas, weight_decay=c.weight_decay)
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
                f"Train for more --steps, or lower --model.pretrain_steps, e.g. to {17 * steps // 20}."
            )
        return notes

    # The method

    def turns(self) -> list[Turn]:
        """``align`` alone, ``pretrain`` on spectra, then ``d`` and ``g``."""
        align, begin, made = self._align_steps, self.config.pretrain_steps, ("generator", "aligner")
        first = [
            Turn("align", ("aligner",), self.alignment_loss, stop=align),
            Turn("pretrain", made, self.spectral_loss, start=align, stop=begin),
        ]
        game = [
            Turn("d", ("discriminator",), self.discriminator_loss, start=begin),
            Turn("g", made, self.generator_loss, start=begin),
        ]
        return [*(turn for turn in first if turn.start < (turn.stop or 0)), *game]

    @property
    def _align_steps(self) -> int:
        """They are the first of those before the game."""
        return min(self.config.align_steps, self.config.pretrain_steps)

    def alignment_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The sum over all alignments alone."""
        heard = self._hear(ctx, batch)
        return {name: (value * heard.usable).mean() for name, value in self._align(ctx, heard)[0].items()}

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
        heard = self._hear(ctx, batch)
        terms, path = self._align(ctx, heard)
        said = spread(path, heard.frames, heard.ids.shape[1], heard.mel.dtype)
        speak = self._speak if self.config.decoder == "parallel" else self._attend
        made, difference, own = speak(ctx["generator"], heard, path, said)
        terms = {name: (value * heard.usable).mean() for name, value in {**own, **terms}.items()}
        return _Played(terms, heard, made, difference)

    def _hear(self, ctx: Context, batch: Batch) -> Recorded:
        generator, aligner = cast("Generator", ctx["generator"]), cast("Aligner", ctx["aligner"])
        several = len(self.classes) > 1
        with ctx.fp32():
            return recorded(batch, self.mel, generator, aligner.transcripts, self.end, speakers=several)

    def _align(self, ctx: Context, heard: Recorded) -> tuple[dict[str, Tensor], Tensor]:
        """The aligner's term (B,), nats per frame, and the best path (B, F): Badlani et al. 2021, eq. 4 and section 3.2."""
        frames, tokens = heard.frames, heard.tokens
        log_p = ctx["aligner"](heard.ids, tokens, heard.mel, frames, heard.speaker)
        with ctx.fp32():
            term = self.config.aligner_weight * forward_sum(log_p, frames, tokens) / frames.clamp(min=1)
            return {"align": term}, best_paths(log_p, frames, tokens)

    def _speak(
        self, generator: nn.Module, heard: Recorded, path: Tensor, said: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """All frames at once: the mel, and the predictors against what the aligner found (Lancucki 2021, section 2.1)."""
        with torch.no_grad():
            prosody = prosody_of(said, heard)
        made, found = generator(heard.ids, heard.tokens, said, heard.frames, prosody, heard.speaker, heard.language)
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
        out = generator(heard.ids, heard.tokens, heard.mel, frames, heard.speaker, heard.language)
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
