"""The contracts of a recipe: one function checks one contract."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml

from ..data.pieces import Passage, Picture, Sound, save_pieces
from ..game.recipe import HasCritic
from ..game.sampling import evaluating, make_samples
from ..plugins import catalogue as plugins
from ..runs.assembly import resolve
from ..runs.folder import describe
from ..runs.run import load
from ..settings.parser import build
from ..training.checkpoint import Checkpoints
from .watched import ContractError, broken, check_devices, difference, played, state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..data.domain import Domain, Samples
    from ..game.recipe import Recipe
    from .bench import Bench

FEW, MANY = 3, 70  # numbers of samples; the noise of generation comes in blocks of 64 rows


def check_prefix(recipe: Recipe, networks: Mapping[str, torch.nn.Module], options: object, key: int = 0) -> None:
    """Sample i of a seed must not depend on the number of samples. ``key`` is the seed. Raises ContractError."""
    few, many = (make_samples(recipe, networks, n, key, options) for n in (FEW, MANY))
    _same_prefix(type(recipe).__name__, few, many)


def _same_prefix(where: str, few: Samples, many: Samples) -> None:
    if found := difference(few.data, many.data[: len(few)], tolerance=1e-5):
        place, one, other = found
        contract = f"sample i of a seed must not depend on n: sample{place} of n = {len(few)} and of n = {len(many)}"
        raise broken(where, contract, one, other)


def check_is_listed_without_torch(bench: Bench) -> None:
    """A new process that loads the plugin and finds the spec does not import torch.

    A local plugin file that holds the spec's target is exempt, because one file cannot be split.
    """
    catalogue = plugins.get_catalogue()
    spec = getattr(catalogue, bench.case.kind)(bench.case.id)
    owner = catalogue.owner(bench.case.kind, bench.case.id)
    if not owner.distribution and spec.target.partition(":")[0] == Path(owner.module).stem:
        return
    script = (
        "import json, sys; given = json.loads(sys.argv[1]); from polygan.plugins import load_catalogue; "
        "catalogue = load_catalogue(allow=given['allow'], files=given['files'], strict=True); "
        "getattr(catalogue, given['kind'])(given['id']); print('torch' in sys.modules)"
    )
    own = {"allow": [owner.name], "files": []} if owner.distribution else {"allow": [], "files": [owner.module]}
    given = json.dumps({**own, "kind": bench.case.kind, "id": bench.case.id})
    done = subprocess.run(
        [sys.executable, "-c", script, given],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or done.stdout.strip() != "False":
        found = "torch among the modules" if not done.returncode else done.stderr.strip().splitlines()[-1]
        contract = (
            f"{owner} must be listed without importing torch (specs are data: import networks in their own module)"
        )
        raise broken(bench.where, contract, "no torch among the modules of a process that lists it", found)


def check_recipe_settings_survive_yaml_and_options(bench: Bench) -> None:
    """Settings are the same after a way through config.yaml and after a way through command-line options."""
    settings = bench.settings
    plain = settings.plain()["model"]
    rest = {name: value for name, value in settings.plain().items() if name not in ("recipe", "model")}
    words = [f"--model.{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in plain.items()]
    for way, again in (
        ("YAML", resolve(bench.case.id, [yaml.safe_load(settings.yaml())])),
        ("options", resolve(bench.case.id, [rest], words)),
    ):
        if found := difference(plain, again.plain()["model"]):
            raise broken(f"{bench.where}, model{found[0]}", f"settings must survive {way}", found[1], found[2])
    kind = type(bench.recipe())
    for config in (settings.model, kind.Sampling()):
        if fields := dataclasses.fields(config):
            try:
                setattr(config, fields[0].name, getattr(config, fields[0].name))
            except dataclasses.FrozenInstanceError:
                continue
            raise broken(bench.where, f"{type(config).__name__} must be frozen", "frozen=True", "it can be assigned to")
    sampling = dataclasses.asdict(kind.Sampling())
    if found := difference(sampling, dataclasses.asdict(build(kind.Sampling, sampling, bench.where))):
        raise broken(f"{bench.where}, Sampling{found[0]}", "options of generation must survive", found[1], found[2])


def check_recipe_terms_are_finite(bench: Bench) -> None:
    """Every loss term of every turn is finite, and so is every parameter after training."""
    trainer = bench.reference
    for name, value in trainer._meter.means().items():
        if not math.isfinite(float(value)):
            contract = f"terms must be finite over the first {bench.iterations} steps"
            raise broken(f"{bench.where}, {name}", contract, "a finite number", float(value))
    for name, value in state(trainer).items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise broken(f"{bench.where}, {name}", "networks must stay finite", "finite numbers", "nan or inf")


def check_recipe_gradients_reach_only_acting_players(bench: Bench) -> None:
    """A turn trains its own players and does not change other players."""
    trainer = bench.reference
    for where, contract, expected, found in trainer.leaks:
        raise broken(f"{bench.where}, {where}", contract, expected, found)
    for (turn, player), norm in trainer.reached.items():
        if not norm > 0:
            contract = f"a gradient must reach an acting player within {bench.iterations} steps"
            raise broken(f"{bench.where}, turn {turn!r}, {player}", contract, "a norm above 0", f"{norm:g}")


def check_recipe_seed_decides(bench: Bench) -> None:
    """The same seed gives bit-identical networks; another seed gives other initial networks."""
    again = state(played(bench.trainer()))
    if found := difference(state(bench.reference), again):
        contract = f"the same seed must give the same networks after {bench.iterations} steps, to the bit"
        raise broken(f"{bench.where}, {found[0][1:]}", contract, found[1], found[2])
    one, other = bench.trainer(seed=0), bench.trainer(seed=1)
    for name, actor in one.actors.items():
        if actor.optimizer is None or not actor.parameters:
            continue
        first, second = (dict(t.actors[name].module.named_parameters()) for t in (one, other))
        if difference(first, second) is None:
            key, value = next(iter(first.items()))
            contract = "another seed must give other initial parameters"
            shown = value.flatten()[0].item()
            raise broken(f"{bench.where}, {name}.{key}", contract, f"not {shown!r} for seed 1 too", repr(shown))


def check_recipe_resumes_to_the_bit(bench: Bench) -> None:
    """A run that stops in the middle and resumes from its checkpoint ends with the networks of an uninterrupted run."""
    k = bench.iterations // 2
    checkpoints = Checkpoints(bench.folder / "resumed", writable=True)
    played(bench.trainer(checkpoints=checkpoints), until=k).save()
    resumed = bench.trainer()
    resumed.restore(checkpoints.load(k))
    if found := difference(state(bench.reference), state(played(resumed))):
        contract = f"stopped after {k} of {bench.iterations} steps and resumed must equal uninterrupted, to the bit"
        raise broken(f"{bench.where}, {found[0][1:]}", contract, found[1], found[2])


def check_recipe_saves_and_loads(bench: Bench) -> None:
    """A run opened from its folder gives the samples of the networks in memory, and so does an exported model."""
    trainer, folder = bench.reference, bench.folder / "runs" / "saved"
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = plugins.get_catalogue()
    describe(folder, bench.settings, bench.domain, bench.splits, trainer.device, trainer.precision, catalogue)
    trainer.checkpoints = Checkpoints(folder / "checkpoints", writable=True)
    trainer.save()
    expected = bench.samples(trainer.networks(), FEW).data
    run = load(folder, device="cpu")
    exported = load(run.export(folder / "exported")[0], device="cpu")
    for way, opened in (("a checkpoint", run), ("an exported model", exported)):
        got = bench.samples(opened.networks, FEW, recipe=opened.recipe).data
        if found := difference(expected, got):
            contract = f"{way} must give the samples that were given before it was written"
            raise broken(f"{bench.where}, sample{found[0]}", contract, found[1], found[2])


def check_recipe_generates_as_many_as_asked(bench: Bench) -> None:
    """``generate`` makes n samples, and the first samples do not depend on n."""
    networks = bench.reference.networks()
    made = {n: bench.samples(networks, n) for n in (1, FEW, MANY)}
    for n, samples in made.items():
        wanted = len(bench.rows(n)) if bench.needs_given else n
        if len(samples) != wanted:
            raise broken(bench.where, f"n = {n} must give as many samples", wanted, len(samples))
    _same_prefix(bench.where, made[FEW], made[MANY])


def check_recipe_generation_follows_the_seed(bench: Bench) -> None:
    """The same seed gives the same samples, another seed gives others (unless the recipe needs something given); networks do not change."""
    trainer = bench.reference
    before = state(trainer)
    first, again, other = (bench.samples(trainer.networks(), 8, seed).data for seed in (0, 0, 1))
    if found := difference(first, again):
        contract = "the same seed must give the same samples, to the bit"
        raise broken(f"{bench.where}, sample{found[0]}", contract, found[1], found[2])
    if not bench.needs_given and difference(first, other) is None:
        raise broken(bench.where, "another seed must give other samples", "others for seed 1", "those of seed 0")
    if found := difference(before, state(trainer)):
        contract = "generating must not change the networks"
        raise broken(f"{bench.where}, {found[0][1:]}", contract, found[1], found[2])


def check_recipe_samples_can_be_written_and_shown(bench: Bench) -> None:
    """The domain writes, draws and measures generated samples, also those of the preview during training."""
    recipe, networks = bench.reference.recipe, bench.reference.networks()
    n, options = recipe.preview()
    if not isinstance(options, recipe.Sampling):
        expected, found = recipe.Sampling.__name__, type(options).__name__
        raise broken(bench.where, "preview() must give a number and options of generation", expected, found)
    preview = bench.job.samples(networks, n, 0, options)
    for name, samples in (("samples", bench.samples(networks, FEW)), ("preview", preview)):
        check_shown(f"{bench.where}, {name}", bench.domain, samples, bench.folder / f"written-{name}")


def check_shown(where: str, domain: Domain, samples: Samples, folder: Path) -> None:
    """The domain writes samples to files, draws them as pieces, and gives each sample one row of finite features."""
    files = domain.write(samples, folder / "files")
    missing = [str(f) for f in files if not Path(f).is_file() or not Path(f).stat().st_size]
    if not files or missing:
        raise broken(where, "write() must return the files that it wrote", "files with content", missing or "none")
    pieces = domain.render(samples)
    wrong = [type(p).__name__ for p in pieces if not isinstance(p, (Picture, Sound, Passage))]
    if not pieces or wrong:
        expected = "at least one Picture, Sound or Passage"
        raise broken(where, "render() must return pieces for a report", expected, wrong or "none")
    for i, piece in enumerate(pieces):
        starts = {"png": b"\x89PNG", "wav": b"RIFF"}
        for key, magic in starts.items():
            data = getattr(piece, key, None)
            if data is not None and not data.startswith(magic):
                raise broken(f"{where}, piece {i}", f"{key} must be a {key.upper()} file", magic, bytes(data[:4]))
    save_pieces(folder / "pieces", pieces)
    features = domain.features(samples)
    if features.dim() != 2 or len(features) != len(samples):
        raise broken(where, "features() must be (n, d)", f"({len(samples)}, d)", tuple(features.shape))
    if not bool(features.isfinite().all()):
        raise broken(where, "features() must be finite", "finite numbers", "nan or inf")


def check_recipe_critic_judges_each_sample(bench: Bench) -> None:
    """`critic`, if the recipe has this method, gives one finite logit for each sample."""
    recipe, rows = bench.reference.recipe, bench.rows(FEW)
    if not isinstance(recipe, HasCritic):
        return
    batch = bench.batch(rows)
    live = bench.reference.networks(averaged=False)
    with evaluating(live), torch.no_grad():
        logits = recipe.critic(live, batch)
    if logits.shape != (len(rows),) or not bool(logits.isfinite().all()):
        contract = "critic() must give a finite logit a sample"
        raise broken(
            bench.where, contract, f"({len(rows)},) finite", f"{tuple(logits.shape)}: {logits.flatten().tolist()[:4]}"
        )


def check_recipe_plays_on_the_meta_device(bench: Bench) -> None:
    """No turn names a device or reads a value inside a step (`check_devices`)."""
    batch = bench.batch(bench.rows(bench.settings.run.batch_size))
    try:
        check_devices(bench.recipe(), copy.deepcopy(batch), iterations=bench.iterations)
    except ContractError as error:
        raise ContractError(f"{bench.where}, {error}") from error
