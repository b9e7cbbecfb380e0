"""The generator of voice conversion: a log-mel, a speaker and a pitch to the log-mel of that speaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan import CheckpointError
from polygan_audio.networks.convolutions import full_precision

from .blocks import SIZE, Block, SpeakerNorm, begin, planar
from .envelope import Envelope, smooth_part
from .pitch import Harmonics, convert_pitch

if TYPE_CHECKING:
    from polygan_audio.networks.melspec import MelSpec

    from .envelope import Perturbation
    from .voices import Voices


class Generator(nn.Module):
    """Log-mel (B, n_mels, F) of anybody to log-mel (B, n_mels, F) of a speaker, with the same frames.

    The network sees the envelope of the mel and the harmonics of the pitch that it is to make. The harmonics of the given mel are smoothed
    away, so that the old pitch cannot come through. Norms belong to the speaker (StarGAN-VC2, Kaneko et al. 2019, section 3.2), and a frame
    that is masked is 0 with a flag (MaskCycleGAN-VC). What comes out is scaled by the speaker's mean and deviation of each band.
    """

    mel_spec: Tensor
    mel_mean: Tensor
    mel_deviation: Tensor
    pitch_mean: Tensor
    pitch_deviation: Tensor

    def __init__(self, spec: MelSpec, voices: Voices, dim: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.mel, speakers = spec, len(voices.mel_mean)
        self.envelope = Envelope(spec, *voices.together)
        self.harmonics = Harmonics(spec, smooth_part(spec.n_mels))
        for name, fact in vars(voices).items():  # the run's facts, not its weights: they stay right for other speakers
            self.register_buffer(name, fact.clone(), persistent=False)
        self.register_buffer("mel_spec", spec.facts())
        self.register_load_state_dict_pre_hook(_compare)
        self.embed = nn.Conv2d(2 * spec.n_mels + 3, dim, (1, SIZE), padding=(0, SIZE // 2))
        self.norm = SpeakerNorm(dim, speakers)
        self.blocks = nn.ModuleList(Block(dim, hidden, 1 / blocks, speakers) for _ in range(blocks))
        self.final_norm = SpeakerNorm(dim, speakers)
        self.head = nn.Linear(dim, spec.n_mels)
        begin(self.modules())

    def forward(
        self,
        mel: Tensor,
        label: Tensor,
        pitch: Tensor,
        kept: Tensor | None = None,
        perturbation: Perturbation | None = None,
    ) -> Tensor:
        """Log-mel (B, n_mels, F), speakers (B,) and the pitch to make (B, F) in Hz, 0 where unvoiced, to log-mel (B, n_mels, F).

        ``kept`` (B, F) is 0 in frames that the network does not see; ``perturbation`` changes the given speaker and room.
        """
        with full_precision(mel.device):
            envelope, harmonics = self.envelope(mel, perturbation), self.harmonics(pitch)
            seen = torch.ones_like(envelope[:, :1]) if kept is None else kept[:, None].to(envelope.dtype)
            x = torch.cat([envelope * seen, harmonics, seen], 1)
        x = self.embed(planar(x.to(self.embed.weight.dtype)))
        x = self.norm(x.permute(0, 2, 3, 1), label).permute(0, 3, 1, 2)
        for block in self.blocks:
            x = block(x, label)
        x = self.head(self.final_norm(x.permute(0, 2, 3, 1), label))[:, 0].transpose(1, 2)  # (B, n_mels, F)
        with full_precision(mel.device):
            mean, deviation = (fact[label][..., None] for fact in (self.mel_mean, self.mel_deviation))
            return mean + deviation * x.to(mean.dtype)

    def convert_pitch(self, pitch: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """The pitch (B, F) of speakers ``source`` (B,) as that of speakers ``target`` (B,)."""
        old, new = ((self.pitch_mean[i], self.pitch_deviation[i]) for i in (source, target))
        return convert_pitch(pitch, old, new)

    def context(self) -> int:
        """Frames on each side of a frame that it depends on."""
        return (len(self.blocks) + 1) * (SIZE // 2)


def _compare(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Refuse weights that were trained with another mel front end."""
    assert isinstance(module, Generator)
    facts = state.get(f"{prefix}mel_spec")
    if facts is not None and not facts.is_meta and (found := module.mel.differences(facts)):
        raise CheckpointError(
            f"these weights were trained with another mel front end: {found}; train with that one, or from the beginning"
        )
