"""Samples from networks: by seed, in evaluation mode, in pieces, from noise or from given samples."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from ..errors import ConfigError
from ..seeding import Noise, mix, preserved_generators, seed_everything
from .recipe import HasStream, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import Tensor, nn

    from ..data.domain import Domain, Samples
    from ..data.store import Split
    from .recipe import AnyRecipe


def make_samples(
    recipe: AnyRecipe,
    networks: Mapping[str, nn.Module],
    n: int,
    seed: int = 0,
    options: object = None,
    *,
    given: Samples | None = None,
    domain: Domain | None = None,
) -> Samples:
    """``n`` samples by seed, or a sample for each sample of ``given``. Sample i of a seed does not depend on ``n``.

    Networks are in evaluation mode during the call, and the caller's random generators are restored. ``options`` is an instance
    of the recipe's ``Sampling``; None: its defaults. ``domain`` writes and shows the samples.
    """
    _check_given(recipe, given is not None)
    device, noise, options = _device_of(networks), seeded_noise(seed), options or recipe.Sampling()
    with preserved_generators(device), evaluating(networks), torch.no_grad():
        seed_everything(mix(seed, 1), device)
        made = recipe.generate(networks, Request(n if given is None else len(given), noise, options, device, given))
    return _finished(made, given, domain)


def stream_samples(
    recipe: AnyRecipe,
    networks: Mapping[str, nn.Module],
    pieces: Iterable[Samples],
    seed: int = 0,
    options: object = None,
    *,
    domain: Domain | None = None,
) -> Iterator[Samples]:
    """The samples made from the pieces of one given file, in order, with one piece in memory at a time."""
    _check_given(recipe, True)
    if not isinstance(recipe, HasStream):
        for piece in pieces:
            yield make_samples(recipe, networks, len(piece), seed, options, given=piece, domain=domain)
        return
    device, noise, options = _device_of(networks), seeded_noise(seed), options or recipe.Sampling()
    made = recipe.stream(networks, iter(pieces), Request(1, noise, options, device))
    while True:
        with preserved_generators(device), evaluating(networks), torch.no_grad():
            piece = next(made, None)
        if piece is None:
            return
        yield _finished(piece, None, domain)


def seeded_noise(seed: int) -> Noise:
    """Noise from the CPU's generator, so that a seed gives the same samples on every device."""
    return Noise("cpu", block=64).reset(seed)


def _check_given(recipe: AnyRecipe, there: bool) -> None:
    if not there and recipe.given is not None and not recipe.invents:
        raise ConfigError(
            f"{type(recipe).__name__} makes samples from {recipe.given} and was given none; pass some with given=... or --input PATH"
        )
    if there and recipe.given is None:
        raise ConfigError(f"{type(recipe).__name__} makes samples from noise and takes no input; leave the input out")


def _device_of(networks: Mapping[str, nn.Module]) -> torch.device:
    return next((p.device for net in networks.values() for p in net.parameters()), torch.device("cpu"))


def _finished(made: Samples, given: Samples | None, domain: Domain | None) -> Samples:
    """Samples with their domain, and with the names of the given samples."""
    names = made.names or (given.names if given is not None else ())
    return dataclasses.replace(made, domain=domain or made.domain, names=names)


def given_of(recipe: AnyRecipe, domain: Domain, splits: Mapping[str, Split], n: int) -> Samples | None:
    """The given samples for the first ``n`` samples of a run; None where the recipe can make samples from noise.

    Held-out samples are preferred, since samples that a network was trained on prove little.
    """
    if recipe.given is None or recipe.invents:
        return None
    split = _shown_split(recipe, splits)
    return domain.given(split, split.rows[: min(n, len(split))])


def shown_beside(recipe: AnyRecipe, domain: Domain, splits: Mapping[str, Split], n: int) -> Samples:
    """Real samples to show beside the first ``n`` generated samples, from the same split as `given_of`."""
    split = _shown_split(recipe, splits)
    return domain.real(split, split.rows[: min(n, len(split))])


def _shown_split(recipe: AnyRecipe, splits: Mapping[str, Split]) -> Split:
    held_out = splits["held_out"]
    return held_out if recipe.given is not None and not recipe.invents and len(held_out) else splits["train"]


@contextmanager
def evaluating(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Networks in evaluation mode; each module's mode is restored at the end."""
    modes = [(m, m.training) for network in networks.values() for m in network.modules()]
    for network in networks.values():
        network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def in_chunks(function: Callable[..., Tensor], *inputs: Tensor | None, size: int = 256) -> Tensor:
    """The joined results, on the CPU, of ``function`` over slices of at most ``size`` rows of the inputs.

    An input of None is passed to each call as None.
    """
    n = next(len(x) for x in inputs if x is not None)
    pieces = [function(*(x if x is None else x[i : i + size] for x in inputs)).cpu() for i in range(0, max(n, 1), size)]
    return torch.cat(pieces)
