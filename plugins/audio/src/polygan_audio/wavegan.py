"""WaveGAN (Donahue et al. 2019, "Adversarial audio synthesis", arXiv:1802.04208): short sounds from noise, by class or by note."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch

from polygan import (
    AdaptiveAugmentation,
    ConfigError,
    Player,
    Recipe,
    Samples,
    Turn,
    classes_of,
    in_chunks,
    losses,
)

from .data.facts import info_of
from .networks.shot_discriminators import MelMember, Member, ShotDiscriminator, SpectralMember, WaveformMember
from .networks.wavegan import Generator, MelGenerator, doublings_for, layers_for
from .shots.augment import NORMAL_DRAWS, UNIFORM_DRAWS, augment_mel, augment_waveform
from .shots.notes import hertz_of, notes_of
from .shots.settings import Config, Sampling, class_asked, makes_samples
from .vocoding import GRIFFIN_LIM, decoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, Context, Request, TrainerSettings

ADAPT_EVERY = 4
"""Iterations between moves of the augmentation's probability (Karras et al. 2020, section 3.1)."""
WGAN_GP_WEIGHT, WGAN_GP_STEPS = 10.0, 5  # of Gulrajani et al. 2017, which the paper took over
_PREVIEWS = 10


class WaveGAN(Recipe[Config]):
    """A generator of waveforms, or of log-mels that a vocoder turns into sound, against discriminators of waveform and spectra."""

    domain = "audio"
    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = Sampling
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 20_000,
        "batch_size": 16,
        "sample_every": 1000,
        "data.segment": 16_384,
        "data.crop": "start",
    }
    first_options: ClassVar[tuple[str, ...]] = ("generator", "width")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: sample_rate (Hz), segment (samples), and classes where there are labels. ConfigError if they do not fit."""
        super().__init__(config, info)
        facts = info_of(info)
        self.rate, self.samples = facts["sample_rate"], facts["segment"]
        self.classes = classes_of(config.conditional, info, "use labelled data (--data.speakers folders)")
        self.notes_of_classes = notes_of(self.classes)
        layers_for(self.samples)
        self.makes_mels = config.generator == "spectrogram"
        if self.makes_mels:
            self.mel = config.front_end(self.rate)
            if self.samples % self.mel.hop_length or self.samples <= self.mel.pad:
                raise ConfigError(
                    f"data.segment = {self.samples} samples are no whole number of hops of {self.mel.hop_length} that is longer than "
                    f"{self.mel.pad}; use e.g. --data.segment {64 * self.mel.hop_length}"
                )
            doublings_for(*self.shape)
        else:
            self._check_spectra(config.spectra)
        self.augmentation = config.augment
        if config.augment == "auto":
            self.augmentation = "ada" if config.loss == "non-saturating" else "none"
        if self.augmentation == "ada" and config.loss != "non-saturating":
            raise ConfigError(
                f"model.augment = ada follows the sign of the logits, which has no meaning in model.loss = {config.loss}; use none"
            )

    def _check_spectra(self, sizes: Sequence[int]) -> None:
        wrong = [n for n in sizes if n % 4 or self.samples % (n // 4) or n > self.samples]
        if wrong:
            raise ConfigError(
                f"model.spectra = {wrong[0]} does not fit sounds of {self.samples} samples: a quarter of each size must divide them; "
                "use powers of two, e.g. --model.spectra 1024 256"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Bands and frames of a log-mel."""
        return self.mel.n_mels, self.samples // self.mel.hop_length

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and deviation that log-mels are scaled by: silence is -1, and a magnitude of 1 is 1."""
        return self.mel.silence / 2, -self.mel.silence / 2

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """The classes, and whether they are notes."""
        if not self.classes:
            return ["The data has no classes: sounds of all kinds are made, and --label cannot choose."]
        if self.notes_of_classes and not self.makes_mels and self.config.harmonics:
            return [
                f"The {len(self.classes)} classes are notes: {self.config.harmonics} sines at multiples of each pitch are added."
            ]
        return []

    # Networks

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``; ``augmentation`` if it is adaptive."""
        adaptive = {"augmentation": AdaptiveAugmentation()} if self.augmentation == "ada" else {}
        return {"generator": self._generator(), "discriminator": ShotDiscriminator(self._members()), **adaptive}

    def _generator(self) -> nn.Module:
        c, known = self.config, {"classes": len(self.classes), "embedding_dim": self.config.embedding_dim}
        if self.makes_mels:
            return MelGenerator(self.shape, self.scale, c.width, c.latent_dim, **known)
        pitches = [hertz_of(note) for note in self.notes_of_classes]
        sines = {"pitches": pitches, "harmonics": c.harmonics, "rate": self.rate}
        return Generator(self.samples, c.width, c.latent_dim, nearest=c.upsample == "nearest", **known, **sines)

    def _members(self) -> dict[str, Member]:
        c, classes = self.config, len(self.classes)
        width = c.discriminator_width or c.width
        if self.makes_mels:
            return {"mel": MelMember(self.shape, self.scale, width, classes=classes)}
        members: dict[str, Member] = {
            "waveform": WaveformMember(self.samples, width, classes=classes, shuffle=c.phase_shuffle)
        }
        return members | {f"spectrum{n}": SpectralMember(n, self.samples, width, classes=classes) for n in c.spectra}

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both; the generator is averaged."""
        c = self.config

        def adam(name: str) -> torch.optim.Adam:
            return torch.optim.Adam(networks[name].parameters(), c.learning_rate, (float(c.beta1), float(c.beta2)))

        return {
            "generator": Player(networks["generator"], adam("generator"), ema_half_life=c.ema_half_life),
            "discriminator": Player(networks["discriminator"], adam("discriminator")),
        }

    # The method

    @property
    def wasserstein(self) -> bool:
        """Whether the game is the paper's: Wasserstein with a gradient penalty (Gulrajani et al. 2017)."""
        return self.config.loss == "wgan-gp"

    def turns(self) -> list[Turn]:
        """``d``, R1 in a turn of its own, ``g``, and now and then ``ada``. In the paper's game ``d`` holds the penalty."""
        c, trained = self.config, ("discriminator",)
        steps = c.critic_steps or (WGAN_GP_STEPS if self.wasserstein else 1)
        d = Turn("d", trained, self.discriminator_loss, repeat=steps, differentiates_twice=self.wasserstein)
        r1 = Turn("r1", trained, self.r1_loss, every=c.penalty_every, differentiates_twice=True)
        g = Turn("g", ("generator",), self.generator_loss)
        ada = Turn("ada", (), self.adapt, data=None, every=ADAPT_EVERY)
        return [
            d,
            *([r1] if c.gamma and not self.wasserstein else []),
            g,
            *([ada] if self.augmentation == "ada" else []),
        ]

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-log s(D(x)) - log(1 - s(D(G(z)))), or D(G(z)) - D(x) and the penalty; means over the members."""
        label, made = self._label(batch), self._fakes_to_judge(ctx, batch)
        real, fake = (self._augmented(ctx, sound) for sound in (self._real(batch), made.detach()))
        network = _discriminator(ctx)
        views = network.views(real), network.views(fake)
        real_logits, fake_logits = (torch.stack(network.logits(v, label, self._shifts(ctx, len(real)))) for v in views)
        if self.wasserstein:
            return losses.wasserstein_discriminator(real_logits, fake_logits) | self._penalty(ctx, *views, label)
        ctx.observe_logits(real_logits, fake_logits)
        if self.augmentation == "ada":
            _adaptive(ctx).record(real_logits)
        return losses.minimax_discriminator(real_logits, fake_logits)

    def _fakes_to_judge(self, ctx: Context, batch: Batch) -> Tensor:
        """Fakes for the discriminator's turn; those of the non-saturating game keep their graph for the generator's turn."""
        if self.wasserstein:
            return self._fakes(ctx, batch)
        with ctx.graph_of("generator"):
            made = self._fakes(ctx, batch)
        ctx.cache["fakes"] = made, batch
        return made

    def _penalty(self, ctx: Context, real: list[Tensor], fake: list[Tensor], label: Tensor | None) -> dict[str, Tensor]:
        """10 E (|grad D(x)| - 1)^2 between real and made sounds (Gulrajani et al. 2017, alg. 1), by what each member sees."""
        network, terms = _discriminator(ctx), []
        for member, a, b in zip(network.members.values(), real, fake, strict=True):
            mix = ctx.noise.uniform(len(a))
            terms.append(losses.wgan_gp(lambda x, m=member: m(x, label), a, b, mix, WGAN_GP_WEIGHT))
        return {"wgan_gp": torch.stack(terms).mean()}

    def r1_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """gamma/2 E |grad D(x)|^2 (Mescheder et al. 2018, eq. 9) by what each member sees; mean over the members.

        The turn is played now and then, with a weight that is larger by as much.
        """
        network, real = _discriminator(ctx), self._augmented(ctx, self._real(batch))
        views = [view.detach().requires_grad_() for view in network.views(real)]
        logits = network.logits(views, self._label(batch), self._shifts(ctx, len(real)))
        weight = self.config.gamma * self.config.penalty_every
        return {"r1": torch.stack([losses.r1(logit, v, weight) for logit, v in zip(logits, views, strict=True)]).mean()}

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-log s(D(G(z))) on the fakes that the discriminator saw, or -D(G(z)) on fresh ones."""
        made, shown = ctx.cache.pop("fakes", None) or (self._fakes(ctx, batch), batch)
        network, fake = _discriminator(ctx), self._augmented(ctx, made)
        logits = network(fake, self._label(shown), self._shifts(ctx, len(fake)))
        return losses.linear_generator(logits) if self.wasserstein else losses.minimax_generator(logits)

    def adapt(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """p goes up if r_t is above its target, and down otherwise (Karras et al. 2020, section 3.1); p is logged."""
        c = self.config
        move = ADAPT_EVERY * ctx.training.batch_size / c.augment_horizon
        return {"p": _adaptive(ctx).adapt(move, c.augment_target, c.augment_limit)}

    # What is played with

    def _label(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.classes else None

    def _real(self, batch: Batch) -> Tensor:
        """Waveforms (n, T), or their log-mels (n, n_mels, F)."""
        return self.mel(batch["waveform"])[..., : self.shape[1]] if self.makes_mels else batch["waveform"]

    def _fakes(self, ctx: Context, batch: Batch) -> Tensor:
        """Made sounds of the batch's classes, in the form of `_real`."""
        latent = ctx.noise.normal(len(batch["waveform"]), self.config.latent_dim)
        return ctx["generator"](latent, self._label(batch))

    def _shifts(self, ctx: Context, n: int) -> Tensor | None:
        """The draws of the phase shuffle."""
        count = _discriminator(ctx).shuffles
        return ctx.noise.uniform(n, count) if count else None

    def _augmented(self, ctx: Context, sound: Tensor) -> Tensor:
        """Sounds as the discriminator sees them; each call augments anew, and gradients pass through."""
        if self.augmentation == "none":
            return sound
        draws = ctx.noise.uniform(len(sound), UNIFORM_DRAWS), ctx.noise.normal(len(sound), NORMAL_DRAWS)
        with ctx.fp32():
            if self.makes_mels:
                base = math.e if self.mel.log == "ln" else 10.0
                return augment_mel(sound, _adaptive(ctx).p, *draws, silence=self.mel.silence, base=base)
            return augment_waveform(sound, _adaptive(ctx).p, *draws)

    # Logits and samples

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch: the mean over the members."""
        return networks["discriminator"](self._real(batch), self._label(batch)).mean(0)

    def preview(self) -> tuple[int, Sampling]:
        """As many sounds as a report shows, the classes in turn."""
        return _PREVIEWS, Sampling()

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """``request.n`` sounds (samples,) float32 in [-1, 1]; without a class in the options the classes come in turn."""
        n, options, device = request.n, request.options, request.device
        if options.vocoder != GRIFFIN_LIM and not self.makes_mels:
            raise makes_samples(options.vocoder)
        asked = class_asked(options, self.classes, self.notes_of_classes)
        labels = None
        if self.classes:
            labels = torch.arange(n) % len(self.classes) if asked is None else torch.full((n,), asked)
        generator = networks["generator"]

        def draw(latent: Tensor, label: Tensor | None) -> Tensor:
            return generator(latent.to(device), None if label is None else label.to(device)).float()

        # A batch rounds as its size bids, and Griffin-Lim's iterations make a difference in the last digit heard: one log-mel at a time.
        size = 1 if self.makes_mels else 64
        made = in_chunks(draw, request.noise.normal(n, self.config.latent_dim), labels, size=size)[:n]
        if self.makes_mels:
            sounding = decoder(options.vocoder, self.mel, device, self.runs)
            made = [sounding(mel) for mel in made]
        return Samples(
            [*made], labels=labels, classes=self.classes, extra={"sample_rate": self.rate, "encoding": options.encoding}
        )


def _discriminator(ctx: Context) -> ShotDiscriminator:
    return cast("ShotDiscriminator", ctx["discriminator"])


def _adaptive(ctx: Context) -> AdaptiveAugmentation:
    return cast("AdaptiveAugmentation", ctx["augmentation"])
