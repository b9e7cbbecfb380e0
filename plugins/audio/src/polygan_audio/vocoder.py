"""What all vocoders share: settings of the front end, the game's terms, re-synthesis of recordings and files."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from polygan import ConfigError, Context, DataError, Recipe, Samples, did_you_mean

from . import audio_losses, files, melspec
from .mels import SUFFIXES as MEL_SUFFIXES
from .mels import read_mel
from .synthesis import Synthesiser, mel_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from polygan import Batch, Noise

    from .discriminators import Family, Features

_BLOCK_SECONDS = 10  # of a file that are read at a time
_PREVIEWS = 6  # held-out recordings in the report


@dataclass(frozen=True, kw_only=True)
class VocoderConfig:
    """The front end, and the weights of the generator's terms. A None among the front end's is the preset's value."""

    mel: Literal["hifigan", "tacotron2", "vocos", "parallel_wavegan", "speecht5"] = "hifigan"
    """Preset of the mel front end, at the data's sample rate."""
    n_fft: int | None = None
    """Samples of the Fourier transform."""
    win_length: int | None = None
    """Samples of the window; with n_fft alone it is that."""
    hop_length: int | None = None
    """Samples between frames."""
    n_mels: int | None = None
    """Bands."""
    fmin: float | None = None
    """Lower end of the lowest band in Hz."""
    fmax: float | None = None
    """Upper end of the highest band in Hz."""
    learning_rate: float = 2e-4
    """Of the generator, and of the discriminators unless they have their own, (0, 1]."""
    discriminator_learning_rate: float = 0.0
    """Of the discriminators, [0, 1]; 0: that of the generator."""
    beta1: float = 0.8
    """Decay of the mean gradient, [0, 1)."""
    beta2: float = 0.99
    """Decay of the mean squared gradient, [0, 1)."""
    weight_decay: float = 0.01
    """Decoupled (AdamW), >= 0."""
    feature_weight: float = 2.0
    """Of feature matching, >= 0 (Kong et al. 2020, section 2.4)."""
    mel_weight: float = 45.0
    """Of the mean absolute log-mel difference, >= 0 (the same)."""

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"model.learning_rate = {self.learning_rate} is outside (0, 1]; 2e-4 is usual")
        if not 0 <= self.discriminator_learning_rate <= 1:
            raise ConfigError(
                f"model.discriminator_learning_rate = {self.discriminator_learning_rate} is outside [0, 1]; 0 is usual"
            )
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"model.{name} = {getattr(self, name)} is outside [0, 1)")
        for name in ("weight_decay", "feature_weight", "mel_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"model.{name} = {getattr(self, name)} must be finite and at least 0")
        for name, hint in get_type_hints(type(self)).items():
            value, known = getattr(self, name), get_args(hint)
            if get_origin(hint) is Literal and value not in known:
                meant = did_you_mean(str(value), map(str, known))
                raise ConfigError(f"model.{name} = {value!r}{meant}; known are {', '.join(map(str, known))}")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How sound is made."""

    chunk: int | None = None
    """Frames that the network sees at a time; smaller ones sound sooner, larger ones are faster. None: 256 for HiFi-GAN, 1024 for Vocos."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """auto: bf16 where the hardware multiplies it."""
    format: Literal["wav", "flac", "ogg"] = "wav"
    """Of the files that --input is turned into."""

    def __post_init__(self) -> None:
        for name, known in (("precision", ("auto", "fp32", "bf16")), ("format", ("wav", "flac", "ogg"))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} = {getattr(self, name)!r}; known are {', '.join(known)}")


class Judges(nn.Module):
    """Families of discriminators as one network; their features in a row."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        super().__init__()
        self.families = nn.ModuleDict(families)

    def forward(self, waveform: Tensor) -> Features:
        """Waveforms (B, T) to the features of all members."""
        return [features for family in self.families.values() for features in family(waveform)]


class Vocoder(Recipe):
    """A generator from log-mel to waveform, and discriminators of waveforms."""

    domain = "audio"
    translates = True
    formats: ClassVar[tuple[str, ...]] = ("onnx",)
    Sampling: ClassVar[type] = Sampling

    def __init__(self, config: VocoderConfig, info: Mapping[str, Any]) -> None:
        """``info``: sample_rate (Hz), segment (samples), and n_mels, mel_hop of given mels. ConfigError if they do not fit."""
        super().__init__(config, info)
        names = ("n_fft", "win_length", "hop_length", "n_mels", "fmin", "fmax")
        self.mel = mel = melspec.resolve(config.mel, info["sample_rate"], **{n: getattr(config, n) for n in names})
        self.loss_mel = melspec.resolve(
            config.mel, info["sample_rate"], **{n: getattr(config, n) for n in names} | {"fmax": mel.sample_rate / 2}
        )
        segment, hop = info["segment"], mel.hop_length
        if segment % hop or segment <= mel.pad:
            least = mel.pad // hop + 1
            raise ConfigError(
                f"data.segment = {segment} samples are {segment / hop:g} hops of {hop}, and must be a whole number of at least "
                f"{least}; use e.g. --data.segment {max(least, round(segment / hop)) * hop}"
            )
        for name, mine in (("n_mels", mel.n_mels), ("mel_hop", hop)):
            if info.get(name, mine) != mine:
                raise ConfigError(
                    f"the given mels (data.mels) have {name} = {info[name]}, the front end has {mine}; set --model.n_mels and "
                    "--model.hop_length as they were made"
                )

    def refuse_short_segments(self, pad: int, what: str) -> None:
        """ConfigError where segments cannot be padded by reflecting ``pad`` samples."""
        segment, hop = self.info["segment"], self.mel.hop_length
        if segment <= pad:
            raise ConfigError(
                f"data.segment = {segment} samples are too short for {what}, which reflect {pad} at each end; use at least "
                f"--data.segment {(pad // hop + 1) * hop}"
            )

    # The game's terms

    @property
    def weights(self) -> Sequence[float] | None:
        """Of the discriminators' members in the game; None: 1 each."""
        return None

    def condition(self, batch: Batch) -> Tensor:
        """What the generator hears of a batch: its log-mel (B, n_mels, T / hop_length), or the given one."""
        if "mel" in batch:
            return batch["mel"]
        return self.mel(batch["waveform"])[..., : batch["waveform"].shape[-1] // self.mel.hop_length]

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """`discriminator_terms` of all members, real and fake in one pass; the fakes are kept for the generator's turn."""
        with ctx.graph_of("generator"):
            fake = ctx["generator"](self.condition(batch))
        ctx.cache["fake"] = fake
        real, made = _halves(ctx["discriminator"](torch.cat([batch["waveform"], fake.detach()])))
        return self.discriminator_terms(real, made)

    def discriminator_terms(self, real: Features, fake: Features) -> dict[str, Tensor]:
        """Least squares."""
        return audio_losses.discriminator_loss(real, fake)

    def generator_term(self, fake: Features) -> Tensor:
        """Least squares."""
        return audio_losses.generator_loss(fake)

    def adversarial_terms(self, ctx: Context, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """What the discriminators say of fakes (B, T), and feature matching."""
        with torch.no_grad():
            real = ctx["discriminator"](batch["waveform"])
        made = ctx["discriminator"](fake)
        terms = {"adversarial": self.generator_term(made)}
        if self.config.feature_weight:
            terms["features"] = self.config.feature_weight * audio_losses.feature_matching(real, made, self.weights)
        return terms

    def mel_term(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """45 E |log-mel(x) - log-mel(G(s))| up to half the sample rate (Kong et al. 2020, eq. 3)."""
        difference = self.loss_mel(fake) - self.loss_mel(batch["waveform"])
        return {"mel": self.config.mel_weight * difference.abs().mean()}

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW with the configured numbers."""
        c: VocoderConfig = self.config
        rate = c.learning_rate
        if isinstance(module, Judges):
            rate = c.discriminator_learning_rate or rate
        return torch.optim.AdamW(module.parameters(), rate, (c.beta1, c.beta2), weight_decay=c.weight_decay)

    # Re-synthesis

    def preview(self) -> tuple[int, Sampling]:
        """A few held-out recordings."""
        return _PREVIEWS, Sampling()

    def translate(self, networks: Mapping[str, nn.Module], inputs: Samples, noise: Noise, options: Sampling) -> Samples:
        """Recordings by way of their log-mels (or given ones), each as long as it was."""
        rate, given = inputs.extra["sample_rate"], inputs.extra.get("mel")
        if rate != self.mel.sample_rate:
            raise ConfigError(f"recordings of {rate} Hz and a vocoder of {self.mel.sample_rate} Hz; resample them")
        synthesise = self._synthesiser(networks, options)
        made = []
        for i, waveform in enumerate(inputs.data):
            padded = nn.functional.pad(waveform, (0, -len(waveform) % self.mel.hop_length))
            mels = mel_stream(self.mel, [padded]) if given is None else [given[i]]
            sound = torch.cat([*synthesise.stream(mels), torch.zeros(len(waveform))])
            made.append(sound[: len(waveform)])
        return Samples(made, inputs.domain, extra=dict(inputs.extra))

    def convert(self, networks: Mapping[str, nn.Module], source: Path, out: Path, options: Sampling) -> Iterator[Path]:
        """Sound files are re-synthesised, mel files (.npy, .safetensors: (n_mels, frames)) decoded; piece by piece.

        ``out`` is a folder, or for one file a .wav, .flac or .ogg. What is wrong with a file of a folder is said on stderr, and a
        DataError at the end counts such files. ConfigError for one file out of a folder.
        """
        known = (*files.SUFFIXES, *MEL_SUFFIXES)
        if out.suffix.lower() in files.WRITTEN and not out.is_dir():
            if source.is_dir():
                raise ConfigError(f"{out} is one file, and {source} a folder; name a folder with --out")
            self._convert_file(self._synthesiser(networks, options), source, out)
            yield out
            return
        if source.is_dir():
            paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in known and not p.name.startswith("."))
            relative = [p.relative_to(source) for p in paths]
        else:
            paths, relative = [source], [source.relative_to(source.parent)]
        synthesise = self._synthesiser(networks, options)
        sources = {path.resolve() for path in paths}
        taken: set[Path] = set()
        failed = 0
        for path, name in zip(paths, relative, strict=True):
            target = out / name.with_suffix(f".{options.format}")
            there = target.resolve()
            if target in taken or (there in sources and there != path.resolve()):
                target = out / name.with_name(f"{name.name}.{options.format}")  # a.wav and a.npy side by side
            taken.add(target)
            try:
                self._convert_file(synthesise, path, target)
            except DataError as error:
                if not source.is_dir():
                    raise
                logging.getLogger("polygan").warning(f"polygan: {error}")
                failed += 1
            else:
                yield target
        if failed:
            raise DataError(
                f"{failed} of {len(paths)} files of {source} could not be converted and are named above; the others are in {out}"
            )

    def _convert_file(self, synthesise: Synthesiser, path: Path, target: Path) -> None:
        """Write the sound of one file; all or nothing. DataError naming it."""
        if target.exists() and target.samefile(path):
            raise DataError(f"{path} would be overwritten by its re-synthesis; name another folder with --out")
        mels = self._mels_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{os.getpid()}-{target.name}")
        try:
            files.write_blocks(partial, synthesise.stream(mels), self.mel.sample_rate)
            partial.replace(target)
        except DataError as error:
            raise DataError(f"{path}: {str(error).replace(str(partial), str(target))}") from None
        finally:
            partial.unlink(missing_ok=True)

    def export_as(self, networks: Mapping[str, nn.Module], kind: str, path: Path) -> list[Path]:
        """The generator for other programs: one ONNX file, or (HiFi-GAN) a folder for transformers' SpeechT5HifiGan."""
        from . import export

        write = {"onnx": export.export_onnx, "speecht5": export.export_speecht5}[kind]
        return write(networks["generator"], path)

    def _synthesiser(self, networks: Mapping[str, nn.Module], options: Sampling) -> Synthesiser:
        generator: Any = networks["generator"]
        return Synthesiser(generator, options.chunk, options.precision)

    def _mels_of(self, path: Path) -> Iterator[Tensor]:
        """Log-mels (n_mels, f) that follow each other, of a sound file or a mel file. DataError naming the file."""
        if path.suffix.lower() not in MEL_SUFFIXES:
            return mel_stream(self.mel, self._waveforms(path))
        mel = torch.tensor(read_mel(path))
        if mel.shape[0] != self.mel.n_mels:
            turned = mel.shape[1] == self.mel.n_mels
            raise DataError(
                f"mel {path} has {mel.shape[0]} bands, this vocoder takes {self.mel.n_mels}"
                + (
                    "; it lies the other way round, save [bands, frames]"
                    if turned
                    else "; make it with the same front end"
                )
            )
        return iter([mel])

    def _waveforms(self, path: Path) -> Iterator[Tensor]:
        """A sound file at the vocoder's rate, some seconds at a time, with silence to a whole number of hops."""
        rate, total = self.mel.sample_rate, 0
        head = files.header(path)
        unit = files.grid(head.rate, rate)
        step = max(1, _BLOCK_SECONDS * head.rate // unit) * unit
        for start in range(0, head.frames, step):
            block = files.read(path, start, min(step, head.frames - start), rate)[0]
            total += len(block)
            yield torch.from_numpy(block)
        yield torch.zeros(-total % self.mel.hop_length)


def _halves(features: Features) -> tuple[Features, Features]:
    """Features of the first and of the second half of the batch."""
    pairs = [[m.chunk(2) for m in member] for member in features]
    return [[a for a, _ in member] for member in pairs], [[b for _, b in member] for member in pairs]
