"""Voice conversion without parallel recordings, after StarGAN-VC2 (Kaneko et al. 2019) and MaskCycleGAN-VC (Kaneko et al. 2021)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch

from polygan import Player, Turn, losses

from .conversion.base import Conversion
from .conversion.discriminator import Discriminator
from .conversion.envelope import Perturbation
from .conversion.frames import frame_counts, kept_frames, log_mels, windows
from .conversion.generator import Generator
from .conversion.losses import as_large_as, content_distance, ctc, feature_distance, mel_distance
from .conversion.matching import matched
from .conversion.recogniser import Recogniser

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, Context, TrainerSettings

    from .conversion.frames import Windows


class VoiceConversion(Conversion):
    """A generator of mels by speaker, a discriminator with a head for each, and a recogniser that guards what is said."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 10_000,
        "batch_size": 16,
        "data.segment": 0,
        "data.speakers": "folders",
        "sample_every": 1000,
    }
    first_options: ClassVar[tuple[str, ...]] = ("pretrain_steps", "recogniser_steps")

    def networks(self) -> dict[str, nn.Module]:
        """``generator``, ``discriminator``, and ``content``, the recogniser, where there are transcripts."""
        c, spec = self.config, self.mel
        made: dict[str, nn.Module] = {
            "generator": Generator(spec, self.voices, c.dim, c.hidden, c.blocks),
            "discriminator": Discriminator(self.voices, c.discriminator_width),
        }
        if self.alphabet is not None:
            made["content"] = Recogniser(spec, self.voices, len(self.alphabet), c.recogniser_dim, c.recogniser_blocks)
        return made

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """AdamW for all; rates fall along a cosine over the iterations in which a player is trained."""
        c = self.config
        spans = {
            "generator": (c.learning_rate, training.steps),
            "discriminator": (c.discriminator_learning_rate, training.steps - self.begin),
            "content": (c.recogniser_learning_rate, min(c.recogniser_steps, training.steps)),
        }
        players = {}
        for name, network in networks.items():
            rate, steps = spans[name]
            betas = (0.9, 0.98) if name == "content" else (c.beta1, c.beta2)
            adam = torch.optim.AdamW(network.parameters(), rate, betas, weight_decay=c.weight_decay)
            players[name] = Player(network, adam, _falling(adam, steps), clip=5.0 if name == "content" else 0)
        return players | {"generator": replace(players["generator"], ema_half_life=c.ema_half_life)}

    @property
    def begin(self) -> int:
        """The iteration in which the discriminator comes in."""
        return max(self.config.pretrain_steps, self.config.recogniser_steps if self.alphabet is not None else 0)

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """How the pitch is converted, a missing content term, and a run that ends before the game begins."""
        mean = self.voices.pitch_mean.exp().tolist()
        shown = [f"{name} {hertz:.0f} Hz" for name, hertz in zip(self.speakers, mean, strict=True)]
        more = ", ..." if len(shown) > 6 else ""
        told = [
            f"The pitch is converted linearly in log-F0, by each speaker's mean and deviation: {', '.join(shown[:6])}{more}."
        ]
        if self.alphabet is None and self.config.content and self.config.recogniser_steps:
            told.append(
                "The recordings have no transcripts: there is no content term, and conversions may change words. Add a metadata.csv to "
                "each speaker's folder."
            )
        if 0 < training.steps <= self.begin:
            told.append(
                f"The discriminator comes in at step {self.begin:,} and this run ends at {training.steps:,}: it never plays. Train for "
                "more --steps, or lower --model.pretrain_steps and --model.recogniser_steps."
            )
        return told

    # The method

    def turns(self) -> list[Turn]:
        """``recognise`` and ``rebuild``, each for its part; then ``d`` and ``g``."""
        c, begin = self.config, self.begin
        first = []
        if self.alphabet is not None:
            first.append(Turn("recognise", ("content",), self.recognise_loss, stop=c.recogniser_steps))
        if begin:
            first.append(Turn("rebuild", ("generator",), self.rebuild_loss, stop=begin))
        return [
            *first,
            Turn("d", ("discriminator",), self.discriminator_loss, start=begin),
            Turn("g", ("generator",), self.generator_loss, start=begin),
        ]

    def recognise_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """CTC of whole clips, whose speaker and room are perturbed and of which a stretch is hidden."""
        assert self.alphabet is not None
        frames = frame_counts(self.mel, batch["waveform_length"])
        mel = log_mels(self.mel, batch["waveform"])
        change = Perturbation.draw(ctx.noise, len(mel), self.config.perturb) if self.config.perturb else None
        kept = kept_frames(ctx.noise, frames, mel.shape[2], 0.1)
        recogniser = ctx["content"]
        _, logits = recogniser(mel, frames, kept, change)
        symbols, counts = self.alphabet.of_bytes(batch["text"], batch["text_length"])
        with ctx.fp32():
            return {"ctc": ctc(logits, Recogniser.steps(frames), symbols, counts)}

    def rebuild_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The identity term alone."""
        cut = windows(self.mel, batch, self.config.window, ctx.noise)
        kept, (given, change) = self._hidden(ctx, len(cut.mel)), self._given(ctx, cut)
        made = ctx["generator"](given, cut.label, cut.pitch, kept, change)
        return {"identity": self._distance(ctx, made, cut.mel).mean()}

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Least squares of real mels, and of both kinds of made ones by their speakers, which are kept for the generator's turn."""
        cut = windows(self.mel, batch, self.config.window, ctx.noise)
        n, others = len(cut.mel), len(self.speakers) - 1
        target = (cut.label + 1 + ctx.noise.integers(others, n)) % (others + 1)
        generator = cast("Generator", ctx["generator"])
        pitch = generator.convert_pitch(cut.pitch, cut.label, target)
        with ctx.graph_of("generator"):
            made = [generator(cut.mel, target, pitch, self._hidden(ctx, n))]
            labels = [target]
            if not self.config.identity_steps or ctx.step < self.config.identity_steps:
                given, change = self._given(ctx, cut)
                made.append(generator(given, cut.label, cut.pitch, self._hidden(ctx, n), change))
                labels.append(cut.label)
        ctx.cache.update(cut=cut, made=made, labels=labels)
        logits = ctx["discriminator"](
            torch.cat([cut.mel, *(m.detach() for m in made)]), torch.cat([cut.label, *labels])
        )[-1]
        return losses.least_squares_discriminator(logits[:n], logits[n:])

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """What the discriminator says, the cycle, the content, and the identity with its features."""
        del batch
        c, (cut, made, labels) = self.config, (ctx.cache.pop(name) for name in ("cut", "made", "labels"))
        maps = ctx["discriminator"](torch.cat([*made, cut.mel]), torch.cat([*labels, cut.label]))
        n = len(cut.mel)
        terms = {"converted": c.adversarial * losses.least_squares_generator(maps[-1][:n])["adversarial"]}
        if c.cycle:
            back = ctx["generator"](made[0], cut.label, cut.pitch)
            terms["cycle"] = c.cycle * self._distance(ctx, back, cut.mel).mean()
        if self.alphabet is not None:
            recogniser = ctx["content"]
            with torch.no_grad():
                said, _ = recogniser(cut.mel)
            terms["content"] = c.content * content_distance(said, recogniser(made[0])[0])
        if len(made) > 1:
            terms["rebuilt"] = c.adversarial * losses.least_squares_generator(maps[-1][n : 2 * n])["adversarial"]
            apart = self._distance(ctx, made[1], cut.mel)
            terms["identity"] = c.identity * apart.mean()
            if c.features:
                alike = feature_distance([m[2 * n :] for m in maps[:-1]], [m[n : 2 * n] for m in maps[:-1]])
                terms["features"] = c.features * c.identity * as_large_as(alike, apart).mean()
        return terms

    def _hidden(self, ctx: Context, n: int) -> Tensor | None:
        """Which frames of ``n`` windows the generator sees; None: all."""
        window = self.config.window
        if not self.config.mask:
            return None
        return kept_frames(ctx.noise, torch.full((n,), window, device=ctx.device), window, self.config.mask)

    def _given(self, ctx: Context, cut: Windows) -> tuple[Tensor, Perturbation | None]:
        """What windows are to be made from: themselves with another speaker and room, or frames of others that sound alike."""
        c, n = self.config, len(cut.mel)
        change = Perturbation.draw(ctx.noise, n, c.perturb) if c.perturb else None
        if self.alphabet is None or not c.matched or ctx.step < c.recogniser_steps:
            return cut.mel, change
        frames, able = matched(cast("Recogniser", ctx["content"]), cut)
        rows = (ctx.noise.uniform(n) < c.matched) & able
        return torch.where(rows[:, None, None], frames, cut.mel), change and change.without(rows)

    def _distance(self, ctx: Context, made: Tensor, wanted: Tensor) -> Tensor:
        with ctx.fp32():
            return mel_distance(made, wanted, cast("Discriminator", ctx["discriminator"]).deviation)


def _falling(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """A rate that falls to 0 along a cosine over ``steps`` iterations of the player."""
    steps = max(1, steps)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 0.5 + 0.5 * math.cos(math.pi * min(1.0, n / steps)))
