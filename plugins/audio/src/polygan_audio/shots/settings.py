"""The settings of short sounds from noise, and the class that options of generation ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from polygan import Checked, ConfigError, class_index, ranged

from ..data.encoding import Encoding  # noqa: TC001 - typing.get_type_hints reads the class
from ..front_end import MelConfig
from .notes import midi_of, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class Config(MelConfig):
    """What is trained. The length of a sound is ``data.segment``."""

    generator: Literal["waveform", "spectrogram"] = "waveform"
    """What the generator makes: samples, or a log-mel picture that a vocoder turns into sound (better for drums; only this one uses the
    mel front end)."""
    width: int = ranged(16, "[1, inf)", hint="64 is the paper's, for a GPU")
    """Channels of the generator's last hidden layer; each layer before has twice as many."""
    discriminator_width: int = ranged(8, "[0, inf)")
    """Channels of the first layer of each discriminator; each later layer has twice as many. 0: as the generator."""
    latent_dim: int = ranged(100, "[1, inf)")
    """Numbers in a latent vector (standard normal)."""
    conditional: Literal["auto", "yes", "no"] = "auto"
    """Whether both networks know the class; auto: if the data has two or more classes."""
    embedding_dim: int = ranged(32, "[1, inf)")
    """Numbers that stand for a class beside the latent vector."""
    upsample: Literal["transposed", "nearest"] = "transposed"
    """How a layer of the waveform's generator makes sound longer: transposed convolutions, or repeated samples, which leave no tones
    of their own and cost four times as much."""
    harmonics: int = ranged(16, "[0, inf)")
    """Sines at multiples of the pitch that the waveform's generator shapes, where all classes are notes (C4, F#3, 60); 0: none."""
    spectra: tuple[int, ...] = ranged((1024, 256), "[16, inf)")
    """Sizes of Fourier transforms, each seen by a discriminator beside the one of the waveform; empty: none, as in the paper."""
    phase_shuffle: int = ranged(2, "[0, 2]", hint="2 is the paper's")
    """Most samples by which maps in the waveform's discriminator are moved at random; 0: not."""
    loss: Literal["non-saturating", "wgan-gp"] = "non-saturating"
    """The game: non-saturating with R1, or the paper's, Wasserstein with a gradient penalty of weight 10."""
    gamma: float = ranged(1.0, "[0, inf)")
    """Weight of R1 in the non-saturating game; 0: no penalty."""
    penalty_every: int = ranged(8, "[1, inf)")
    """Iterations between R1's turns, each with as much more weight."""
    critic_steps: int = ranged(0, "[0, inf)")
    """Discriminator steps an iteration; 0: 1, or the paper's 5 with wgan-gp."""
    learning_rate: float = ranged(5e-4, "(0, 1]", usual="1e-4 to 1e-3")
    """Learning rate of all networks."""
    beta1: float = ranged(0.5, "[0, 1)", usual=0.5)
    """Decay of the mean gradient."""
    beta2: float = ranged(0.9, "[0, 1)", usual=0.9)
    """Decay of the mean squared gradient."""
    ema_half_life: float = ranged(5000, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""
    augment: Literal["auto", "ada", "none"] = "auto"
    """How sounds are altered before the discriminators: ada (adaptive: moved, louder, upside down, duller) or none; auto: ada, but
    none with wgan-gp."""
    augment_target: float = ranged(0.6, "(0, 1)", hint="0.6 is the paper's")
    """r_t that adaptive augmentation aims at."""
    augment_horizon: float = ranged(100_000, "(0, inf)", hint="500000 is the paper's")
    """Sounds after which the probability of adaptive augmentation can have gone from 0 to 1."""
    augment_limit: float = ranged(0.8, "(0, 1]", usual=0.8)
    """Largest probability of adaptive augmentation."""


@dataclass(frozen=True, kw_only=True)
class Sampling(Checked):
    """How sounds are made."""

    typed_only: ClassVar[tuple[str, ...]] = ("vocoder",)

    label: str | int | None = None
    """Name or number of the class; None: the classes in turn."""
    pitch: str | int | None = None
    """The note, where the classes are notes: a name (C4, F#3) or a MIDI number (60)."""
    vocoder: str = "griffin-lim"
    """What turns a log-mel into sound, with a spectrogram's generator: griffin-lim, or a vocoder's run, folder or exported file."""
    encoding: Encoding = "pcm16"
    """Samples of written files: pcm16 or pcm24 bits, or float, 32-bit floats that nothing clips."""


@dataclass(frozen=True, kw_only=True)
class Exported(Checked):
    """What is written beside the generator."""

    vocoder: str = ""
    """From log-mels to sound in a file of its own, with a spectrogram's generator: griffin-lim, or a trained vocoder of the same front
    end. Empty: the file makes log-mels."""


def makes_samples(vocoder: str) -> ConfigError:
    """The error where a generator of waveforms is given a vocoder."""
    return ConfigError(
        f"vocoder = {vocoder}: this run makes samples, not mels; leave the vocoder out, or train with --model.generator spectrogram"
    )


def class_asked(options: Sampling, classes: Sequence[str], notes: Sequence[int]) -> int | None:
    """The index of the class that options name; None where they name none. ConfigError for what the run has not.

    ``notes``: the MIDI number of each class where all are notes, else empty.
    """
    if options.pitch is None:
        return class_index(options.label, classes)
    if options.label is not None:
        raise ConfigError(
            f"label = {options.label} and pitch = {options.pitch} both name the class; leave one of them out"
        )
    if not notes:
        raise ConfigError(
            f"pitch = {options.pitch}: the classes of this run are no notes; "
            f"{'use --label' if classes else 'train with labels that are notes (folders C4, D4, ...)'}"
        )
    midi = midi_of(str(options.pitch))
    if midi is None or midi not in notes:
        known = f"{name_of(min(notes))} ({min(notes)}) to {name_of(max(notes))} ({max(notes)})"
        raise ConfigError(
            f"pitch = {options.pitch} is no note of this run; there are {len(set(notes))} notes from {known}"
        )
    return list(notes).index(midi)
