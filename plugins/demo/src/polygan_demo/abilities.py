"""What a run can do on a page, found out from the public protocol of its recipe and of its domains alone."""

from __future__ import annotations

import mimetypes
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch

from polygan import ConfigError, Domain, Noise, PolyganError, Request, evaluating

from .directions import Directions, principal_components, principal_directions
from .options import Option, options_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from polygan import Run, Samples

LABEL = "label"
"""The option by which recipes with classes take one."""
_BUDGET = 1_024
"""The most samples that are made to find directions."""
_LONGEST = 4_096
"""The most numbers of a latent whose directions are looked for."""
_POINTS = 4_096
"""Latents whose points between latents and samples are looked at, for their principal components."""
_AT_ONCE = 256
_CLASSES = 16
"""Classes, evenly spread, whose points are looked at."""


@runtime_checkable
class HasIntermediate(Protocol):
    """A recipe whose generator first maps latents into a space of its own, in which directions mean more than in that of the latents."""

    def intermediate(self, networks: Mapping[str, nn.Module]) -> nn.Module:
        """The part of the networks whose output (n, d) samples are made from: StyleGAN's mapping network."""
        ...


@dataclass(frozen=True)
class Given:
    """What a recipe takes from a user."""

    text: bool = False
    pictures: tuple[str, ...] = ()
    """Suffixes of files that browsers show as pictures."""
    sounds: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Abilities:
    """What a run can do."""

    from_noise: bool
    latent: tuple[int, ...] | None
    """The shape of the latent of a sample; None: the recipe draws none, or takes none."""
    directions: Directions | None
    why: str
    """Why there are no directions, in a sentence; empty where there are some, or no latents."""
    given: Given | None
    classes: tuple[str, ...]
    """The classes that a user may ask for."""
    options: tuple[Option, ...]
    """The options of generation but for the class."""
    one_by_one: bool
    """Whether the page shows a piece for each sample, so that samples can appear one after the other."""


def abilities_of(run: Run, options: Mapping[str, Any]) -> Abilities:
    """What a run can do with these options of generation. Makes samples to find directions, for at most about 20 seconds."""
    recipe = run.recipe
    from_noise = recipe.given is None or recipe.invents
    offered = options_of(recipe.Sampling)
    shape = latent_shape(run, 2, options) if from_noise else None
    latent = None if shape is None or shape[0] != 2 else shape[1:]
    classes = _classes(run, options) if any(option.name == LABEL for option in offered) and from_noise else ()
    directions, why = _directions(run, latent, classes, options) if latent else (None, "")
    return Abilities(
        from_noise=from_noise,
        latent=latent,
        directions=directions,
        why=why,
        given=None if recipe.given is None else _given(run),
        classes=classes,
        options=tuple(option for option in offered if option.name != LABEL),
        one_by_one=_one_by_one(run, options) if from_noise else True,
    )


class _Asked(Exception):
    """A recipe asks for normal numbers of this shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.shape = shape


class _Asking(Noise):
    def normal(self, n: int, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        raise _Asked((n, *shape))


def device_of(run: Run) -> torch.device:
    """The device of a run's networks."""
    return next((p.device for network in run.networks.values() for p in network.parameters()), torch.device("cpu"))


def latent_shape(run: Run, n: int, options: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape of the latents that ``n`` samples are made from: the first normal numbers that the recipe asks for; None: it asks for none."""
    noise = _Asking("cpu", block=64).reset(0)
    try:
        request = Request(n, noise, run.recipe.Sampling(**options), device_of(run))
        with torch.random.fork_rng(devices=[]), evaluating(run.networks), torch.no_grad():
            run.recipe.generate(run.networks, request)
    except _Asked as asked:
        return asked.shape
    except Exception:  # whatever the recipe cannot do, the page says at the first sample
        return None
    return None


def latents_of(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """The latents (n, ...) that a seed draws in `polygan.Run.generate`."""
    return Noise("cpu", block=64).reset(seed).normal(shape[0], *shape[1:])


class _Mapped(Exception):
    """The intermediate network has made these points."""

    def __init__(self, points: Any) -> None:
        super().__init__()
        self.points = points


def _points(run: Run, network: nn.Module, latents: torch.Tensor, options: Mapping[str, Any]) -> torch.Tensor | None:
    """The output (n, d) of the intermediate network for latents (n, ...), of which no sample is made; None: it has another form."""

    def stop(module: nn.Module, inputs: object, output: object) -> None:
        raise _Mapped(output)

    handle = network.register_forward_hook(stop)
    try:
        run.generate(latents=latents, seed=0, **options)
    except _Mapped as mapped:
        found = mapped.points
        return found.float().cpu() if torch.is_tensor(found) and found.shape[:-1] == (len(latents),) else None
    finally:
        handle.remove()
    return None


@contextmanager
def moved(run: Run, move: torch.Tensor) -> Iterator[None]:
    """All samples that the run makes in this block are moved by ``move`` (d,) in the space of `HasIntermediate`."""
    recipe: object = run.recipe
    assert isinstance(recipe, HasIntermediate)

    def shifted(module: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output + move.to(output)

    handle = recipe.intermediate(run.networks).register_forward_hook(shifted)
    try:
        yield
    finally:
        handle.remove()


def _components(
    run: Run, latent: tuple[int, ...], classes: tuple[str, ...], options: Mapping[str, Any]
) -> Directions | None:
    """The principal components of the space between latents and samples; None where the recipe has no such space."""
    recipe: object = run.recipe
    if not isinstance(recipe, HasIntermediate):
        return None
    network, groups = recipe.intermediate(run.networks), []
    count = min(len(classes), _CLASSES)
    for number in range(max(1, count)):
        label = {LABEL: classes[number * len(classes) // count]} if classes else {}
        whole = latents_of(number, (max(2, _POINTS // max(1, count)), *latent))
        found = [_points(run, network, some, {**label, **options}) for some in whole.split(_AT_ONCE)]
        if any(points is None for points in found):
            return None
        groups.append(torch.cat([points for points in found if points is not None]))
    return principal_components(groups)


def _classes(run: Run, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes of the data, where the recipe makes samples of a class; else none."""
    names = tuple(map(str, run.recipe.info.get("classes") or ()))
    if not names:
        return ()
    try:
        run.generate(1, **{**options, LABEL: names[0]})
    except ConfigError:  # trained without classes
        return ()
    except Exception:  # the page says so at the first sample
        return names
    return names


def _given(run: Run) -> Given:
    domain = run.given_domain
    kinds: dict[str, list[str]] = {"image": [], "audio": [], "": []}
    for suffix in domain.reads:
        kind = (mimetypes.guess_type(f"x{suffix}")[0] or "").partition("/")[0]
        kinds[kind if kind in kinds else ""].append(suffix)
    text = domain.is_text or type(domain).read_text is not Domain.read_text
    return Given(text, tuple(kinds["image"]), tuple(kinds["audio"]), tuple(kinds[""]))


def _one_by_one(run: Run, options: Mapping[str, Any]) -> bool:
    try:
        return len(run.domain.render(run.generate(2, **options))) > 1
    except Exception:  # the page says so at the first sample
        return False


def _directions(
    run: Run, latent: tuple[int, ...], classes: tuple[str, ...], options: Mapping[str, Any]
) -> tuple[Directions | None, str]:
    """The directions of the space between latents and samples, else of the latents; or why there are none."""
    try:
        if (found := _components(run, latent, classes, options)) is not None:
            return found, ""
    except Exception as error:  # of a recipe of a third party: the latents have directions too
        print(f"polygan demo: no intermediate space ({type(error).__name__}: {error})", file=sys.stderr)
    size = torch.Size(latent).numel()
    if size > _LONGEST:
        return None, f"A latent has {size:,} numbers: too many to look for directions."
    bases = latents_of(0, (max(1, min(16, _BUDGET // (min(size, 128) + 1))), size))

    def features(latents: torch.Tensor, number: int) -> torch.Tensor:
        label = {LABEL: classes[number * len(classes) // len(bases)]} if classes else {}
        made: Samples = run.generate(latents=latents.reshape(-1, *latent), seed=0, **{**label, **options})
        return run.domain.features(made).cpu().flatten(1)

    try:
        found = principal_directions(features, bases)
    except Exception as error:  # a domain of a third party, whose features are no numbers; the page goes on without
        said = str(error) if isinstance(error, PolyganError) else f"{type(error).__name__}: {error}"
        print(f"polygan demo: no directions ({said})", file=sys.stderr)
        return None, "No directions were found: the samples could not be compared."
    return found, "" if found else "No directions were found: the samples do not change with the latents."
