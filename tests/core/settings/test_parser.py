"""Settings come from files and options in their order, and each mistake is one line with the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
import yaml

from polygan import ConfigError, DataSettings
from polygan.settings.parser import SettingsParser, build, option_types, read_yaml
from polygan.settings.words import read_words


@dataclass(frozen=True)
class Model:
    """A model."""

    latent_dim: int = 100
    """Size of the latent, >= 1."""
    loss: Literal["minimax", "hinge"] = "minimax"
    """Loss."""
    label: str | int | None = None
    """A class."""
    widths: tuple[int, ...] = (1, 2)
    """Widths."""
    residual: bool = False
    """Whether."""

    def __post_init__(self):
        if self.latent_dim < 1:
            raise ConfigError(f"model.latent_dim = {self.latent_dim} is too small; 64 to 128 is usual")


@pytest.fixture
def parser():
    return SettingsParser("points/x", Model, DataSettings, {"steps": 77})


def test_layers_and_options_win_in_order(parser):
    layers = [{"steps": 1, "model": {"latent_dim": 3}}, {"model": {"loss": "hinge"}, "data": "here"}]
    settings = parser.parse(layers, ["--model.latent_dim", "5", "--data", "there", "--compile", "--no-deterministic"])
    assert settings.model == Model(5, "hinge")
    assert settings.data.source == "there"
    assert (settings.run.steps, settings.run.compile, settings.run.deterministic) == (1, True, False)
    assert parser.parse([{}]).run.steps == 77


def test_yaml_reproduces_the_settings(parser):
    settings = parser.parse([{"metrics": ["a/b"], "model": {"widths": (4, 5), "label": "3"}}], ["--name", "x y"])
    assert parser.parse([yaml.safe_load(settings.yaml())]) == settings
    assert yaml.safe_load(settings.yaml())["model"]["widths"] == [4, 5]


def test_forms_of_options(parser):
    for words in (["--batch_size", "8"], ["--batch-size=8"], ["--batch_size=8"]):
        assert parser.parse([], words).run.batch_size == 8
    run = parser.parse([], ["--metrics", "a/b", "c/d", "--compile", "false"]).run
    assert run.metrics == ("a/b", "c/d")
    assert run.compile is False
    assert parser.parse([], ["--model.residual"]).model.residual is True
    assert parser.parse([], ["--model.residual", "--no-model.residual"]).model.residual is False
    for words in (["4", "5", "--seed", "3"], ["[4, 5]"]):
        assert parser.parse([], ["--model.widths", *words]).model.widths == (4, 5)
    assert parser.parse([], ["--model.widths=4", "--metrics=a/b"]).model.widths == (4,)


@pytest.mark.parametrize(
    ("layer", "words", "message"),
    [
        ({"stepz": 3}, [], r"unknown setting stepz .*did you mean 'steps'"),
        ({"model": {"latent": 3}}, [], r"unknown setting model.latent .*did you mean 'model.latent_dim'"),
        (
            {},
            ["--model.latnt_dim", "3"],
            r"unknown option --model.latnt_dim of polygan train points/x \(did you mean --model.latent_dim\?\); `polygan .* --help all`",
        ),
        ({}, ["--latent_dim", "3"], r"did you mean --model.latent_dim"),
        ({}, ["--no-residul"], r"did you mean --model.residual"),
        ({}, ["--out", "x"], r"unknown option --out of polygan train points/x \(did you mean --runs\?\)"),
        ({}, ["--widths", "x"], r"did you mean --model.widths"),
        ({"steps": "many"}, [], r"steps = many is not of the right type; it takes int"),
        ({"steps": 2.5}, [], r"steps = 2.5 is not of the right type; it takes int"),
        ({"steps": 0}, [], r"steps = 0 is too small; the least is 1"),
        ({"seed": -1}, [], r"seed = -1 is outside .*from 0 to 2"),
        (
            {},
            ["--precision", "bf17"],
            r"precision = bf17 is unknown \(did you mean 'bf16'\?\); known are auto, fp32, bf16, fp16",
        ),
        ({"model": {"loss": "l3"}}, [], r"model.loss = l3 is unknown; known are minimax, hinge"),
        ({"model": {"latent_dim": 0}}, [], r"model.latent_dim = 0 is too small"),
        ({"model": 3}, [], r"model = 3 is not a group"),
        ({"data": {"held_out": 0.95}}, [], r"data.held_out = 0.95 is outside"),
        ({"name": "../x"}, [], r"name = '\.\./x' is not a folder name"),
        ({"name": ".."}, [], r"is not a folder name"),
        ({"name": "a/b"}, [], r"is not a folder name"),
        ({}, ["--steps"], r"--steps needs a value"),
        ({}, ["steps", "3"], r"unexpected 'steps'"),
        ({}, ["--name", "--steps", "3"], r"--name needs a value; a value that begins with - is written --name=--steps"),
        ({}, ["--metrics", "--steps", "3"], r"--metrics needs a value"),
        ({}, ["--seed", "-1"], r"seed = -1 is outside .*from 0 to 2"),
        ({}, ["--steps", "nan"], r"steps = nan is not of the right type"),
    ],
)
def test_mistakes_are_one_line_with_the_remedy(parser, layer, words, message):
    with pytest.raises(ConfigError, match=message) as error:
        parser.parse([layer], words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: [", "is not YAML"),
        (b"- 1", "holds a list"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, r"cannot be read \(No such"),
    ],
)
def test_bad_settings_files(tmp_path, text, message):
    path = tmp_path / "settings.yaml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)


def test_options_of_generation():
    def read(*words):
        return build(Model, read_words(words, option_types(Model))[0], "x")

    assert read("--label", "cat", "--residual", "--latent-dim=7") == Model(7, label="cat", residual=True)
    assert read("--label", "3").label == "3"  # text comes first
    for word in ("*", "@home", "yes", "2024-01-01"):  # names, whatever YAML thinks of them
        assert read("--label", word).label == word
    with pytest.raises(ConfigError, match=r"latent_dim = \* is not of the right type; it takes int"):
        read("--latent_dim", "*")
    with pytest.raises(ConfigError, match=r"unknown option 'lable' of x"):
        build(Model, {"lable": 3}, "x")
    with pytest.raises(ConfigError, match=r"latent_dim = q is not of the right type"):
        build(Model, {"latent_dim": "q"}, "x")


def test_a_recipe_with_unknown_defaults_is_refused():
    with pytest.raises(ConfigError, match="defaults that do not exist: stepz"):
        SettingsParser("points/x", Model, DataSettings, {"stepz": 1})


def test_a_recipe_sets_defaults_of_its_groups_which_every_way_in_overrides():
    own = {"steps": 5, "data.held_out": 0.3, "model.latent_dim": 9}
    parser = SettingsParser("points/x", Model, DataSettings, own)
    for settings in (
        parser.parse([{"data": "here", "model": {"loss": "hinge"}}]),
        parser.parse([], ["--data", "here"]),
    ):
        assert (settings.data.source, settings.data.held_out, settings.model.latent_dim) == ("here", 0.3, 9)
        assert parser.parse([yaml.safe_load(settings.yaml())]) == settings
    assert parser.parse([{"data": {"held_out": 0.2}}], ["--model.latent_dim", "4"]).data.held_out == 0.2
    assert parser.parse([{"model": {"latent_dim": 8}}], ["--model.latent_dim", "4"]).model.latent_dim == 4
    assert "default: 0.3" in parser.help(everything=True)


@pytest.mark.parametrize("name", ["steps", "data.held_out", "model.loss"])
def test_a_recipe_with_defaults_of_the_wrong_type_is_refused(name):
    with pytest.raises(ConfigError, match=f"the defaults of recipe 'points/x' do not fit: {name} = x is (not of|unkn)"):
        SettingsParser("points/x", Model, DataSettings, {name: "x"})


def test_help_all_names_every_setting_with_its_meaning_its_range_and_no_usage(parser):
    text = " ".join(parser.help(everything=True).split())
    for name in parser.types:
        assert f"--{name} " in text or f"--[no-]{name} " in text
    assert "Size of the latent" in text
    assert "Share of the samples that training does not see and scores use. ([0, 0.9]; default: 0.1)" in text
    assert "--model.widths INT ... Widths. (default: 1 2)" in text
    assert "usage" not in text


def test_help_shows_the_ten_options_that_people_set_first_and_where_the_others_are(parser):
    text = parser.help()
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    assert shown == [
        "--data", "--steps", "--batch_size", "--seed", "--precision", "--device", "--name", "--evaluate_every",
        "--model.latent_dim", "--model.loss",
    ]  # fmt: skip
    assert f"`polygan train points/x --help all` shows all {len(parser.types)} options." in text
    named = SettingsParser("points/x", Model, DataSettings, {}, first=["residual", "gone"]).help()
    assert "--[no-]model.residual" in named
    assert "--model.loss" not in named
