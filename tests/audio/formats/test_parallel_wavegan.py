"""Weights of the reference implementation of Parallel WaveGAN: its golden waveform, statistics, files that are not what they say."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import polygan
from polygan import CheckpointError, ConfigError
from polygan.training.weights import load_module
from polygan_audio.formats.parallel_wavegan import import_parallel_wavegan
from polygan_audio.parallel_wavegan import Config, ParallelWaveGAN

GOLDEN = Path(__file__).parents[2] / "golden/parallel-wavegan/narrow.safetensors"
FACTS = json.loads(GOLDEN.with_suffix(".json").read_text())
PARAMS = {name: FACTS[name] for name in ("layers", "stacks", "residual_channels", "gate_channels", "skip_channels")}
CONFIG = {
    "sampling_rate": 22050,
    "fft_size": 1024,
    "hop_size": 256,
    "win_length": None,
    "window": "hann",
    "num_mels": 80,
    "fmin": 80,
    "fmax": 7600,
    "batch_max_steps": 25600,
    "generator_params": {
        **PARAMS,
        "in_channels": 1,
        "out_channels": 1,
        "kernel_size": 3,
        "aux_channels": 80,
        "aux_context_window": 2,
        "dropout": 0.0,
        "use_weight_norm": True,
        "upsample_net": "ConvInUpsampleNetwork",
        "upsample_params": {"upsample_scales": [4, 4, 4, 4]},
    },
    "discriminator_params": {"layers": 10, "kernel_size": 3, "conv_channels": 8, "bias": True},
}


def changed(config=CONFIG, **params):
    return config | {"generator_params": config["generator_params"] | params}


def states():
    golden = load_file(GOLDEN)
    return {
        name: {k.removeprefix(f"{name}."): v for k, v in golden.items() if k.startswith(f"{name}.")}
        for name in ("generator", "discriminator")
    }


def files(folder, config=CONFIG, model=None, stats=True):
    """A checkpoint as the reference implementation saves it, with what lies beside."""
    path = folder / "checkpoint-400000steps.pkl"
    state = {"steps": 400_000, "epochs": 3, "optimizer": {"generator": {"state": {}, "param_groups": [{"lr": 1e-4}]}}}
    torch.save(state | {"model": model or states()}, path)
    (folder / "config.yml").write_text(yaml.dump(config))
    if stats:
        np.save(folder / "stats.npy", np.stack([np.arange(80) / 80 - 3, np.arange(80) / 40 + 0.5]).astype(np.float32))
    return path


def rebuilt(found):
    model = {k: tuple(v) if isinstance(v, list) else v for k, v in found.model.items()}
    recipe = ParallelWaveGAN(Config(**model), found.info)
    networks = recipe.networks()
    for name in found.networks:
        load_module(networks[name], found.networks, name, "test")
    return recipe, {name: network.eval() for name, network in networks.items()}


def test_a_checkpoint_sounds_as_the_reference_implementation(tmp_path):
    golden = load_file(GOLDEN)
    recipe, networks = rebuilt(import_parallel_wavegan(files(tmp_path)))
    mean, scale = (torch.from_numpy(x)[:, None] for x in np.load(tmp_path / "stats.npy"))
    with torch.no_grad():  # the golden mel is normalised; the imported network does so itself
        made = networks["generator"](golden["mel"] * scale + mean, golden["noise"][:, 0], padded=True)
        logits = networks["discriminator"](golden["waveform"][:, 0])[0][-1][..., 0]
    torch.testing.assert_close(made, golden["waveform"][:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, golden["logits"][:, 0], atol=1e-5, rtol=0)
    assert (recipe.mel.fmin, recipe.mel.fmax, recipe.mel.log, recipe.info["segment"]) == (80, 7600, "log10", 26_624)


@pytest.mark.parametrize("kind", ["in the weights", "h5", "safetensors", "folded"])
def test_every_way_that_weights_and_statistics_are_kept(tmp_path, kind):
    usual = rebuilt(import_parallel_wavegan(files(tmp_path)))[1]["generator"]
    stats, model = np.load(tmp_path / "stats.npy"), states()
    (tmp_path / "other").mkdir()
    if kind == "in the weights":
        model["generator"] |= {"mean": torch.from_numpy(stats[0]), "scale": torch.from_numpy(stats[1])}
    if kind == "folded":
        for key in [k for k in model["generator"] if k.endswith("weight_v")]:
            v, g = model["generator"].pop(key), model["generator"].pop(key.replace("weight_v", "weight_g"))
            norm = v.flatten(1).norm(dim=1).view(g.shape)
            model["generator"][key.replace("weight_v", "weight")] = v * g / norm
    path = files(tmp_path / "other", model=model, stats=kind in ("safetensors", "folded"))
    if kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path.with_name("stats.h5"), "w") as file:
            file["mean"], file["scale"] = stats
    if kind == "safetensors":
        path = path.with_name("model.safetensors")
        save_file({f"{name}.{k}": v for name, state in model.items() for k, v in state.items()}, path)
    again = rebuilt(import_parallel_wavegan(path))[1]["generator"]
    mel, noise = torch.randn(1, 80, 5), torch.randn(1, 5 * 256)
    with torch.no_grad():
        torch.testing.assert_close(again(mel, noise), usual(mel, noise), atol=1e-6, rtol=0)


def test_an_imported_file_opens_like_a_run(tmp_path):
    polygan.import_weights("audio/parallel-wavegan", files(tmp_path), tmp_path / "vocoder.safetensors")
    run = polygan.load(tmp_path / "vocoder.safetensors")
    made = run.generate(given=0.1 * np.random.default_rng(0).standard_normal(3000).astype(np.float32), seed=3)
    assert len(made.data[0]) == 3000
    assert made.data[0].isfinite().all()


def test_a_causal_network_is_imported_as_one(tmp_path):
    found = import_parallel_wavegan(files(tmp_path)).networks["generator"]
    direction = "upsample_net.conv_in.parametrizations.weight.original1"
    assert found[direction].shape == (80, 80, 5)
    model = states()
    model["generator"]["upsample_net.conv_in.weight_v"] = torch.randn(80, 80, 3)
    recipe, _ = rebuilt(import_parallel_wavegan(files(tmp_path, changed(use_causal_conv=True), model)))
    assert recipe.shape.causal


def test_another_discriminator_is_left_out(tmp_path):
    config = CONFIG | {"discriminator_type": "ResidualParallelWaveGANDiscriminator"}
    assert set(import_parallel_wavegan(files(tmp_path, config)).networks) == {"generator"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            CONFIG | {"generator_type": "MelGANGenerator"},
            "generator_type = MelGANGenerator is not ParallelWaveGANGenerator",
        ),
        (changed(upsample_net="MelGANGenerator"), "upsample_net = MelGANGenerator is not ConvInUpsampleNetwork"),
        (changed(kernel_size=5), "kernel_size = 5 is not 3"),
        (changed(layers=7), "7 layers do not make 3 equal stacks"),
        (changed(layers="many"), "layers = many is not a whole number"),
        (changed(layers=100_000), "layers = 100000 is not a whole number from 1 to 1,000"),
        (changed(upsample_params={"upsample_scales": [4, 4]}), "4 x 4 = 16 do not give the 256 samples"),
        (CONFIG | {"fft_size": None}, "fft_size = None is not a whole number"),
        (CONFIG | {"fmin": "low"}, "fmin = low is not a frequency"),
        (CONFIG | {"num_mels": 64}, "aux_channels is not num_mels = 64"),
        (["no", "settings"], "holds no settings"),
    ],
)
def test_configurations_that_cannot_work_are_refused(tmp_path, config, message):
    with pytest.raises(ConfigError, match=message):
        import_parallel_wavegan(files(tmp_path, config))


def test_files_that_are_not_what_they_say_are_refused(tmp_path):
    path = files(tmp_path, changed(residual_channels=16))
    with pytest.raises(CheckpointError, match=r"has the shape .* the configuration makes it .*config.yml"):
        import_parallel_wavegan(path)
    model = states()
    del model["generator"]["first_conv.weight_g"]
    with pytest.raises(CheckpointError, match=r"first_conv.* is missing"):
        import_parallel_wavegan(files(tmp_path, model=model))
    model = states()
    model["generator"]["more.weight_g"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"more\.weight_g has no place"):
        import_parallel_wavegan(files(tmp_path, model=model))
    with pytest.raises(CheckpointError, match=r"holds no model\.generator"):
        import_parallel_wavegan(files(tmp_path, model={"critic": {}}))
    path = files(tmp_path)
    np.save(tmp_path / "stats.npy", np.zeros((2, 80), np.float32))
    with pytest.raises(CheckpointError, match="scale of the mels is not above 0"):
        import_parallel_wavegan(path)
    np.save(tmp_path / "stats.npy", np.ones((2, 7), np.float32))
    with pytest.raises(CheckpointError, match="is not 80 finite numbers"):
        import_parallel_wavegan(path)
    (tmp_path / "stats.npy").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"stats\.npy holds no mean and scale"):
        import_parallel_wavegan(path)
    (tmp_path / "stats.npy").unlink()
    with pytest.raises(CheckpointError, match=r"has no stats\.h5 or stats\.npy beside it"):
        import_parallel_wavegan(path)
    (tmp_path / "config.yml").write_text("a: !!python/object/apply:os.system [false]")
    with pytest.raises(ConfigError, match=r"config\.yml cannot be read"):
        import_parallel_wavegan(path)
    (tmp_path / "config.yml").unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.yml or config\.yaml beside it"):
        import_parallel_wavegan(path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    path = files(tmp_path)

    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    with path.open("wb") as file:
        pickle.dump({"model": {"generator": Hostile()}}, file)
    with pytest.raises(CheckpointError):
        import_parallel_wavegan(path)
    assert not (tmp_path / "ran").exists()
