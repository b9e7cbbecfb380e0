"""Griffin-Lim as a recipe: the vocoder that needs no training, to hear and to measure beside those that do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from polygan import ConfigError, Context, Turn, ranged

from . import losses
from .front_end import MelConfig
from .networks import excitation
from .networks.griffinlim import ITERATIONS, UPDATES, invertible
from .vocoder import Vocoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from polygan import Batch, Player, TrainerSettings


@dataclass(frozen=True, kw_only=True)
class Config(MelConfig):
    """The mel front end, and how long the algorithm runs."""

    iterations: int = ranged(ITERATIONS, "[1, inf)")
    """Iterations, each of which sees as far as windows overlap: fewer sound sooner, more sound better."""
    updates: int = ranged(UPDATES, "[0, inf)")
    """Steps that bring magnitudes closer to the mel before the iterations."""


class GriffinLim(Vocoder[Any]):  # none of what vocoders are trained with
    """The fast Griffin-Lim algorithm (Perraudin, Balazs and Sondergaard 2013, algorithm 2). Nothing is trained: a run ends after a step."""

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 1, "batch_size": 8}
    first_options: ClassVar[tuple[str, ...]] = ("mel", "iterations")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """As `Vocoder`; ConfigError where hops do not overlap, or segments are shorter than the STFT terms need."""
        super().__init__(config, info)
        if not invertible(self.mel):
            raise ConfigError(
                f"hops of {self.mel.hop_length} samples do not overlap in windows of {self.mel.win_length}, which Griffin-Lim needs; "
                "shorten the hops (--model.hop_length)"
            )
        self.refuse_short_segments(max(n_fft for n_fft, _, _ in losses.RESOLUTIONS) // 2, "the STFT terms")

    def networks(self) -> dict[str, nn.Module]:
        """``generator``, which has no parameters."""
        c = self.config
        return {"generator": excitation.GriffinLim(self.mel, c.iterations, c.updates)}

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Nobody learns."""
        return {}

    def turns(self) -> list[Turn]:
        """``spectra`` measures and changes nothing."""
        return [Turn("spectra", (), self.distances)]

    def distances(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Mel and multi-resolution STFT distances of a batch."""
        real, fake = batch["waveform"], ctx["generator"](self.condition(batch))
        convergence, logarithm = losses.stft_loss(real, fake)
        return {"mel": (self.loss_mel(fake) - self.loss_mel(real)).abs().mean(), "stft": convergence + logarithm}
