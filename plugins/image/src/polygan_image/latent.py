"""Pictures of a style-based generator: truncation, mixing grids, walks, and the projection of a given picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from polygan import ConfigError, DataError, Noise, Samples, in_chunks, ranged

from .data import given
from .sampling import Sampling, arrange, keys_of_walk, latents, places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from torch import Tensor

    from polygan import Request

    from .networks.stylegan import Generator

_LAYERS = {"coarse": (0, 3), "middle": (3, 7), "fine": (7, None)}  # StyleGAN, figure 3: to 8 pixels, to 32, and above
_NOISE_SEED = 4
_CHUNK = 64


@dataclass(frozen=True, kw_only=True)
class StyleSampling(Sampling):
    """Options of generation."""

    truncation: float = ranged(1.0, "[0, 2]", hint="1 draws as trained, 0.7 is usual")
    """Distance from the mean picture: 1 as trained, 0.7 (usual) for less variety and cleaner pictures, 0 the mean picture."""
    mix: Literal["none", "coarse", "middle", "fine"] = "none"
    """A square grid: row i, column j takes the styles of these layers (to 8 pixels, 16 and 32, above) from the i-th
    picture on the diagonal, all other styles from the j-th."""
    project: str = ""
    """A picture file: the ``n`` pictures lead from the mean picture to the generator's closest picture."""
    project_steps: int = ranged(300, "[1, inf)", usual=300)
    """Optimizer steps of a projection."""

    def __post_init__(self) -> None:
        super().__post_init__()
        ways = {"mix": self.mix != "none", "project": bool(self.project)}
        ways |= {"grid": self.grid, "interpolate": self.interpolate > 0, "walk": self.walk > 0}
        used = [name for name, on in ways.items() if on]
        if len(used) > 1:
            raise ConfigError(f"{' and '.join(used)} each put the pictures into an order; use one of them")


def fixed_noise(generator: Generator) -> list[Tensor]:
    """One noise map (1, 1, r, r) a layer, the same for every picture: walks do not flicker, seeds do not depend on n."""
    device = generator.mean_latent.device
    noise = Noise("cpu").reset(_NOISE_SEED)
    return [noise.normal(1, 1, size, size).to(device) for size in generator.noise_sizes]


def truncate(generator: Generator, w: Tensor, psi: float | Tensor) -> Tensor:
    """w (..., d) moved towards the mean latent: mean + psi (w - mean) (Karras et al. 2019, "StyleGAN", appendix B)."""
    mean = generator.mean_latent.to(w.device)
    return mean + psi * (w - mean)


def generate(
    generator: Generator,
    request: Request,
    classes: Sequence[str],
    counts: Sequence[int] | None = None,
    info: Mapping[str, Any] | None = None,
) -> Samples:
    """``request.n`` pictures (n, C, R, R) float32 in [-1, 1] on the CPU, from a network in evaluation mode.

    ``counts``: how often each of ``classes`` is drawn if the options name no class; a mixing grid draws the classes in turn.
    ``info``: the facts of the data, by which a picture to project is fitted and laid on a background as the data was.
    Raises `ConfigError` for a mixing grid that is no square, a projection without its class, and as `sampling.arrange` does.
    """
    n, noise, options, device = request.n, request.noise, request.options, request.device
    order = arrange(options, n, classes, counts if options.mix == "none" else None)
    if options.project:
        if classes and options.label is None:
            raise ConfigError("project: this model draws classes; name the picture's class with --label")
        label = None if order.labels is None else order.labels[:1]
        target = read_target(generator, options.project, info or {})
        found = project(generator, target, steps=options.project_steps, label=label, shown=n)
        return Samples(found.way, labels=order.labels, classes=classes, kind="frames")

    def to_w(z: Tensor, label: Tensor | None) -> Tensor:
        return generator.mapping(z.to(device), None if label is None else label.to(device)).float()

    if options.walk:
        keys = keys_of_walk(options, n)
        at, t = places(n, keys)
        labels = None if order.labels is None else order.labels[torch.searchsorted(at, torch.arange(keys))]
        w = in_chunks(to_w, noise.normal(keys, generator.mean_latent.numel()), labels)
        w = torch.lerp(w[at], w[(at + 1) % keys], t)
    else:
        w = in_chunks(to_w, latents(options, n, generator.mean_latent.numel(), noise), order.labels)
    styles = truncate(generator, w, options.truncation)[:, None].expand(-1, generator.style_count, -1)
    if options.mix != "none":
        styles, columns = mixed(styles, options.mix)
        order = order._replace(labels=None, kind="grid", columns=columns)  # a cell mixes two classes
    maps = fixed_noise(generator)

    def draw(styles: Tensor) -> Tensor:
        return generator.synthesise(styles.to(device), maps).float().clamp(-1, 1)

    data = in_chunks(draw, styles, size=_CHUNK)
    return Samples(data, labels=order.labels, classes=classes, kind=order.kind, columns=order.columns)


def mixed(styles: Tensor, which: str) -> tuple[Tensor, int]:
    """Styles (k * k, L, d) of a mixing grid, from the first k of k * k styles, and k. `ConfigError` for another number."""
    k = math.isqrt(len(styles))
    if k * k != len(styles) or k < 2:
        near = max(k, 2)
        raise ConfigError(
            f"a mixing grid of {len(styles)} pictures is no square: ask for -n {near**2} or {(near + 1) ** 2}"
        )
    first, last = _LAYERS[which]
    grid = styles[None, :k].expand(k, -1, -1, -1).clone()  # (row, column, L, d), of the column
    grid[:, :, first:last] = styles[:k, None, first:last]
    return grid.flatten(0, 1), k


class Projection(NamedTuple):
    """The result of `project` for m pictures."""

    styles: Tensor
    """(m, L, d), for `Generator.synthesise`."""
    pictures: Tensor
    """(m, C, R, R) in [-1, 1]."""
    distance: Tensor
    """(m,) root-mean-square difference of pixels, in [0, 2]."""
    way: Tensor
    """(shown, C, R, R): the first picture's way from the mean to its result."""


def project(
    generator: Generator,
    target: Tensor,
    *,
    steps: int = 300,
    label: Tensor | None = None,
    shown: int = 1,
    seed: int = 0,
    rate: float = 0.1,
) -> Projection:
    """The styles whose pictures come closest to ``target`` (m, C, R, R) in [-1, 1], one style a layer.

    The method is appendix D of StyleGAN2: Adam from the mean latent, the rate warmed up over a twentieth and cooled down over
    the last quarter, noise on the styles that dies out. The distance is the squared difference over a pyramid of halved
    pictures, because there is no perceptual network here. ``label`` (1,) or (m,) gives classes, if there are any.
    """
    device = generator.mean_latent.device
    target, maps, noise = target.to(device).float(), fixed_noise(generator), Noise("cpu").reset(seed)
    many = 256
    with torch.no_grad():
        labels = None if label is None else label[:1].expand(many).to(device)
        w = generator.mapping(noise.normal(many, generator.mean_latent.numel()).to(device), labels)
        centre, spread = w.mean(0), (w - w.mean(0)).square().sum(1).mean().sqrt()
    styles = centre.expand(len(target), generator.style_count, -1).clone().requires_grad_()
    optimizer = torch.optim.Adam([styles], rate, betas=(0.9, 0.999))
    kept = set(np.linspace(0, steps, shown).round().astype(int).tolist()) if shown > 1 else {steps}
    way = []
    with torch.enable_grad():
        for step in range(steps):
            if step in kept:
                way.append(_draw(generator, styles[:1], maps))
            t = step / steps
            cool = min(1.0, (1 - t) / 0.25)
            optimizer.param_groups[0]["lr"] = (
                rate * (0.5 - 0.5 * math.cos(cool * math.pi)) * min(1.0, (t + 1 / steps) / 0.05)
            )
            shake = spread * 0.05 * max(0.0, 1 - t / 0.75) ** 2 * noise.normal(*styles.shape).to(device)
            images = generator.synthesise(styles + shake, maps)
            optimizer.zero_grad()
            styles.grad = torch.autograd.grad(pyramid_distance(images, target).sum(), styles)[0]
            optimizer.step()
    final = _draw(generator, styles, maps)
    way += [final[:1]] * max(1, shown - len(way))
    distance = (final - target.cpu()).square().mean((1, 2, 3)).sqrt()
    return Projection(styles.detach(), final, distance, torch.cat(way)[:shown] if shown > 1 else final[:1])


@torch.no_grad()
def _draw(generator: Generator, styles: Tensor, maps: list[Tensor]) -> Tensor:
    return generator.synthesise(styles, maps).float().clamp(-1, 1).cpu()


def pyramid_distance(a: Tensor, b: Tensor) -> Tensor:
    """(n,) mean squared difference of pictures (n, C, H, W), averaged over halvings of both down to 4 pixels."""
    values = []
    while min(a.shape[2:]) >= 4:
        values.append((a - b).square().mean((1, 2, 3)))
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return torch.stack(values).mean(0)


def read_target(generator: Generator, path: str, info: Mapping[str, Any]) -> Tensor:
    """A picture file as (1, C, R, R) in [-1, 1], fitted as the data was. `DataError` names a file that cannot be read."""
    own = {name: info[name] for name in ("fit", "background", "dtype", "window") if name in info}
    size = generator.resolution
    try:
        return given.read(Path(path), {**own, "channels": generator.image_bias.shape[1], "height": size, "width": size})
    except (DataError, OSError) as error:
        raise DataError(f"project = {path}: {getattr(error, 'strerror', None) or error}") from None
