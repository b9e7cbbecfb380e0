"""The examples of foreign networks: Keras models, and modules of torch that know nothing of polygan."""

from __future__ import annotations

import copy
import os
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import polygan
from polygan.plugins import load_catalogue, set_catalogue
from polygan.testing import Case, parametrize_with_checks

EXAMPLES = Path(__file__).parents[2] / "examples"
KERAS, MODULES = EXAMPLES / "keras_digits.py", EXAMPLES / "any_modules.py"
NETWORKS = Path(__file__).parents[1] / "networks_gan.py"
SMALL = {"width": 4, "latent_dim": 4}
needs_keras = pytest.mark.skipif(find_spec("keras") is None, reason="Keras is not installed (pip install 'keras>=3')")


@pytest.fixture(autouse=True, scope="module")
def _own_keras_home(tmp_path_factory):
    """Keras writes a settings file into its home when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        yield


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    set_catalogue(None)


def use(*files, allow=()):
    """Load these files (and installed plugins by name) as the plugins of this process; the first file's module."""
    set_catalogue(load_catalogue(files=files, allow=allow))
    return sys.modules[files[0].stem]


def pictures(folder, size=28):
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for i in range(32):
        Image.fromarray(rng.integers(0, 255, (size, size), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def networks(folder):
    """The tensors of the newest checkpoint, by network."""
    newest = sorted((Path(folder) / "checkpoints").glob("step-*"))[-1]
    return {p.stem: load_file(p) for p in newest.glob("*.safetensors") if p.stem != "training"}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].keys() == other[name].keys()
        assert [k for k in one[name] if not torch.equal(one[name][k], other[name][k])] == []


# Keras


@needs_keras
@parametrize_with_checks([Case("image/keras", lambda folder: pictures(folder, 12), SMALL, plugins=[KERAS])])
def test_keras_networks_keep_every_contract(check):
    check()


@needs_keras
@pytest.mark.e2e
def test_keras_trains_by_the_command_line_resumes_to_the_bit_and_exports(tmp_path):
    data = pictures(tmp_path / "pictures", 12)
    words = [f"--model.{name}={value}" for name, value in SMALL.items()] + ["--batch_size=8", "--precision=fp32"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "polygan",
            "--plugin",
            KERAS,
            "train",
            "image/keras",
            "--data",
            data,
            "--steps=2",
            *words,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "POLYGAN_PLUGINS": "image", "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    use(KERAS, allow=["image"])
    run = polygan.resume("runs/keras-pictures", steps=4, quiet=True)
    settings = {"batch_size": 8, "precision": "fp32", "model": SMALL, "quiet": True}
    whole = polygan.train("image/keras", data=str(data), steps=4, name="whole", **settings)
    assert_same(networks(run.folder), networks(whole.folder))
    assert networks(run.folder).keys() == {"generator", "generator.ema", "discriminator"}

    import keras

    model = keras.saving.load_model(run.export(tmp_path / "generator", "keras")[0])
    latent = polygan.Noise("cpu", block=64).reset(0).normal(5, SMALL["latent_dim"])
    drawn = torch.as_tensor(model.predict(latent.numpy(), verbose=0)).movedim(3, 1)
    torch.testing.assert_close(drawn, run.generate(5, seed=0).data)


@needs_keras
def test_a_keras_model_is_a_torch_module():
    example = use(KERAS, allow=["image"])
    keras = example.keras_on_torch()

    def network():
        layers = [
            keras.layers.Dense(3),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.5, seed=7),
        ]
        return example.Network(keras.Sequential([keras.Input((2,)), *layers]))

    first, second = network(), network()
    names = ["00_kernel", "01_bias", "02_gamma", "03_beta"]
    buffers = ["04_moving_mean", "05_moving_variance", "06_seed_generator_state"]
    assert list(first.state_dict()) == list(second.state_dict()) == names + buffers  # not numbered by model
    assert [n for n, _ in first.named_parameters()] == names

    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) + 3
    hidden = x @ first.get_parameter("00_kernel") + first.get_parameter("01_bias")
    twin = copy.deepcopy(first)
    once, again = first(x), first(x)
    assert not torch.equal(once, again)  # dropout counts its calls
    assert torch.equal(twin(x), once)  # in the copy on its own
    moved = first.get_buffer("04_moving_mean")
    torch.testing.assert_close(moved, 0.75 * hidden.mean(0).detach())  # half the way, twice
    torch.testing.assert_close(twin.get_buffer("04_moving_mean"), 0.5 * hidden.mean(0).detach())
    once.sum().backward()
    assert all(p.grad is not None for p in first.parameters())
    assert all(p.grad is None for p in twin.parameters())

    before = {k: v.clone() for k, v in first.eval().state_dict().items()}
    assert torch.equal(first(x), first(x))
    assert all(torch.equal(v, before[k]) for k, v in first.state_dict().items())
    second.load_state_dict(before)
    assert torch.equal(first(x), second.eval()(x))


def test_keras_on_another_backend_or_missing_is_one_line(monkeypatch):
    example = use(KERAS, allow=["image"])
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax")))
    with pytest.raises(polygan.ConfigError, match="imported with the backend 'jax' before: set KERAS_BACKEND=torch"):
        example.keras_on_torch()
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(polygan.ConfigError, match="image/keras needs the package keras: pip install 'keras>=3'"):
        example.keras_on_torch()


@needs_keras
def test_keras_refuses_what_does_not_fit():
    example = use(KERAS, allow=["image"])
    with pytest.raises(polygan.ConfigError, match=r"30x28 pictures are no multiple of 4: use --data\.resolution 28"):
        example.KerasGAN(example.Config(), {"height": 30, "width": 28, "channels": 1})
    with pytest.raises(polygan.ConfigError, match="out of range"):
        example.Config(dropout=1.0)


# Any modules


@parametrize_with_checks([Case("image/modules", pictures, plugins=[NETWORKS])])
def test_any_modules_keep_every_contract(check):
    check()


def test_the_circle_is_learnt(capsys):
    example = runpy.run_path(str(MODULES))
    assert len(MODULES.read_text().splitlines()) < 40
    gaps = example["main"](steps=300, log_every=300)
    assert gaps["real"] < 1e-6
    assert gaps["last"] < gaps["first"] / 4
    shown = capsys.readouterr()
    assert "last: " in shown.out
    assert "step 300/300" in shown.err


def test_modules_are_trained_on_a_folder_of_pictures(tmp_path):
    set_catalogue(load_catalogue(allow=["image"]))
    made = nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8))), nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    settings = {"steps": 2, "batch_size": 4, "quiet": True, "latent_dim": 3, "loss": "relativistic"}
    run = polygan.train(made, pictures(tmp_path / "p", 8), domain="image", **settings)
    assert run.settings.recipe == "image/networks"
    again = polygan.load(run.folder, networks=made)
    assert again.generate(3).data.shape == (3, 1, 8, 8)
    assert len(again.generate(3).pil()) == 3
