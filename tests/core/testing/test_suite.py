"""The conformance checks: what is sound passes, and for each check something broken is caught with both values shown."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS))
import polygan
import toy_gan
from polygan import testing
from polygan.plugins import PluginStatus, load_catalogue, set_catalogue
from polygan.testing import Case, ContractError, parametrize_with_checks

FILES = (TESTS / "toy_gan.py", TESTS / "mirror_gan.py", TESTS / "survey_gan.py")
TOYS = [
    Case("points/mlp", "ring", plugins=FILES),
    Case("points/mirror", "ring", plugins=FILES),
    Case("points/surveyed", "ring", plugins=FILES),
    Case("points", "ring", kind="domain", plugins=FILES),
    Case("ring", kind="dataset", plugins=FILES),
    Case("points/spread", "ring", kind="metric", recipe="points/mlp", plugins=FILES),
]


@parametrize_with_checks(TOYS, {"points:check_domain_refuses_what_is_not_there": "np.load of an empty file: EOFError"})
def test_the_toys_pass(check):
    check()


@pytest.fixture(autouse=True)
def _reset():
    yield
    set_catalogue(None)


def register(**things):
    """A catalogue with the toys, and a plugin ``broken`` with a thing of each kind that is given."""
    catalogue = load_catalogue(allow=[], files=FILES)
    sys.modules["broken"] = types.ModuleType("broken")
    status = PluginStatus("broken", "broken.py", "", "", "loaded")
    specs = {
        "domain": polygan.DomainSpec("points", "broken:domain", ""),
        "recipe": polygan.RecipeSpec("points/broken", "broken:recipe", ""),
        "dataset": polygan.DatasetSpec("broken", "points", "broken:dataset", ""),
        "metric": polygan.MetricSpec("points/broken", "broken:metric", ""),
    }
    for kind, thing in things.items():
        setattr(sys.modules["broken"], kind, thing)
        getattr(catalogue, f"{kind}s")[specs[kind].id] = specs[kind]
        catalogue._owners[kind, specs[kind].id] = status
    set_catalogue(catalogue)


def complaints(check, *args, **kw):
    """The lines of a failure by name of check."""
    with pytest.raises(ContractError) as error:
        check(*args, **kw)
    return dict(line.split(": ", 1) for line in str(error.value).splitlines())


def complaint(case, name):
    """How one check of a case fails."""
    (call,) = (p.values[0] for p in parametrize_with_checks([case]).mark.args[1] if p.id == f"{case.id}-{name}")
    with pytest.raises(ContractError) as error:
        call()
    line = str(error.value)
    assert line.startswith(f"{case.kind} {case.id!r}")
    assert "\n" not in line
    return line


# Recipes


class Toy(toy_gan.MLPGAN):
    pass


def recipe(**methods):
    return type("Broken", (Toy,), methods)


@dataclass(frozen=True)
class Growing(toy_gan.Config):
    def __post_init__(self):
        object.__setattr__(self, "width", self.width + 1)


def lets_the_other_learn(self, ctx, batch):
    ctx["generator"].requires_grad_(True)
    return {"fake": ctx["discriminator"](self._fake(ctx, len(batch["point"]))).mean()}


def shrinks_the_other(self, ctx, batch):
    with torch.no_grad():
        ctx["discriminator"][0].weight.mul_(0.5)
    return Toy.g(self, ctx, batch)


def reaches_nobody(self, ctx, batch):
    return {"nothing": (ctx["discriminator"](self._fake(ctx, len(batch["point"]))) * 0).sum()}


def same_start(self):
    torch.manual_seed(0)
    return Toy.networks(self)


def noise_of_the_clock(self, ctx, n):
    return ctx["generator"](torch.from_numpy(np.random.default_rng().standard_normal((n, 4), dtype="float32")))


def counts_in_itself(self, ctx, batch):
    self.count = getattr(self, "count", 0) + 1
    return {name: self.count * term for name, term in Toy.g(self, ctx, batch).items()}


class Shifted(torch.nn.Linear):
    """What it adds is not saved."""

    def __init__(self):
        super().__init__(4, 2)
        self.register_buffer("shift", torch.zeros(2), persistent=False)

    def forward(self, x):
        if self.training:
            self.shift = self.shift + 1
        return super().forward(x) + self.shift


def unsaved(self):
    return {**Toy.networks(self), "generator": Shifted()}


def one_more(self, networks, request):
    return Toy.generate(self, networks, dataclasses.replace(request, n=request.n + 1))


def centred(self, networks, request):
    data = Toy.generate(self, networks, request).data
    return polygan.Samples(data - data.mean(0))


def own_noise(self, networks, request):
    latents = torch.from_numpy(np.random.default_rng().standard_normal((request.n, 4), dtype="float32"))
    return polygan.Samples(networks["generator"](latents))


def one_sample(self, networks, request):
    return polygan.Samples(networks["generator"](torch.zeros(request.n, 4)))


def counting(self):
    networks = Toy.networks(self)
    networks["generator"].register_buffer("calls", torch.zeros(()))
    return networks


def count_call(self, networks, request):
    networks["generator"].calls += 1
    return Toy.generate(self, networks, request)


def column(self, networks, batch):
    return networks["discriminator"](batch["point"])[:, None]


def no_terms(self, ctx, batch):
    return {}


@pytest.mark.parametrize(
    ("methods", "model", "check", "message"),
    [
        ({"Config": Growing}, {}, "settings_survive_yaml_and_options", r"model.width: .*; expected 18, found 19"),
        ({}, {"poison_at": 0}, "terms_are_finite", r"g/poison: .*; expected a finite number, found nan"),
        (
            {"d": lets_the_other_learn},
            {},
            "gradients_reach_only_acting_players",
            r"turn 'd' at step 0, generator.*found one of",
        ),
        (
            {"g": shrinks_the_other},
            {},
            "gradients_reach_only_acting_players",
            r"turn 'g' .*discriminator.0.weight.*found -?0",
        ),
        (
            {"g": reaches_nobody},
            {},
            "gradients_reach_only_acting_players",
            r"turn 'g', generator: .*a norm above 0, found 0",
        ),
        (
            {"networks": same_start},
            {},
            "seed_decides",
            r"generator.0.weight: another seed .*; expected not (\S+) .*, found \1",
        ),
        ({"_fake": noise_of_the_clock}, {}, "seed_decides", r"the same seed must give .*; expected -?\d.*, found -?\d"),
        (
            {"g": counts_in_itself},
            {},
            "resumes_to_the_bit",
            r"generator.*: stopped after 1 of 2 steps.*; expected -?\d",
        ),
        (
            {"networks": unsaved},
            {},
            "saves_and_loads",
            r"a checkpoint must give the samples .*; expected -?\d.*, found -?\d",
        ),
        ({"generate": one_more}, {}, "generates_as_many_as_asked", r"n = 1 must give as many .*; expected 1, found 2"),
        ({"generate": centred}, {}, "generates_as_many_as_asked", r"sample\[\d, \d\] of n = 3 and of n = 70; expected"),
        (
            {"generate": own_noise},
            {},
            "generation_follows_the_seed",
            r"sample\[\d, \d\]: the same seed must .* to the bit",
        ),
        (
            {"generate": one_sample},
            {},
            "generation_follows_the_seed",
            r"expected others for seed 1, found those of seed 0",
        ),
        (
            {"networks": counting, "generate": count_call},
            {},
            "generation_follows_the_seed",
            r"generator.ema.calls: generating must not change the networks; expected \d+.0, found \d+.0",
        ),
        ({"preview": lambda self: (4, {})}, {}, "samples_can_be_written_and_shown", r"expected Sampling, found dict"),
        ({"critic": column}, {}, "critic_judges_each_sample", r"expected \(3,\) finite, found \(3, 1\)"),
        (
            {},
            {"sync": True},
            "plays_on_the_meta_device",
            r"turn 'd' of Broken at step 0 .*read a value inside the step",
        ),
        ({"g": no_terms}, {}, "terms_are_finite", r"was stopped; expected no exception, found ConfigError: turn 'g'"),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value and " " not in value else "",
)
def test_a_broken_recipe_is_caught(methods, model, check, message):
    register(recipe=recipe(**methods))
    line = complaint(Case("points/broken", "ring", model), f"check_recipe_{check}")
    assert re.search(message, line), line


def test_settings_that_can_be_assigned_to_are_caught():
    @dataclass
    class Loose:
        scale: float = 1.0

    register(recipe=recipe(Sampling=Loose, preview=lambda self: (4, Loose())))
    found = complaints(testing.check_recipe, "points/broken", "ring")
    assert list(found) == ["check_recipe_settings_survive_yaml_and_options"]
    assert "Loose must be frozen; expected frozen=True" in found["check_recipe_settings_survive_yaml_and_options"]


@pytest.mark.parametrize("first", ["import torch", "import json"])
def test_a_listing_that_imports_torch_is_caught(first, tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("")  # found by the fresh process, and quicker to import
    monkeypatch.syspath_prepend(tmp_path)
    spec = "polygan.RecipeSpec('points/lazy', 'toy_gan:MLPGAN', 'one line')"
    plugin = tmp_path / f"listed_{first[7:]}.py"
    plugin.write_text(f"{first}\nimport polygan\n@polygan.hookimpl\ndef polygan_recipes():\n    return [{spec}]\n")
    domain = tmp_path / f"toy_domain_{first[7:]}.py"
    spec = "polygan.DomainSpec('points', 'toy_gan:Points', '')"
    domain.write_text(f"import polygan\n@polygan.hookimpl\ndef polygan_domains():\n    return [{spec}]\n")
    data = tmp_path / "points.npy"
    np.save(data, np.random.default_rng(0).standard_normal((64, 2)))
    check = lambda: testing.check_recipe("points/lazy", data, plugins=[plugin, domain])  # noqa: E731
    if first == "import json":
        check()
        return
    found = complaints(check)
    assert list(found) == ["check_is_listed_without_torch"]
    assert "expected no torch among the modules of a process that lists it, found torch" in found.popitem()[1]


def test_a_turn_that_begins_too_late_is_named():
    register(recipe=recipe(turns=lambda self: [polygan.Turn("g", ("generator",), self.g, start=500)]))
    found = complaints(testing.check_recipe, "points/broken", "ring")
    assert "turn 'g' first comes at step 500" in found["check_recipe_terms_are_finite"]
    assert "model settings that let every turn begin before step 24" in found["check_recipe_terms_are_finite"]


# Domains and data sets


class Points(toy_gan.Points):
    """The toy, sound."""

    def open(self, settings):
        try:
            return super().open(settings)
        except EOFError:
            raise polygan.DataError(f"{settings.source} is empty") from None


def source(**members):
    """A function that opens the ring as a source with other members."""
    kind = type("Broken", (toy_gan.ArraySource,), {k: v for k, v in members.items() if callable(v) or k == "fields"})

    def opened(settings):
        ring = toy_gan.ring(settings)
        made = kind(ring.points, ring.key)
        made.info = members.get("info", made.info)
        return made

    return opened


def points(folder):
    np.save(folder / "points.npy", toy_gan.ring(None).points[:40])
    return folder / "points.npy"


def test_a_sound_domain_and_data_set_pass():
    register(domain=Points, dataset=source())
    testing.check_domain("points", points)
    testing.check_dataset("broken")


def all_six_draws(self, split, rows, draws):
    batch = split.store.gather("point", rows)
    return {"point": batch + torch.as_tensor(draws[:, 4:6], dtype=batch.dtype)}


def test_a_domain_may_ask_for_more_draws():
    register(domain=type("Six", (Points,), {"draws": 6, "collate": all_six_draws}))
    testing.check_domain("points", points)


def unordered(self, split, rows):
    return toy_gan.Points.real(self, split, np.sort(rows))


def as_double(self, samples):
    return {"point": samples.data.double()}


def in_place(self, batch, info):
    batch["point"].mul_(2)
    return batch


def jitter(self, split, rows, draws):
    return {"point": split.store.gather("point", rows) + float(np.random.default_rng().random())}


def centred_batch(self, split, rows, draws):
    batch = split.store.gather("point", rows)
    return {"point": batch - batch.mean(0)}


def two_lines(self, settings):
    try:
        return Points.open(self, settings)
    except polygan.DataError as error:
        raise polygan.DataError(f"{error}\nsorry") from None


@pytest.mark.parametrize(
    ("methods", "check", "message"),
    [
        ({"open": toy_gan.Points.open}, "refuses_what_is_not_there", "an empty file must say so; .*, found EOFError"),
        ({"open": lambda self, s: toy_gan.ring(s)}, "refuses_what_is_not_there", "a missing path .*, found a source"),
        ({"open": two_lines}, "refuses_what_is_not_there", "expected a polygan.DataError of one line, found 2 lines"),
        (
            {"collate": jitter},
            "collates_by_draws_alone",
            r"point\[\d, \d\]: collate\(\) must be a function of rows and draws",
        ),
        ({"collate": centred_batch}, "collates_by_draws_alone", r"a process's share .*; expected -?\d.*, found -?\d"),
        ({"collate": lambda self, s, r, d: {"point": r}}, "collates_by_draws_alone", r"on cpu, found ndarray"),
        ({"prepare": in_place}, "prepares_finite_batches", r"prepare\(\) must not change its input; expected"),
        ({"prepare": lambda self, b, info: {"point": b["point"] / 0}}, "prepares_finite_batches", "must be finite"),
        (
            {"prepare": lambda self, b, info: {"point": b["point"][1:]}},
            "prepares_finite_batches",
            "expected 4, found 3",
        ),
        ({"real": unordered}, "real_samples_are_its_rows", r"sample 0\[\d\]: real\(\) must give row after row"),
        (
            {"batch_of": as_double},
            "real_samples_are_its_rows",
            r"expected torch.float32 \(4, 2\), found torch.float64 \(4, 2\)",
        ),
        (
            {"write": lambda self, s, p: [p / "nothing"]},
            "writes_and_draws",
            "expected files with content, found .*nothing",
        ),
        ({"render": lambda self, s: ["text"]}, "writes_and_draws", "Picture, Sound or Passage, found .'str'."),
        ({"render": lambda self, s: [polygan.Picture(b"GIF89a")]}, "writes_and_draws", r"piece 0: png must be .*GIF8"),
        ({"features": lambda self, s: s.data[:, 0]}, "writes_and_draws", r"expected \(4, d\), found \(4,\)"),
        ({"features": lambda self, s: s.data / 0}, "writes_and_draws", r"features\(\) must be finite"),
        (
            {"features": lambda self, s: torch.rand(len(s), 2, generator=GENERATOR)},
            "features_repeat",
            "must repeat; expected 0",
        ),
        (
            {"features": lambda self, s: torch.ones(len(s), 2)},
            "features_repeat",
            r"rows that differ, found \[1.0, 1.0\]",
        ),
    ],
)
def test_a_broken_domain_is_caught(methods, check, message):
    register(domain=type("Broken", (Points,), methods))
    line = complaint(Case("points", points, kind="domain"), f"check_domain_{check}")
    assert re.search(message, line), line


GENERATOR = torch.Generator().manual_seed(0)


def random_point(self, index):
    return {"point": np.random.default_rng().standard_normal(2).astype("float32")}


@pytest.mark.parametrize(
    ("members", "check", "message"),
    [
        ({"info": {"size": np.int64(2)}}, "source_is_what_it_says", "info must be JSON data; .*int64"),
        ({"info": {"size": (2, 3)}}, "source_is_what_it_says", r"info.size: .*; expected \(2, 3\), found \[2, 3\]"),
        ({"fields": {"point": ("float32", (2,))}}, "source_is_what_it_says", "expected at least one Field, found .'point: tuple'"),
        ({"__len__": lambda self: 0}, "source_is_what_it_says", "expected at least 1, found 0"),
        ({"decode": lambda self, i: {"point": self.points[i].astype("float64")}}, "source_decodes_what_its_fields_say",
         r"sample 0: .*found point is float64 \(2,\) instead of float32"),
        ({"decode": random_point}, "source_decodes_what_its_fields_say", r"sample 0, point\[\d\]: .*; expected -?\d.*found -?\d"),
        ({"fingerprint": lambda self: str(id(object)) + str(np.random.default_rng().random())}, "source_fingerprint_repeats",
         r"must repeat while the data does not change; expected '\d"),
        ({"fingerprint": lambda self: 7}, "source_fingerprint_repeats", "expected a non-empty string, found 7"),
        ({"fields": {"point": polygan.Field("float32", (2,)), "held_out": polygan.Field("uint8", ())},
          "decode": lambda self, i: {"point": self.points[i], "held_out": np.uint8(1)}}, "dataset_is_decoded_into_a_store",
         "found DataError: every sample is held out"),
    ],
)  # fmt: skip
def test_a_broken_data_set_is_caught(members, check, message):
    register(dataset=source(**members))
    line = complaint(Case("broken", kind="dataset"), f"check_{check}")
    assert re.search(message, line), line


# Metrics


def score(value=1.0, floor=None, better="lower", name="points/broken", **more):
    return lambda evaluation: [polygan.Score(name, value, floor, better, **more)]


def spoils(evaluation):
    with torch.no_grad():
        evaluation.networks["generator"][0].bias += 1
    return score()(evaluation)


def trains(evaluation):
    evaluation.networks["generator"].train(not evaluation.networks["generator"].training)
    return score()(evaluation)


def five_lines(evaluation):
    return [*score()(evaluation), polygan.Plot("points/plot", "x", "y", {str(i): [(0, 0)] for i in range(5)})]


def undefined(evaluation):
    raise polygan.DataError("no judge")


@pytest.mark.parametrize(
    ("metric", "check", "message"),
    [
        (
            score(float("nan")),
            "returns_finite_scores",
            "value must be a finite number; expected int or float, found nan",
        ),
        (score(1.0, float("inf")), "returns_finite_scores", "floor must be .*found inf"),
        (score(baseline=(float("inf"), "copy")), "returns_finite_scores", r"a baseline must be .*\(inf, 'copy'\)"),
        (score(baseline=(1.0, "")), "returns_finite_scores", "a baseline must be a finite number and a name"),
        (score(error=-1.0), "returns_finite_scores", "a standard error must be a finite number, .*found -1.0"),
        (score(kind="pairs"), "returns_finite_scores", "kind must be known; .*found 'pairs'"),
        (score(np.float32(1)), "returns_finite_scores", r"value must be .*found np.float32\(1.0\)"),
        (score(better="up"), "returns_finite_scores", "expected 'lower', 'higher' or 'near', found 'up'"),
        (
            score(better="near", floor=None),
            "returns_finite_scores",
            "must have a floor; expected int or float, found None",
        ),
        (score(name="spread"), "returns_finite_scores", "expected points/..., found spread"),
        (five_lines, "returns_finite_scores", "points/plot: .*; expected 1 to 4, found 5"),
        (lambda evaluation: 1.0, "returns_finite_scores", "expected Score and Plot entries, found float"),
        (lambda evaluation: [], "returns_finite_scores", "must return a score or a plot; expected at least 1, found 0"),
        (undefined, "returns_finite_scores", "expected scores, found DataError: no judge"),
        (
            lambda e: score(float(torch.rand(())))(e),
            "repeats",
            r"Score points/broken.value: .*; expected 0.\d+, found 0.\d+",
        ),
        (spoils, "leaves_networks_alone", r"generator.ema.0.bias\[\d+\]: .*; expected -?\d.*, found -?\d"),
        (
            trains,
            "leaves_networks_alone",
            r"in the mode that it found; expected \d+ modules in training mode, found \d+",
        ),
    ],
)
def test_a_broken_metric_is_caught(metric, check, message):
    register(metric=metric)
    case = Case("points/broken", "ring", kind="metric", recipe="points/mlp")
    line = complaint(case, f"check_metric_{check}")
    assert re.search(message, line), line


# The machinery


def test_each_check_has_something_broken_that_it_catches():
    caught = {"check_is_listed_without_torch"}
    for prefix, place, test in (
        ("recipe_", 2, test_a_broken_recipe_is_caught),
        ("domain_", 1, test_a_broken_domain_is_caught),
        ("", 1, test_a_broken_data_set_is_caught),
        ("metric_", 1, test_a_broken_metric_is_caught),
    ):
        (mark,) = test.pytestmark
        caught |= {f"check_{prefix}{values[place]}" for values in mark.args[1]}
    assert {check.__name__ for checks in testing.CHECKS.values() for check in checks} == caught


def test_failures_can_be_expected_by_name_and_reason():
    register(recipe=recipe(critic=column))
    name = "check_recipe_critic_judges_each_sample"
    testing.check_recipe("points/broken", "ring", expected_failures={name: "a column, for now"})
    register(recipe=Toy)
    found = complaints(testing.check_recipe, "points/broken", "ring", expected_failures={name: "a column, for now"})
    assert "expected a failure (a column, for now): drop the expectation" in found[name]
    with pytest.raises(
        polygan.ConfigError,
        match=r"no check 'check_recipe_critic_judges'.*did you mean 'check_recipe_critic_judges_each",
    ):
        testing.check_recipe("points/broken", "ring", expected_failures={"check_recipe_critic_judges": ""})


def test_tests_are_parametrised_by_case_and_check():
    mark = parametrize_with_checks(TOYS[:2], {"points/mlp:check_recipe_seed_decides": "why"}).mark
    assert mark.args[0] == "check"
    parameters = {p.id: p for p in mark.args[1]}
    assert len(parameters) == 2 * len(testing.CHECKS["recipe"])
    (xfail,) = parameters["points/mlp-check_recipe_seed_decides"].marks
    assert (xfail.name, xfail.kwargs["reason"], xfail.kwargs["strict"]) == ("xfail", "why", True)
    assert parameters["points/mirror-check_recipe_seed_decides"].marks == []
    with pytest.raises(polygan.ConfigError, match="no check 'check_seed'"):
        parametrize_with_checks(TOYS[:1], {"check_seed": ""})


def test_a_case_s_own_mistakes_are_no_broken_contract():
    with pytest.raises(polygan.ConfigError, match=r"no recipe 'points/mlq'.*did you mean 'points/mlp'"):
        testing.check_recipe("points/mlq", "ring", plugins=FILES)
    with pytest.raises(polygan.ConfigError, match=r"unknown setting model.widht"):
        testing.check_recipe("points/mlp", "ring", {"widht": 3}, plugins=FILES)
    with pytest.raises(polygan.ConfigError, match=r"metric 'points/spread' needs a recipe"):
        testing.check_metric("points/spread", "", "ring", plugins=FILES)


@pytest.mark.parametrize("name", sorted(p.stem for p in Path(testing.__file__).parent.glob("[!_]*.py")))
def test_pytest_is_imported_by_the_parametrizer_only(name, monkeypatch):
    """A plugin's author may run the checks where pytest is not installed: the module is executed as it would be there."""
    path = Path(testing.__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"polygan.testing.{name}_again", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    monkeypatch.setitem(sys.modules, "pytest", None)
    spec.loader.exec_module(module)
    if name == "suite":
        module.check_dataset("ring", plugins=FILES)
        with pytest.raises(ImportError):
            module.parametrize_with_checks(TOYS)
