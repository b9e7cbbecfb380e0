"""Published weights of Tacotron 2: names, sizes, symbols, and files that are not what they say."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "attention"))
from small_tacotron2 import STILL, TINY, batch, golden_state, nvidias, settled, tiny, torchaudios

from polygan import CheckpointError, ConfigError
from polygan_speech.attention import ORIGINAL, SMALL, Tacotron2, shape_of
from polygan_speech.formats.tacotron2 import convert, import_nvidia, size, tensors_of


def small(symbols=148, n_mels=80):
    torch.manual_seed(0)
    return settled(Tacotron2(symbols, n_mels, TINY))


def test_the_names_of_the_golden_file_are_nvidias():
    found = {k.removeprefix("model.") for k in golden_state()}
    assert found == set(nvidias(convert(golden_state()).network()))


def test_torchaudios_names_are_torchaudios():
    models = pytest.importorskip("torchaudio.models")
    with torch.device("meta"):
        theirs = {k: v.shape for k, v in models.Tacotron2().state_dict().items()}
        ours = {k: v.shape for k, v in torchaudios(Tacotron2(148, 80, ORIGINAL)).items()}
    assert ours == theirs


@torch.no_grad()
@pytest.mark.parametrize(
    "shape", [{}, {"reduction": 3, "encoder_layers": 0}, {"postnet_layers": 2, "encoder_kernel": 3}]
)
@pytest.mark.parametrize("names", [nvidias, torchaudios])
def test_the_tensors_shapes_give_the_networks(shape, names):
    network = tiny(**STILL, **shape)
    found = convert({f"module.{k}": v for k, v in names(network).items()})
    assert (found.symbols, found.n_mels) == (11, 6)
    again = found.network(**STILL)
    assert again.shape == network.shape
    assert torch.equal(again(*batch()).post, network(*batch()).post)


@pytest.mark.parametrize("kind", ["pickle", "half", "bare", "safetensors"])
def test_nvidias_checkpoints_become_settings_facts_and_tensors(tmp_path, kind):
    network = small()
    state, path = {f"module.{k}": v for k, v in nvidias(network).items()}, tmp_path / "tacotron2.pt"
    if kind == "half":
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    if kind == "safetensors":
        path = tmp_path / "tacotron2.safetensors"
        save_file(state, path)
    else:
        torch.save(state if kind == "bare" else {"iteration": 9, "state_dict": state, "learning_rate": 1e-3}, path)
    found = import_nvidia(path)
    assert found.model == {"decoder": "attention", "attention_size": "custom", "mel": "tacotron2"}
    assert shape_of("custom", found.info) == TINY
    assert (found.info["sample_rate"], len(found.info["symbols"])) == (22_050, 147)
    json.dumps([found.model, found.info])  # plain data
    rows = found.networks["generator"]["network.embedding.weight"]
    assert rows.dtype == torch.float32
    assert (rows - network.embedding.weight).abs().max() < 1e-3
    assert kind == "half" or torch.equal(rows, network.embedding.weight)


def test_torchaudios_bundle_has_its_own_characters(tmp_path):
    torch.save(torchaudios(small(38)), tmp_path / "tacotron2_english_characters.pth")
    found = import_nvidia(tmp_path / "tacotron2_english_characters.pth")
    assert found.info["symbols"] == "-!'(),.:;? abcdefghijklmnopqrstuvwxyz"


def test_sizes_have_names():
    for shape, name in ((ORIGINAL, "original"), (SMALL, "small"), (TINY, "custom")):
        assert size(shape) == name
        assert shape_of(name, {"attention_shape": json.dumps(asdict(TINY))}) == shape
    with pytest.raises(ConfigError, match="takes its sizes from an imported model"):
        shape_of("custom", {"attention_shape": ""})
    assert shape_of("custom", {}) == SMALL  # before the facts are known


@pytest.mark.parametrize(
    ("symbols", "n_mels", "name", "message"),
    [
        (96, 80, "a.pth", r"96 symbols \(torchaudio's bundle of phonemes\)"),
        (40, 80, "a.pth", r"40 symbols \(weights of an unknown alphabet\)"),
        (148, 20, "a.pth", "makes 20 mel bands"),
        (38, 80, "x_wavernn_ljspeech.pth", "WaveRNN"),
    ],
)
def test_weights_of_another_alphabet_or_front_end_are_refused(tmp_path, symbols, n_mels, name, message):
    torch.save(torchaudios(small(symbols, n_mels)), tmp_path / name)
    with pytest.raises(CheckpointError, match=message) as error:
        import_nvidia(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("decoder.attention_rnn.bias_hh"), r"decoder\.attention_rnn\.bias_hh is missing"),
        (lambda s: s.pop("embedding.weight"), r"embedding\.weight is missing"),
        (lambda s: s.update({"embedding.weight": torch.zeros(3)}), "should have 2 dimensions"),
        (
            lambda s: s.update({"decoder.gate_layer.weight": torch.zeros(1, 3)}),
            r"shape \(1, 3\), the other tensors make",
        ),
        (lambda s: s.update({"speaker.weight": torch.zeros(1)}), r"speaker\.weight has no place"),
        (lambda s: s.update({"embedding.weight": torch.full((148, 16), torch.nan)}), "NaN or infinite"),
        (lambda s: s.update({"embedding.weight": 3}), "is a int and not a tensor"),
        (lambda s: s.update({"decoder.linear_projection.weight": torch.zeros(81, 40)}), "no frames of 80 bands"),
        (
            lambda s: s.update({"encoder.convolutions.0.0.weight": torch.zeros(16, 16, 4)}),
            "encoder_kernel = 4 is not odd",
        ),
        (lambda s: s.update({"encoder.convolutions.99999999.0.weight": torch.zeros(1)}), "is missing"),
        (dict.clear, "holds no tensors of a Tacotron 2"),
    ],
)
def test_tensors_that_make_no_tacotron2_are_named(tmp_path, change, message):
    state = torchaudios(small())
    change(state)
    torch.save({"state_dict": state}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=message) as error:
        import_nvidia(tmp_path / "a.pt")
    assert "\n" not in str(error.value)
    assert "a.pt" in str(error.value)


class Harmful:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path):
    torch.save({"state_dict": torchaudios(small()), "hparams": Harmful(tmp_path / "harmed")}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="it asks for"):
        tensors_of(tmp_path / "a.pt")
    assert not (tmp_path / "harmed").exists()


def test_counts_of_batches_may_be_missing():
    network = small()
    state = {k: v for k, v in torchaudios(network).items() if not k.endswith("num_batches_tracked")}
    assert torch.equal(convert(state).network().embedding.weight, network.embedding.weight)
