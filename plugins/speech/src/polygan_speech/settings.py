"""The settings of speech from text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from polygan import Checked, ConfigError, ranged
from polygan_audio.front_end import MelConfig


@dataclass(frozen=True, kw_only=True)
class Config(MelConfig):
    """Which network speaks, how text is read, the mel front end, the size of the networks, and the game."""

    decoder: Literal["parallel", "attention"] = "parallel"
    """parallel: durations are predicted and all frames come at once; attention: frame by frame, as in Shen et al. 2018."""
    attention_size: Literal["small", "original", "custom"] = "small"
    """Size of the network with attention: 256 units, that of the original, or what an imported model says."""
    symbols: Literal["characters", "phonemes"] = "characters"
    """What is read: characters, or phonemes by espeak-ng (pip install 'polygan-speech[phonemes]')."""
    language: str = "en"
    """Language in which numbers and abbreviations are spelled out (en, it, ...); with phonemes also espeak-ng's. Empty: neither.
    One language for all, or one for each speaker in the order of their names: en,it."""
    dim: int = ranged(192, "[1, inf)")
    """Channels of the parallel network."""
    hidden: int = ranged(576, "[1, inf)")
    """Width of the dense layers in its blocks."""
    encoder_blocks: int = ranged(4, "[1, inf)")
    """ConvNeXt blocks over the symbols."""
    decoder_blocks: int = ranged(6, "[1, inf)")
    """ConvNeXt blocks over the frames."""
    dropout: float = ranged(0.1, "[0, 1)")
    """Dropout in the encoder and in the predictors of duration, pitch and energy."""
    align_steps: int = ranged(500, "[0, inf)")
    """Iterations of the aligner alone, which cost a tenth: speech is then learned from durations that mean something."""
    pretrain_steps: int = ranged(3_400, "[0, inf)")
    """Iterations of alignments and spectra before the discriminator comes in. A game of some hundred more is enough: a long one makes the
    voice rough."""
    window: int = ranged(64, "[8, inf)", usual=64)
    """Frames of a mel that the discriminator sees."""
    aligner_weight: float = ranged(1.0, "[0, inf)")
    """Weight of the sum over all alignments (Badlani et al. 2021)."""
    predictor_weight: float = ranged(0.1, "[0, inf)")
    """Weight of the predictors of duration, pitch and energy (Lancucki 2021)."""
    guide_weight: float = ranged(1.0, "[0, inf)")
    """Weight of the aligner's path as a guide of the attention (decoder attention)."""
    stop_weight: float = ranged(1.0, "[0, inf)")
    """Weight of the stop gate (decoder attention)."""
    adversarial_weight: float = ranged(1.0, "[0, inf)")
    """Weight of what the discriminator says."""
    feature_weight: float = ranged(1.0, "[0, inf)")
    """Weight of feature matching, which is scaled to the size of the difference of mels (Yang et al. 2021)."""
    discriminator_width: int = ranged(32, "[1, inf)")
    """Channels of the discriminator's first layer."""
    learning_rate: float = ranged(1e-3, "(0, 1]", usual="1e-3")
    """First learning rate of the generator; learning rates fall to 0 along a cosine."""
    aligner_learning_rate: float = ranged(5e-3, "(0, 1]", usual="5e-3")
    """First learning rate of the aligner."""
    discriminator_learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """First learning rate of the discriminator."""
    warmup: int = ranged(200, "[0, inf)")
    """Iterations over which the learning rate of the generator and the aligner rises."""
    beta1: float = ranged(0.8, "[0, 1)", usual=0.8)
    """Decay of the mean gradient."""
    beta2: float = ranged(0.99, "[0, 1)", usual=0.99)
    """Decay of the mean squared gradient."""
    weight_decay: float = ranged(0.01, "[0, inf)")
    """Decoupled weight decay (AdamW)."""
    clip: float = ranged(1.0, "[0, inf)")
    """Largest norm of a gradient; 0: not clipped."""
    ema_half_life: float = ranged(0.0, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.symbols == "phonemes" and not self.language:
            raise ConfigError("model.symbols = phonemes needs a language; set e.g. --model.language en")


@dataclass(frozen=True, kw_only=True)
class Sampling(Checked):
    """How a text is spoken."""

    typed_only: ClassVar[tuple[str, ...]] = ("vocoder",)

    vocoder: str = "griffin-lim"
    """From mels to sound: griffin-lim, or a trained vocoder of the same front end: a run's folder or name, or an exported file."""
    speaker: str = ""
    """Name or number of the voice, for models of several speakers."""
    language: str = ""
    """Language that the text is read in, for models of several languages; empty: the speaker's own."""
    prosody: Literal["predicted", "recorded"] = "predicted"
    """recorded: the timing, pitch and energy of recordings with transcripts (teacher forcing): --input FOLDER --out MELS writes a mel for
    each recording, to fine-tune a vocoder on."""
    pace: float = ranged(1.0, "[0.2, 5]", usual=1)
    """How fast: at 2 a text takes half the time. For decoder parallel."""
    pitch: float = ranged(0.0, "[-24, 24]", usual=0)
    """Semitones that the voice is raised or lowered. For decoder parallel."""
    pause: float = ranged(0.1, "[0, 10]", usual=0.1)
    """Seconds of silence between sentences."""
    longest: float = ranged(20.0, "(0, 600]", usual=20)
    """Most seconds of a sentence; a sentence that does not end is cut there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prosody == "recorded" and (self.pace != 1 or self.pitch != 0):
            raise ConfigError(
                "prosody = recorded takes timing and pitch from the recordings; leave --pace and --pitch out"
            )


@dataclass(frozen=True, kw_only=True)
class Exported(Checked):
    """What an ONNX file holds beside the network that makes mels."""

    vocoder: str = ""
    """From mels to sound within the file: griffin-lim, or a trained vocoder of the same front end. Empty: the file makes mels.
    With decoder attention the vocoder is a file of its own."""
    words: str = ""
    """A file with a word a line. A model of phonemes then says these words too, beside those of its training transcripts."""
