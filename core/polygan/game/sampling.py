"""Samples from networks: by seed, in evaluation mode, in pieces, from noise or from given samples."""

from __future__ import annotations

import dataclasses
import itertools
import operator
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import ConfigError, did_you_mean
from ..seeding import Latents, Noise, mix, preserved_generators, seed_everything
from .recipe import HasStream, Request, compared, of_class, sides_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from ..data.domain import Domain, Samples
    from ..data.store import Split
    from ..files import Facts
    from .recipe import AnyRecipe


_PIECE = 4  # the counter that tells the seeds of a file's pieces from other seeds
_SEEDS = 2**63
_MANY = 100_000  # samples; more are refused before work where the memory cannot hold all


def make_samples(
    recipe: AnyRecipe,
    networks: Mapping[str, nn.Module],
    n: int,
    seed: int = 0,
    options: object = None,
    *,
    given: Samples | None = None,
    domain: Domain | None = None,
    latents: object = None,
) -> Samples:
    """``n`` samples by seed, or a sample for each sample of ``given``. Sample i of a seed does not depend on ``n``.

    Networks are in evaluation mode during the call, and the caller's random generators are restored. ``options`` is an instance
    of the recipe's ``Sampling``; None: its defaults. ``domain`` writes and shows the samples. ``latents`` (n, ...) take the place of
    the first normal numbers that the seed draws. Raises ConfigError for a seed that
    no generator takes, and for more samples than the memory can hold.
    """
    _check_given(recipe, given is not None)
    device, noise = device_of(networks), seeded_noise(seed)
    if latents is not None:
        noise = Latents(latents, checked_seed(seed))
    options = recipe.Sampling() if options is None else options
    n = n if given is None else len(given)
    if n > _MANY:
        _check_room(recipe, networks, n)
    with preserved_generators(device), evaluating(networks), torch.no_grad(), _enough_memory(n, device):
        seed_everything(mix(seed, 1), device)
        made = recipe.generate(networks, Request(n, noise, options, device, given))
    if isinstance(noise, Latents) and not noise.used:
        raise ConfigError(f"{type(recipe).__name__} makes samples from no normal latents; leave latents out")
    return _finished(recipe, made, given, domain)


def stream_samples(
    recipe: AnyRecipe,
    networks: Mapping[str, nn.Module],
    pieces: Iterable[Samples],
    seed: int = 0,
    options: object = None,
    *,
    domain: Domain | None = None,
) -> Iterator[Samples]:
    """The samples made from the pieces of one given file, in order, with one piece in memory at a time.

    The first piece has the random numbers of `make_samples` for this seed. Later pieces have others, unless they are of kind ``"frames"``.
    """
    _check_given(recipe, True)
    if not isinstance(recipe, HasStream):
        for k, piece in enumerate(pieces):
            own = mix(seed, _PIECE, k) if k and piece.kind != "frames" else seed
            yield make_samples(recipe, networks, len(piece), own, options, given=piece, domain=domain)
        return
    device, noise = device_of(networks), seeded_noise(seed)
    options = recipe.Sampling() if options is None else options
    made = recipe.stream(networks, iter(pieces), Request(1, noise, options, device))
    moving = False
    for k in itertools.count():
        with preserved_generators(device), evaluating(networks), torch.no_grad():
            seed_everything(mix(seed, 1, k) if k and not moving else mix(seed, 1), device)
            piece = next(made, None)
        if piece is None:
            return
        moving = piece.kind == "frames"
        yield _finished(recipe, piece, None, domain)


def seeded_noise(seed: int) -> Noise:
    """Noise from the CPU's generator, so that a seed gives the same samples on every device."""
    return Noise("cpu", block=64).reset(checked_seed(seed))


def checked_seed(seed: int) -> int:
    """The seed. Raises ConfigError for a seed outside [0, 2^63), which the generators cannot take."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < _SEEDS:
        raise ConfigError(f"seed = {seed!r} is not a whole number in [0, 2^63); use another seed, e.g. 0")
    return number


def _check_room(recipe: AnyRecipe, networks: Mapping[str, nn.Module], n: int) -> None:
    """Refuse more samples than the machine's memory can hold, going by the size of the recipe's preview."""
    if recipe.given is not None and not recipe.invents:
        return
    few, options = recipe.preview()
    made = make_samples(recipe, networks, min(few, _MANY), 0, options)
    values = [made.data] if torch.is_tensor(made.data) else made.data
    each = sum(v.nbytes if torch.is_tensor(v) else sys.getsizeof(v) for v in values) / max(1, len(made))
    try:
        room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return
    if n * each > room / 2:
        most = max(1, int(room / 4 / each))
        raise ConfigError(
            f"n = {n:,} samples of about {each:,.0f} bytes do not fit into the memory of {room / 2**30:,.0f} GiB; "
            f"ask for at most {most:,} at a time, each time with another seed and another folder"
        )


@contextmanager
def _enough_memory(n: int, device: torch.device) -> Iterator[None]:
    """Turn a lack of memory inside the block into a ConfigError that says so."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise ConfigError(
            f"n = {n:,} samples do not fit into the memory of device {device}; ask for fewer at a time, each time with "
            "another seed"
        ) from None


def _check_given(recipe: AnyRecipe, there: bool) -> None:
    if not there and recipe.given is not None and not recipe.invents:
        raise ConfigError(
            f"{type(recipe).__name__} makes samples from {recipe.given} and was given none; pass some with given=... or --input PATH"
        )
    if there and recipe.given is None:
        raise ConfigError(f"{type(recipe).__name__} makes samples from noise and takes no input; leave the input out")


def device_of(networks: Mapping[str, nn.Module]) -> torch.device:
    """The device of the networks; the CPU for networks without parameters."""
    return next((p.device for net in networks.values() for p in net.parameters()), torch.device("cpu"))


def _finished(recipe: AnyRecipe, made: Samples, given: Samples | None, domain: Domain | None) -> Samples:
    """Samples with their domain, the names of the given samples, and what the domain needs to write them."""
    names = made.names or (given.names if given is not None else ())
    made = dataclasses.replace(made, domain=domain or made.domain, names=names)
    return made.domain.complete(made, given, recipe.info) if made.domain is not None else made


def given_of(
    recipe: AnyRecipe, domain: Domain, splits: Mapping[str, Split], n: int, options: object = None, *, start: int = 0
) -> Samples | None:
    """The given samples for ``n`` samples of a run, from number ``start`` on; None where the recipe can make samples from noise.

    Held-out samples are preferred, since samples that a network was trained on prove little. A recipe with two sides gets samples
    of the class that ``options`` translate.
    """
    if recipe.given is None or recipe.invents:
        return None
    if (sides := sides_of(recipe, options)) is not None:
        splits = {name: of_class(split, sides.given) for name, split in splits.items()}
    split = _shown_split(recipe, splits)
    if 0 < len(split) <= start:
        return None
    rows = split.rows[start : min(start + n, len(split))]
    return dataclasses.replace(domain.given(split, rows), origins=split.origins(rows))


def has_truth(recipe: AnyRecipe, domain: Domain, info: Facts) -> bool:
    """Whether what a recipe makes from the given sample of a row can be compared with the real sample of the row."""
    takes = recipe.given is not None and not recipe.invents
    return takes and sides_of(recipe) is None and domain.paired(info)


def shown_beside(
    recipe: AnyRecipe, domain: Domain, splits: Mapping[str, Split], generated: Samples, options: object = None
) -> Samples:
    """Real samples to show beside generated samples, of the same classes in the same order where the data has classes.

    They come from the same split as those of `given_of`. Rows of a grid stay rows of a grid. Beside samples of a recipe with two
    sides stand real samples of the class that ``options`` make.
    """
    split, labels = _shown_split(recipe, compared(recipe, splits, options)), generated.labels
    if labels is None or recipe.given is not None or "label" not in split.store.fields:
        rows = split.rows[: min(len(generated), len(split))]
        return dataclasses.replace(domain.real(split, rows), origins=split.origins(rows))
    of_rows, order = split.store.gather("label", split.rows).numpy(), labels.tolist()
    found = {c: split.rows[of_rows == c] for c in set(order)}
    columns = 0
    if generated.kind == "grid":  # all rows are as long as the smallest class allows
        columns = min(generated.columns, *map(len, found.values()))
        order = [c for c in order[:: generated.columns] for _ in range(columns)] or order
    left = {c: iter(rows) for c, rows in found.items()}
    rows = [row for c in order if (row := next(left[c], None)) is not None] or split.rows[: min(len(order), len(split))]
    rows = np.asarray(rows, dtype=split.rows.dtype)
    samples = dataclasses.replace(domain.real(split, rows), origins=split.origins(rows))
    return dataclasses.replace(samples, kind="grid", columns=columns) if columns else samples


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


def classes_of(conditional: str, info: Facts, remedy: str) -> tuple[str, ...]:
    """The names of the classes that a recipe's networks take; empty for networks without classes.

    ``conditional`` is yes, no, or auto (yes for data with two or more classes). Raises ConfigError for yes with fewer than two
    classes; ``remedy`` tells the user how to get classes: "use labelled data (--data.labels folders)".
    """
    names = tuple(info.get("classes", ()))
    if conditional == "yes" and len(names) < 2:
        raise ConfigError(
            f"model.conditional = yes needs data with two classes or more, and this has {len(names)}: "
            f"{remedy} or --model.conditional auto"
        )
    return names if conditional != "no" and len(names) >= 2 else ()


def class_index(label: str | int | None, classes: Sequence[str]) -> int | None:
    """The index of a class by its name, else by its number. Raises ConfigError for a class that the model lacks."""
    if label is None:
        return None
    if not classes:
        raise ConfigError(f"label = {label!r}: this model was trained without classes; leave the label out")
    if str(label) in classes:  # try names first: classes may be called 0, 1, 10, 2
        return list(classes).index(str(label))
    if isinstance(label, str) and not label.isdecimal():
        names = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
        raise ConfigError(f"label = {label!r}: no such class{did_you_mean(label, classes)}; there are {names}")
    if not 0 <= int(label) < len(classes):
        raise ConfigError(f"label = {label} is outside [0, {len(classes) - 1}], the numbers of the classes")
    return int(label)
