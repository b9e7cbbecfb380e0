"""What a method is: the recipe that names its players and turns, and makes, translates and exports samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from ..errors import ConfigError
from ..seeding import Noise, mix, seed_everything
from .sampling import evaluating

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from ..data.domain import Domain, Samples
    from ..data.source import Batch
    from ..data.store import Split
    from ..settings.trainer import TrainerSettings
    from .protocol import Player, Turn


class Recipe:
    """A method: who plays, in which turns, with which losses, and how samples are generated.

    A subclass sets ``domain``, its frozen ``Config`` and (where generation has options) its frozen ``Sampling`` dataclass,
    and implements `players`, `turns` and `generate`. Networks are built on the CPU; a recipe never names a device.
    """

    domain: ClassVar[str]
    Config: ClassVar[type]
    Sampling: ClassVar[type]
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings that suit the recipe, by their names as options: ``{"steps": 10_000, "data.segment": 32_768}``."""
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format
    training: TrainerSettings | None = None
    """The trainer's settings, there before `players` is called; None where networks are only loaded to generate."""
    translates: ClassVar[bool] = False
    """Whether samples are made from given ones (a vocoder, picture to picture) by `translate`, and not from noise."""

    formats: ClassVar[tuple[str, ...]] = ()
    """Formats of other programs that `export_as` writes."""

    def __init__(self, config: Any, info: Mapping[str, Any]) -> None:
        """``config`` is an instance of ``Config``, ``info`` the facts of the data (`Source.info`)."""
        self.config = config
        self.info = info

    def players(self) -> dict[str, Player]:
        """Fresh players; called once, after the generators were seeded."""
        raise NotImplementedError

    def turns(self) -> Sequence[Turn]:
        """The turns of one iteration, in order."""
        raise NotImplementedError

    def generate(self, networks: Mapping[str, nn.Module], n: int, noise: Noise, options: Any) -> Samples:
        """``n`` samples on the CPU, from networks in evaluation mode and without gradients.

        ``options`` is an instance of ``Sampling``. Sample i of a seed should not depend on ``n``: ``noise`` sees to it if each
        call asks for ``n`` rows. Networks with much to do run in pieces (`in_chunks`).
        """
        raise NotImplementedError

    def translate(self, networks: Mapping[str, nn.Module], inputs: Samples, noise: Noise, options: Any) -> Samples:
        """What becomes of each of the domain's samples ``inputs``, in their order; conditions as for `generate`."""
        raise NotImplementedError

    def export_as(self, networks: Mapping[str, nn.Module], kind: str, path: Path) -> list[Path]:
        """Write networks for other programs, ``kind`` being one of ``formats``; returns the files."""
        raise NotImplementedError

    def convert(self, networks: Mapping[str, nn.Module], source: Path, out: Path, options: Any) -> Iterator[Path]:
        """Translate a file or every file of a folder into the folder ``out``, one at a time; yields the files written.

        Networks are in evaluation mode and without gradients. Raises `polygan.DataError` for what cannot be read.
        """
        raise ConfigError(
            f"{type(self).__name__} makes samples from noise: it has no use for an input ({source}); leave --input out"
        )

    @classmethod
    def import_weights(cls, path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Tensor]]]:
        """Weights of another program as (model settings, `Source.info`, tensors by player and name).

        Raises `polygan.CheckpointError` for what is no such file.
        """
        raise ConfigError(f"{cls.__name__} knows no weights of other programs, and cannot import {path}")

    def sample(
        self, networks: Mapping[str, nn.Module], n: int, seed: int, options: Any = None, inputs: Samples | None = None
    ) -> Samples:
        """`generate` by seed: networks in evaluation mode (restored after), no gradients, noise that fits any device.

        ``options`` is an instance of ``Sampling``; None: its defaults. Sample i of a seed does not depend on ``n``. Given
        ``inputs`` are translated instead, all of them.
        """
        device = next((p.device for net in networks.values() for p in net.parameters()), torch.device("cpu"))
        seed_everything(mix(seed, 1), device)
        with evaluating(networks), torch.no_grad():
            # Noise from the CPU's generator: a seed shows the same samples on every device.
            noise = Noise("cpu", block=64).reset(seed)
            options = self.Sampling() if options is None else options
            if inputs is not None:
                return self.translate(networks, inputs, noise, options)
            return self.generate(networks, n, noise, options)

    def preview(self) -> tuple[int, Any]:
        """How many samples, with which `Sampling` options, the fixed latent batch shows during training."""
        return 64, self.Sampling()

    def notes(self) -> Sequence[str]:
        """What the recipe settled by itself from its data and settings, a sentence each: said at the start, kept in the report."""
        return ()

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor | None:
        """Logits (n,) of a prepared batch for the overfitting signal, or None where there is no single discriminator."""
        return None


def sample_from(
    recipe: Recipe,
    networks: Mapping[str, nn.Module],
    domain: Domain,
    splits: Mapping[str, Split],
    n: int,
    seed: int,
    options: Any = None,
) -> Samples:
    """`Recipe.sample`; a recipe that translates is given what `shown` gives."""
    inputs = shown(recipe, domain, splits, n) if recipe.translates else None
    return recipe.sample(networks, n, seed, options, inputs)


def shown(recipe: Recipe, domain: Domain, splits: Mapping[str, Split], n: int) -> Samples:
    """Real samples to stand beside the first ``n`` generated ones: of the training split, or what a recipe translates.

    The latter are held out where the data is, since what a network was trained on proves little.
    """
    held_out = splits["held_out"]
    split = held_out if recipe.translates and len(held_out) else splits["train"]
    return domain.real(split, split.rows[: min(n, len(split))])


@dataclass(frozen=True)
class NoOptions:
    """Generation without options."""


Recipe.Sampling = NoOptions
