"""The settings of voice conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from polygan import Checked, ranged
from polygan_audio.front_end import MelConfig
from polygan_audio.vocoding import GRIFFIN_LIM


@dataclass(frozen=True, kw_only=True)
class Config(MelConfig):
    """The mel front end, which a vocoder of the run must share; networks; the parts of the training; the weights of the terms."""

    dim: int = ranged(256, "[1, inf)")
    """Channels of the generator."""
    hidden: int = ranged(512, "[1, inf)")
    """Width of the dense layers in the generator's blocks."""
    blocks: int = ranged(6, "[1, inf)")
    """Number of ConvNeXt blocks of the generator."""
    discriminator_width: int = ranged(32, "[1, inf)")
    """Channels of the discriminator's first map; deeper maps have 2 and 3 times as many."""
    recogniser_dim: int = ranged(160, "[1, inf)")
    """Channels of the recogniser."""
    recogniser_blocks: int = ranged(5, "[1, inf)")
    """Number of ConvNeXt blocks of the recogniser."""
    window: int = ranged(64, "[16, inf)", usual=64)
    """Frames of the windows in which voices are compared; whole clips go to the recogniser."""
    pretrain_steps: int = ranged(3500, "[0, inf)")
    """Iterations in which the generator only makes each speaker's mels anew, before the discriminator comes in."""
    recogniser_steps: int = ranged(2000, "[0, inf)")
    """Iterations in which the recogniser learns from the transcripts; 0: no content term. The discriminator comes in after them."""
    identity_steps: int = ranged(0, "[0, inf)")
    """The iteration from which the identity term no longer counts; 0: the term counts all the time."""
    adversarial: float = ranged(1.0, "[0, inf)")
    """Weight of what the discriminator says of conversions, and of mels that were made anew."""
    identity: float = ranged(5.0, "[0, inf)")
    """Weight of the difference between a mel and what the generator makes of it for its own speaker."""
    cycle: float = ranged(0.5, "[0, inf)")
    """Weight of the difference between a mel and its conversion that was converted back. A larger one keeps more of the given voice."""
    content: float = ranged(1.0, "[0, inf)")
    """Weight of the difference between the recogniser's features of a mel and of its conversion. They tell words and, less, the voice: a
    larger weight keeps more of both."""
    features: float = ranged(1.0, "[0, inf)")
    """Weight of feature matching between a mel and the one made anew, as a share of the identity term."""
    perturb: float = ranged(0.3, "[0, inf)")
    """Deviation of the random equaliser in the identity term, which also stretches the frequency axis; 0: the mel as it is."""
    matched: float = ranged(0.5, "[0, 1]")
    """Share of the identity term's windows that are made from the frames of other speakers that sound alike, once the recogniser has
    learned; 0, and without transcripts: all are made from themselves. Frames are looked for in the same batch."""
    mask: float = ranged(0.25, "[0, 1)")
    """Largest share of a window's frames that the generator does not see."""
    learning_rate: float = ranged(5e-4, "(0, 1]", usual="5e-4")
    """First learning rate of the generator; learning rates fall to 0 along a cosine."""
    discriminator_learning_rate: float = ranged(3e-4, "(0, 1]", usual="3e-4")
    """First learning rate of the discriminator."""
    recogniser_learning_rate: float = ranged(1e-3, "(0, 1]", usual="1e-3")
    """First learning rate of the recogniser."""
    beta1: float = ranged(0.5, "[0, 1)", usual=0.5)
    """Decay of the mean gradient in the game."""
    beta2: float = ranged(0.9, "[0, 1)", usual=0.9)
    """Decay of the mean squared gradient in the game."""
    weight_decay: float = ranged(0.01, "[0, inf)")
    """Decoupled weight decay (AdamW)."""
    ema_half_life: float = ranged(2_000.0, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""


@dataclass(frozen=True, kw_only=True)
class Sampling(Checked):
    """How recordings are converted."""

    typed_only: ClassVar[tuple[str, ...]] = ("vocoder",)

    speaker: str = ""
    """The speaker to convert to, by name; empty: the other one of two, the second for a recording of nobody known."""
    source: str = ""
    """The speaker of the recordings, by name, whose pitch is known; empty: the other one of two, or what the recording tells."""
    vocoder: str = GRIFFIN_LIM
    """A run of a vocoder with the same mel front end (its name, folder or exported file), or griffin-lim."""


@dataclass(frozen=True, kw_only=True)
class Exported(Checked):
    """What an ONNX file holds beside the generator of mels."""

    vocoder: str = ""
    """From recording to recording within the file, by griffin-lim or a trained vocoder of the same front end. Empty: the file makes mels
    of mels and pitches."""
