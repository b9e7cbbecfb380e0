"""What all vocoders share: a generator that knows its front end."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from polygan import CheckpointError

if TYPE_CHECKING:
    from .melspec import MelSpec


class FrontEnd(nn.Module):
    """A generator from log-mel to waveform. Its front end goes into every checkpoint and is compared on loading."""

    mel_spec: Tensor
    chunk: ClassVar[int] = 512
    """Frames that are synthesised at a time, the context on both sides among them."""

    def __init__(self, mel: MelSpec) -> None:
        super().__init__()
        self.mel = mel
        self.planar = False
        """Compute on (B, C, 1, T) in channels_last."""
        self.register_buffer("mel_spec", mel.facts())
        self.register_load_state_dict_pre_hook(_compare)

    @abstractmethod
    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to (B, F * hop_length) in [-1, 1]."""

    @abstractmethod
    def context(self) -> int:
        """Frames on each side of a frame that its samples depend on."""

    def layout(self, x: Tensor) -> Tensor:
        """(B, C, T) as the convolutions are to see it."""
        return x[:, :, None].contiguous(memory_format=torch.channels_last) if self.planar else x


def _compare(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Refuse weights that were trained with another front end."""
    assert isinstance(module, FrontEnd)
    facts = state.get(f"{prefix}mel_spec")
    if facts is not None and not facts.is_meta and (found := module.mel.differences(facts)):
        raise CheckpointError(
            f"these weights were trained with another mel front end: {found}; train with that one, or from the beginning"
        )
