"""Latents that a caller chooses, in the place of those that a seed draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..errors import ConfigError, one_line
from ..seeding import Noise

if TYPE_CHECKING:
    from .recipe import AnyRecipe


class Latents(Noise):
    """Noise whose first normal numbers are ``values`` (n, ...); further numbers are those of the seed."""

    def __init__(self, values: object, seed: int) -> None:
        super().__init__("cpu", block=64)
        self.reset(seed)
        try:
            self.values = torch.as_tensor(values).detach().cpu()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"latents are no numbers ({one_line(error)}); hand over a tensor (n, latent_dim)"
            ) from None
        self.used = False

    def normal(self, n: int, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The given latents at the first call. ConfigError for latents of another shape."""
        drawn = super().normal(n, *shape, dtype=dtype)
        if self.used:
            return drawn
        self.used = True
        if self.values.shape != drawn.shape:
            wanted = ", ".join(["n", *map(str, shape)])
            raise ConfigError(f"latents have shape {tuple(self.values.shape)}, and this run takes ({wanted})")
        return self.values.to(drawn.dtype)


def count_of(recipe: AnyRecipe, n: int | None, latents: Any) -> int | None:
    """The number of samples: that of the latents where there are latents. ConfigError where latents do not fit the call."""
    if latents is None:
        return n
    if recipe.given is not None and not recipe.invents:
        raise ConfigError(f"{type(recipe).__name__} makes samples from {recipe.given}; leave latents out")
    if not hasattr(latents, "__len__") or not len(latents):
        raise ConfigError("latents hold no row; hand over a tensor (n, latent_dim) with n >= 1")
    if n not in (None, len(latents)):
        raise ConfigError(f"n = {n} and {len(latents)} latents do not fit; leave n out")
    return len(latents)
