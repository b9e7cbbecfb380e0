"""Settings that the recipes of pictures share, and how they are checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from polygan import ConfigError, did_you_mean

Augment = Literal["auto", "ada", "diffaugment", "none"]
MANY = 100_000  # pictures from which `auto` does not augment (Karras et al. 2020, "limited data", section 4)


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """What every recipe of pictures has; `check` refuses what is out of range."""

    conditional: Literal["auto", "yes", "no"] = "auto"
    """Whether classes are told to both networks; auto: if the data has two or more."""
    augment: Augment = "auto"
    """How pictures are altered before the discriminator: ada (adaptive), diffaugment (always), none; auto: ada below 100,000 pictures."""
    augment_target: float = 0.6
    """r_t that adaptive augmentation aims at, (0, 1)."""
    augment_horizon: float = 500_000
    """Pictures after which its probability could have gone from 0 to 1, > 0 and finite."""
    augment_limit: float = 0.8
    """Its largest probability, (0, 1]; beyond 0.8 the alterations may begin to show in what is generated (Karras et al. 2020, section 2.2)."""
    reuse_fakes: bool = True
    """The generator's turn uses the fakes of the last discriminator step instead of drawing others: the same
    gradient in expectation for one generator pass less, at the cost of keeping its graph meanwhile."""
    mode_seeking: float = 0.0
    """Weight of a term that keeps the pictures of a class apart (Mao et al. 2019), >= 0; 0: none. Without classes it does nothing."""

    def __post_init__(self) -> None:
        check_choices(self)
        check_least(self, 0, "mode_seeking")
        check_range(self, "augment_target", 0 < self.augment_target < 1, "(0, 1); 0.6 is the paper's")
        inside = 0 < self.augment_horizon < math.inf
        check_range(self, "augment_horizon", inside, "(0, inf); 500000 is the paper's, 100000 suits short runs")
        check_range(self, "augment_limit", 0 < self.augment_limit <= 1, "(0, 1]; 0.8 is usual")


def check_choices(config: Any, group: str = "model.") -> None:
    """Refuse a value that its field's Literal does not list."""
    for name, hint in get_type_hints(type(config)).items():
        value, known = getattr(config, name), get_args(hint)
        if get_origin(hint) is Literal and value not in known:
            meant = did_you_mean(str(value), known)
            raise ConfigError(f"{group}{name} = {value!r}{meant}; known are {', '.join(known)}")


def check_range(config: Any, name: str, inside: bool, text: str) -> None:
    """Refuse a value that is not ``inside`` the range that ``text`` names."""
    if not inside:
        raise ConfigError(f"model.{name} = {getattr(config, name)} is outside {text}")


def check_least(config: Any, least: float, *names: str) -> None:
    """Refuse fields below ``least`` or not finite."""
    for name in names:
        value = getattr(config, name)
        if not least <= value < math.inf:
            raise ConfigError(f"model.{name} = {value} must be finite and at least {least}")


def check_rates(config: Any, usual: str) -> None:
    """Refuse a learning rate outside (0, 1] and Adam's decays outside [0, 1)."""
    check_range(config, "learning_rate", 0 < config.learning_rate <= 1, f"(0, 1]; {usual} is usual")
    for name in ("beta1", "beta2"):
        if hasattr(config, name):
            check_range(config, name, 0 <= getattr(config, name) < 1, "[0, 1)")
