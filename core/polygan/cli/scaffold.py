"""`polygan new NAME`: a plugin to start from, as a distribution of its own that can be installed, typed and tested.

Without a domain the plugin brings one: rows of numbers, a data set that is made up, an MLP GAN and a score, so that it trains
at once with polygan alone, and writing it imports no torch.

With a domain it brings an MLP GAN for that domain. The core knows no domain, and a recipe is told only `Source.info`, so
what samples look like is seen in a few real ones: the first of the domain's named data sets that opens is decoded, prepared
and given to `Domain.batch_of`. The field whose numbers are `Samples.data` is what is learned. Each length of its shape becomes
the first entry of `info` that has this value and is not used yet, or is written down as a number; since that is a guess, the
recipe compares the shape of each batch. Domains whose samples are no float tensor of one shape (texts, sounds of different
lengths) are refused: no MLP generates them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import ConfigError
from ..hookspecs import API_VERSION
from ..plugins.catalogue import get_catalogue
from ..runs.launch import building, sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..plugins.catalogue import Catalogue

LONGEST = 40
_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
_LOOK = 8  # samples that are decoded to see what a domain's look like

COMMON = {
    "pyproject.toml": "pyproject.toml",
    ".gitignore": "gitignore",
    "src/{package}/mlp.py": "mlp.py",
}
OWN = {
    "README.md": "own/README.md",
    "src/{package}/__init__.py": "own/init.py",
    "src/{package}/domain.py": "own/domain.py",
    "src/{package}/datasets.py": "own/datasets.py",
    "src/{package}/metrics.py": "own/metrics.py",
    "tests/test_{module}.py": "own/test.py",
}
JOINED = {
    "README.md": "joined/README.md",
    "src/{package}/__init__.py": "joined/init.py",
    "tests/test_{module}.py": "joined/test.py",
}


@dataclass(frozen=True)
class Scaffold:
    """What was written."""

    folder: Path
    files: tuple[Path, ...]
    recipe: str
    """Id of the recipe, once the plugin is installed."""
    data: str
    """Id of a data set that the recipe can be tried on."""


@dataclass(frozen=True)
class Look:
    """What samples of an installed domain are: field ``field`` of a batch, of a shape with one expression a length."""

    data: str
    field: str
    lengths: tuple[str, ...]


def new(name: str, out: str | Path = "", domain: str = "", catalogue: Catalogue | None = None) -> Scaffold:
    """Write the plugin ``polygan-NAME`` into ``out`` (empty: ``./polygan-NAME``), with a domain of its own, or for ``domain``.

    Raises `polygan.ConfigError`, before anything is written, for a name that no distribution can have or that is taken, for a
    folder that is not empty, and for a domain that is not installed or whose samples an MLP cannot generate.
    """
    catalogue = catalogue or get_catalogue()
    _check_name(name)
    if domain:
        catalogue.domain(domain)
    _check_free(name, domain, catalogue)
    folder = _folder(Path(out).expanduser() if str(out) else Path(f"polygan-{name}"))
    words = _words(name, domain, catalogue)
    files = {"src/{package}/py.typed": ""}
    for path, template in (COMMON | (JOINED if domain else OWN)).items():
        text = resources.files("polygan.cli").joinpath("templates", f"{template}.template").read_text("utf-8")
        files[path] = Template(text).substitute(words)
    texts = {path.format(**words): text for path, text in sorted(files.items())}
    _write(folder, texts)
    return Scaffold(folder, tuple(folder / path for path in texts), words["recipe"], words["data"])


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write all files or none: a killed process leaves no half plugin that blocks the folder."""
    sweep(folder.parent)
    # Whoever works in a folder, or reaches it by a link, would not see another folder in its place.
    kept = folder.is_dir() and (folder.is_symlink() or folder.samefile(Path.cwd()) or os.path.ismount(folder))
    try:
        with building(folder / "plugin" if kept else folder) as place:
            for path, text in texts.items():
                file = place / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, "utf-8")
            if kept:
                for entry in list(place.iterdir()):
                    entry.rename(folder / entry.name)
        if kept:
            (folder / "plugin").rmdir()
    except FileExistsError:
        raise ConfigError(f"{folder} exists and is not empty: name another folder with --out, or empty it") from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}): name another folder with --out") from None


def _check_name(name: str) -> None:
    if re.fullmatch(_NAME, name) and len(name) <= LONGEST and not name.startswith("polygan-") and name != "polygan":
        return
    better = re.sub(r"^(polygan(-|$))+", "", re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))
    better = better.lstrip("-0123456789")[:LONGEST].rstrip("-")
    hint = f" (did you mean {better!r}?)" if better else ""
    raise ConfigError(
        f"a plugin cannot be named {name!r}{hint}: use at most {LONGEST} of a-z, 0-9 and single hyphens between them, beginning "
        "with a letter; 'polygan-' is put in front"
    )


def _check_free(name: str, domain: str, catalogue: Catalogue) -> None:
    """Refuse a name that an installed plugin, distribution, package or id has: both could not be installed together."""
    holder = next((str(p) for p in catalogue.plugins if p.name.partition(" (")[0] == name), "")
    wanted = [("recipe", f"{domain}/{name}")] if domain else [("domain", name), ("dataset", f"{name}-example")]
    for kind, id in wanted:
        if not holder and id in catalogue.table(kind):
            holder = f"{kind} {id!r} of {catalogue.owner(kind, id)}"
    package = _package(name)
    if not holder and any(True for _ in metadata.distributions(name=f"polygan-{name}")):
        holder = f"the installed distribution 'polygan-{name}'"
    if not holder and importlib.util.find_spec(package) is not None:
        holder = f"the installed package {package!r}"
    if holder:
        other = f"my-{name}"[:LONGEST].rstrip("-")
        joins = f"; `polygan new {other} --domain {name}` brings a recipe for it" if name in catalogue.domains else ""
        raise ConfigError(f"the name {name!r} is taken by {holder}: choose another, e.g. {other!r}{joins}")


def _folder(folder: Path) -> Path:
    if folder.is_dir():
        sweep(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder} exists and is not empty: name another folder with --out, or empty it")
    if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
        raise ConfigError(f"{folder} exists and is no folder: name another one with --out")
    return folder


def _package(name: str) -> str:
    return f"polygan_{name.replace('-', '_')}"


def _words(name: str, domain: str, catalogue: Catalogue) -> dict[str, str]:
    """What stands for each placeholder of the templates."""
    camel, package, quoted = "".join(part.title() for part in name.split("-")), _package(name), '"{}"'.format
    needed = [("polygan", __version__)]
    words = {
        "name": name,
        "camel": camel,
        "package": package,
        "module": name.replace("-", "_"),
        "api": str(API_VERSION),
    }
    words["distribution"] = f"polygan-{name}"
    if domain:
        look = see(domain, catalogue)
        owner = catalogue.owner("domain", domain)
        if owner.distribution != "polygan":
            needed.append((owner.distribution, owner.version))
        lengths = ", ".join(look.lengths) + ("," if len(look.lengths) == 1 else "")
        words |= {"domain": domain, "recipe": f"{domain}/{name}", "data": look.data}
        words |= {"field": look.field, "shape": lengths, "preview": "64"}
        words["statistics"] = "torch.zeros(self.shape), torch.ones(self.shape)"
        words["summary"] = f"{camel} for polygan: an MLP GAN for the domain {domain}"
    else:
        words |= {"domain": name, "recipe": f"{name}/mlp", "data": f"{name}-example", "domain_class": f"{camel}Domain"}
        words |= {"field": "row", "shape": 'info["columns"],', "preview": "1000"}
        words["statistics"] = 'torch.tensor(self.info["mean"]), torch.tensor(self.info["scale"])'
        words["summary"] = f"{camel} for polygan: rows of numbers and an MLP GAN"
    words["requirements"] = ", ".join(quoted(requirement(*one)) for one in needed)
    words["first_party"] = ", ".join(map(quoted, ("polygan", package)))
    return words


def requirement(distribution: str, version: str) -> str:
    """The versions that are taken to keep what ``version`` offers: ``x>=0.3,<0.4`` for 0.3.1, ``x>=2.3,<3`` for 2.3.1."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if not numbers:
        return distribution
    major, minor = map(int, numbers.groups())
    public = version.partition("+")[0]
    least = f"{major}.{minor}" if re.fullmatch(r"[\d.]+", public) else public  # 0.3 would exclude 0.3.0.dev1
    return f"{distribution}>={least},<{f'0.{minor + 1}' if major == 0 else major + 1}"


def see(domain: str, catalogue: Catalogue) -> Look:
    """What samples of an installed domain look like, seen in a named data set of it; imports torch and the domain.

    Raises `polygan.ConfigError` where no such set opens, or the samples are no float tensor of one shape.
    """
    owner = catalogue.owner("domain", domain)
    if not owner.distribution:
        raise ConfigError(
            f"domain {domain!r} comes from {owner}, a local file that no distribution can require: make it a package first"
        )
    kind, reasons = catalogue.resolve(catalogue.domain(domain)), []
    for spec in (s for s in catalogue.datasets.values() if s.domain == domain):
        try:
            with tempfile.TemporaryDirectory(prefix="polygan-new-") as cache:
                settings = catalogue.data_settings(spec)(source=spec.id, cache=cache)
                found = _look(kind(), catalogue.resolve(spec)(settings), settings)
        except Exception as error:  # whatever a plugin raises; the next set may open
            reasons.append(f"{spec.id}: {' '.join(str(error).split()) or type(error).__name__}")
            continue
        if isinstance(found, str):
            raise ConfigError(
                f"domain {domain!r} gets no recipe from a scaffold: {found} (seen in {spec.id!r}), and an MLP generates float "
                "tensors of one shape; write one by CONTRIBUTING.md, or leave --domain out"
            )
        return Look(spec.id, *found)
    raise ConfigError(
        f"what samples of domain {domain!r} look like cannot be seen: "
        f"{'; '.join(reasons) or 'it has no named data set'}: install one of its data sets, or leave --domain out"
    )


def _look(domain: Any, source: Any, settings: Any) -> tuple[str, tuple[str, ...]] | str:
    """The field to learn with the lengths of its shape as expressions of ``info``, or why an MLP cannot learn it."""
    import numpy as np
    import torch

    from ..data.build import build_store
    from ..data.source import Source
    from ..data.store import split_store

    class Few(Source):
        fields, info = source.fields, source.info

        def __len__(self) -> int:
            return min(_LOOK, len(source))

        def fingerprint(self) -> str:
            return source.fingerprint()

        def decode(self, index: int) -> Mapping[str, np.ndarray]:
            return source.decode(index)

    split = split_store(build_store(Few(), settings, progress=False, workers=1), 0)["train"]
    samples = domain.real(split, split.rows)
    data = samples.data
    if not isinstance(data, torch.Tensor) or not data.is_floating_point() or data.dim() < 2:
        what = f"{data.dtype} {tuple(data.shape)}" if isinstance(data, torch.Tensor) else f"a {type(data).__name__}"
        return f"its samples are {what}"
    judged = domain.batch_of(samples) or {}
    draws = np.full((len(split), domain.draws), 0.5)
    batch = domain.prepare(domain.collate(split, split.rows, draws), split.store.info)
    fields = [name for name, value in judged.items() if torch.equal(value, data) and name in batch]
    fields = [name for name in fields if batch[name].shape == data.shape and batch[name].dtype == data.dtype]
    if not fields:
        return f"its samples are no field of a batch, which has {', '.join(batch)}"
    shape = tuple(data.shape[1:])
    return fields[0], lengths(shape, {k: v for k, v in split.store.info.items() if k != "count"})


def lengths(shape: tuple[int, ...], info: Mapping[str, Any]) -> tuple[str, ...]:
    """Each length of a shape as the first entry of ``info`` that equals it and is not used yet, or else as a number."""
    free = [key for key, value in info.items() if type(value) is int]
    expressions = []
    for length in shape:
        key = next((k for k in free if info[k] == length), None)
        if key is not None:
            free.remove(key)
        expressions.append(str(length) if key is None else f'info["{key}"]')
    return tuple(expressions)
