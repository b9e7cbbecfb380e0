"""Settings of every recipe of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polygan import Checked, ranged

Augment = Literal["auto", "ada", "diffaugment", "none"]
MANY = 100_000  # pictures from which `auto` does not augment (Karras et al. 2020, "limited data", section 4)


@dataclass(frozen=True, kw_only=True)
class ImageConfig(Checked, group="model"):
    """The common settings of recipes of pictures."""

    conditional: Literal["auto", "yes", "no"] = "auto"
    """Whether both networks know the class; auto: if the data has two or more classes."""
    augment: Augment = "auto"
    """How pictures are altered before the discriminator: ada (adaptive), diffaugment (always), none; auto: ada below 100,000 pictures."""
    augment_target: float = ranged(0.6, "(0, 1)", hint="0.6 is the paper's")
    """r_t that adaptive augmentation aims at."""
    augment_horizon: float = ranged(500_000, "(0, inf)", hint="500000 is the paper's, 100000 suits short runs")
    """Pictures after which the probability of adaptive augmentation can have gone from 0 to 1."""
    augment_limit: float = ranged(0.8, "(0, 1]", usual=0.8)
    """Largest probability of adaptive augmentation; beyond 0.8 alterations may show in generated pictures (Karras et al. 2020, 2.2)."""
    reuse_fakes: bool = True
    """The generator's turn uses the fakes of the last discriminator step instead of drawing new fakes: the same
    gradient in expectation for one generator pass less, but the graph stays in memory."""
    mode_seeking: float = ranged(0.0, "[0, inf)")
    """Weight of a term that keeps the pictures of a class apart (Mao et al. 2019); 0: none. Without classes the term does nothing."""
