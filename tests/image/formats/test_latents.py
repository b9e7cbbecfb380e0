"""Pictures from latents in other programs: the pictures of `generate` for any number of latents, in ONNX and in torch's programs."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import polygan
from polygan import CheckpointError, ConfigError, Noise, make_samples
from polygan.cli import command_line
from polygan.plugins import set_catalogue
from polygan_image import dcgan, polygan_formats, polygan_recipes, r3gan, sngan, stylegan
from polygan_image.formats import latents

NARROW = {"generator_width": 4, "discriminator_width": 4, "latent_dim": 5}
STYLE = {"channel_base": 64, "channel_max": 4, "latent_dim": 5}
RECIPES = {
    "DCGAN": (dcgan, NARROW),
    "SNGAN": (sngan, NARROW),
    "R3GAN": (r3gan, {**NARROW, "depth": 1}),
    "StyleGAN": (stylegan, STYLE),
}


def awake(network):
    """The network with every parameter away from its initial value, which is often 0."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.15 * torch.randn_like(parameter)
    return network.eval()


def made(name, classes=("a", "b", "c"), **options):
    """A recipe and its networks."""
    torch.manual_seed(0)
    module, small = RECIPES[name]
    info = {"channels": 2, "height": 32, "width": 32, "classes": list(classes), "count": 50}
    recipe = getattr(module, name)(module.Config(**{**small, **options}), info)
    networks = {n: awake(network) for n, network in recipe.networks().items()}
    if name == "StyleGAN":
        networks["generator"].mean_latent.normal_()
    return recipe, networks


def in_onnxruntime(path):
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(**inputs):
        return torch.from_numpy(session.run(["made"], {name: x.numpy() for name, x in inputs.items()})[0])

    return run, session.get_modelmeta().custom_metadata_map["polygan"]


def in_torch(path):
    extra = {"polygan": ""}
    program = torch.export.load(path, extra_files=extra)
    return program.module(), extra["polygan"]


def same_as_generate(recipe, networks, run, **options):
    """The file makes what `generate` makes of the same latents and classes, one at a time and several."""
    for n in (1, 3):
        z = Noise("cpu").reset(n).normal(n, recipe.latent_dim)
        expected = make_samples(recipe, networks, n, options=recipe.Sampling(**options), latents=z)
        inputs = {"latents": z} | ({} if expected.labels is None else {"classes": expected.labels})
        if "truncation" in recipe.Sampling.__dataclass_fields__:
            inputs["truncation"] = torch.tensor(options.get("truncation", 1.0))
        got = run(**inputs)
        assert got.shape == expected.data.shape == (n, 2, 32, 32)
        assert expected.data.std() > 0.02
        assert (got - expected.data).abs().max() < 1e-4
        assert (run(**{**inputs, "latents": z + 1}) - expected.data).abs().max() > 1e-3


@pytest.mark.parametrize("classes", [(), ("a", "b", "c")])
@pytest.mark.parametrize("name", RECIPES)
def test_an_onnx_file_makes_the_pictures_of_generate(tmp_path, name, classes):
    pytest.importorskip("onnx")
    recipe, networks = made(name, classes)
    (path,) = latents.onnx(recipe, networks, tmp_path / "new/model")
    assert path == tmp_path / "new/model.onnx"
    run, text = in_onnxruntime(path)
    same_as_generate(recipe, networks, run)
    facts = json.loads(text)
    assert (facts["kind"], facts["latent_size"], facts["classes"]) == ("latents", 5, list(classes))
    assert (facts["channels"], facts["height"], facts["width"], facts["range"]) == (2, 32, 32, [-1, 1])
    assert facts["sampling"] == ({"truncation": 1.0} if name == "StyleGAN" else {})


@pytest.mark.parametrize("name", RECIPES)
def test_a_program_of_torch_makes_the_pictures_of_generate(tmp_path, name):
    recipe, networks = made(name, ("a", "b") if name in ("DCGAN", "StyleGAN") else ())
    (path,) = latents.program(recipe, networks, tmp_path / "model")
    assert path == tmp_path / "model.pt2"
    run, text = in_torch(path)
    same_as_generate(recipe, networks, run)
    assert json.loads(text)["kind"] == "latents"
    assert str(Path(polygan.__file__).parent).encode() not in path.read_bytes()


@pytest.mark.parametrize("options", [{"noise": False}, {"mapping_layers": 3}])
def test_truncation_is_an_input_of_style_based_generators(tmp_path, options):
    pytest.importorskip("onnx")
    recipe, networks = made("StyleGAN", (), **options)
    (path,) = latents.onnx(recipe, networks, tmp_path / "model")
    run, _ = in_onnxruntime(path)
    same_as_generate(recipe, networks, run, truncation=0.7)
    mean = run(latents=torch.randn(2, 5), truncation=torch.tensor(0.0))
    assert (mean[0] - mean[1]).abs().max() < 1e-5


@pytest.mark.parametrize("classes", [(), ("a", "b", "c")])
def test_a_shift_moves_the_intermediate_latents_of_a_style_based_generator(tmp_path, classes):
    onnxruntime = pytest.importorskip("onnxruntime")
    recipe, networks = made("StyleGAN", classes)
    (path,) = latents.onnx(recipe, networks, tmp_path / "model", options=latents.Exported(intermediate=True))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shift, z = torch.randn(3, 5), Noise("cpu").reset(1).normal(3, 5)
    mapping, seen = recipe.intermediate(networks), []

    def move(module, inputs, output):
        seen.append(output)
        return output + shift

    handle = mapping.register_forward_hook(move)
    moved = make_samples(recipe, networks, 3, options=recipe.Sampling(truncation=0.7), latents=z)
    handle.remove()
    still = make_samples(recipe, networks, 3, options=recipe.Sampling(truncation=0.7), latents=z)
    inputs = {"latents": z.numpy(), "truncation": np.array(0.7, np.float32)}
    inputs |= {} if moved.labels is None else {"classes": moved.labels.numpy()}
    for given, wanted in ((shift.numpy(), moved), (np.zeros((3, 5), np.float32), still)):
        pictures, w = session.run(["made", "w"], {**inputs, "shift": given})
        assert np.abs(pictures - wanted.data.numpy()).max() < 1e-4
        assert np.abs(w - seen[0].numpy()).max() < 1e-4
    assert (moved.data - still.data).abs().max() > 1e-2


def test_a_file_with_a_shift_that_differs_from_the_network_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    recipe, networks = made("StyleGAN")
    whole = latents.graph_of(recipe, networks, intermediate=True)
    source = whole.source

    def unmoved(**inputs):
        return source(**{**inputs, "shift": torch.zeros_like(inputs["shift"])})

    monkeypatch.setattr(latents, "graph_of", lambda *_, **__: whole._replace(source=unmoved))
    with pytest.raises(CheckpointError, match="makes something else than its source"):
        latents.onnx(recipe, networks, tmp_path / "model")


def test_the_file_is_as_before_without_the_option(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    recipe, networks = made("StyleGAN")
    files = [
        latents.onnx(recipe, networks, tmp_path / "a", **given)[0].read_bytes()
        for given in ({}, {"options": latents.Exported()})
    ]
    assert files[0] == files[1]
    session = onnxruntime.InferenceSession(files[0])
    assert [port.name for port in session.get_inputs()] == ["latents", "classes", "truncation"]
    assert [port.name for port in session.get_outputs()] == ["made"]


def test_networks_stay_as_they_were(tmp_path):
    pytest.importorskip("onnx")
    recipe, networks = made("StyleGAN")
    generator = networks["generator"].requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    latents.onnx(recipe, networks, tmp_path / "model")
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    assert all(parameter.requires_grad for parameter in generator.parameters())
    assert isinstance(generator.upsample, latents.Resample)


def test_of_many_classes_the_number_stands_in_the_file():
    recipe, _ = made("DCGAN", [f"class {i}" for i in range(1_001)])
    assert latents.facts(recipe, False)["classes"] == 1_001
    recipe, _ = made("DCGAN", [f"class {i}" for i in range(1_000)])
    assert len(latents.facts(recipe, False)["classes"]) == 1_000


def test_a_file_that_makes_other_pictures_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr(latents, "_fixed", lambda layer, channels: torch.nn.Upsample(scale_factor=2))
    with pytest.raises(CheckpointError, match="makes something else than its source: values differ"):
        latents.onnx(*made("R3GAN"), tmp_path / "x")


def test_every_recipe_of_pictures_has_both_formats():
    formats = {(spec.recipe, spec.format) for spec in polygan_formats() if spec.direction == "export"}
    assert {(spec.id, name) for spec in polygan_recipes() for name in ("onnx", "pt2")} <= formats


@pytest.fixture
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    set_catalogue(None)


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_a_run_is_exported_with_averaged_weights_its_recipe_and_its_step(capsys, suffix):
    pytest.importorskip("onnx")
    pytest.importorskip("sklearn")
    small = {**NARROW, "ema_half_life": 1e9}
    run = polygan.train("image/dcgan", "digits", model=small, steps=2, batch_size=4, precision="fp32", quiet=True)
    with pytest.raises(SystemExit) as end:
        command_line.main(["export", str(run.folder), "--out", f"model.{suffix}"])
    out = capsys.readouterr()
    assert not end.value.code, out
    assert out.out.split() == [f"model.{suffix}"]
    make, text = (in_onnxruntime if suffix == "onnx" else in_torch)(Path(f"model.{suffix}"))
    facts = json.loads(text)
    assert (facts["recipe"], facts["step"]) == ("image/dcgan", 2)
    assert facts["classes"] == list(run.recipe.classes)
    z = Noise("cpu").reset(0).normal(3, 5)
    shown = run.generate(3, latents=z, label=facts["classes"][4])
    got = make(latents=z, classes=torch.full((3,), 4))
    assert (got - shown.data).abs().max() < 1e-4


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_missing_packages_are_one_line(tmp_path, monkeypatch, package):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == package else sys)
    with pytest.raises(ConfigError, match=rf"needs the package {package}: pip install 'polygan-image\[onnx\]'"):
        latents.onnx(*made("DCGAN"), tmp_path / "x")
