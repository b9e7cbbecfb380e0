"""What is no folder of a usable model is refused in one line that says what to do."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from small_model import byte_pairs, facts, save_tokenizer

from polygan import ConfigError
from polygan_text.data.tokenizing import given_tokenizer
from polygan_text.pretrained import folders as module
from polygan_text.pretrained.folders import digest
from polygan_text.pretrained.policy import pretrained_policy
from polygan_text.residual import Config as ResidualConfig
from polygan_text.settings import Config


@pytest.fixture
def copied(folders, tmp_path):
    """A copy of the small GPT-2 that a test may spoil."""
    return shutil.copytree(folders("gpt2"), tmp_path / "spoilt")


def without_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def pickles_only(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def without_weights(folder):
    (folder / "model.safetensors").unlink()


def without_config(folder):
    (folder / "config.json").unlink()


def change(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def with_code(folder):
    change(
        folder, "config.json", model_type="mine", auto_map={"AutoModelForCausalLM": "mine.Mine", "AutoConfig": "mine.C"}
    )
    (folder / "mine.py").write_text("raise SystemExit('the code ran')")


def tokenizer_with_code(folder):
    change(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.Tokenizer", None]})


def quantised(folder):
    change(folder, "config.json", quantization_config={"load_in_4bit": True})


def adapters_alone(folder):
    (folder / "adapter_config.json").write_text("{}")


def broken_config(folder):
    (folder / "config.json").write_text("{")


def broken_weights(folder):
    (folder / "model.safetensors").write_bytes(b"no weights")


FAULTS = [
    (without_tokenizer, "no tokenizer.json.*save the model's fast tokenizer"),
    (pickles_only, "pickles, which can run any code.*are refused; save them again as safetensors"),
    (without_weights, r"no weights \(\*.safetensors\)"),
    (without_config, "no config.json"),
    (with_code, "Python code of its own.*add --model.trust_remote_code true"),
    (tokenizer_with_code, "Python code of its own"),
    (adapters_alone, "adapters of another model; merge them"),
    (quantised, "quantised and cannot be trained"),
    (broken_config, "cannot be read as JSON"),
]


@pytest.mark.parametrize(("spoil", "message"), FAULTS, ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.parametrize("setting", ["policy", "discriminator"])
def test_what_a_folder_lacks_is_named_before_anything_is_opened(copied, spoil, message, setting):
    spoil(copied)
    for kind in (Config, ResidualConfig):
        with pytest.raises(ConfigError, match=rf"(?s)(model.{setting} = |{copied}).*{message}"):
            kind(**{setting: str(copied)})


def test_weights_that_cannot_be_read(copied):
    info = facts(copied)
    broken_weights(copied)
    with pytest.raises(ConfigError, match="transformers cannot open the model"):
        pretrained_policy(Config(policy=str(copied)), info)


def test_code_of_a_model_that_transformers_knows_is_not_needed(copied):
    change(copied, "config.json", auto_map={"AutoModelForCausalLM": "mine.Mine"})
    (copied / "mine.py").write_text("raise SystemExit('the code ran')")
    config = Config(policy=str(copied))
    assert pretrained_policy(config, facts(copied)).filled
    claimed = Config(policy=config.policy, pretrained=config.pretrained.replace('"code": false', '"code": true'))
    assert pretrained_policy(claimed, facts(copied)).filled  # what a saved run says allows nothing


def test_names_that_mean_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("lstmm", "owner/model", "no such folder", "./nowhere"):
        with pytest.raises(
            ConfigError, match=r"model.policy = .*: known are lstm, gpt2, and there is no such folder in"
        ) as error:
            Config(policy=name)
        assert ("hf download" in str(error.value)) == (name in ("lstmm", "owner/model"))
    with pytest.raises(ConfigError, match=r"did you mean 'lstm'"):
        Config(policy="ltsm")
    with pytest.raises(ConfigError, match=r"model.discriminator = 'rnn' .*: known are cnn, lstm"):
        Config(discriminator="rnn")
    with pytest.raises(ConfigError, match=r"name a folder with --model\.policy"):
        Config(lora=4)


def test_an_id_of_the_hub_works_from_the_local_cache_alone(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = folders("llama")
    monkeypatch.setattr(module, "cached", lambda name: known if name == "owner/model" else None)
    config = Config(policy="owner/model")
    assert config.policy == "owner/model"
    assert json.loads(config.pretrained)["policy"]["sha256"] == digest(known)


def test_a_tokenizer_of_the_hub_works_from_the_local_cache(folders, monkeypatch):
    from polygan_text.data import tokenizing

    monkeypatch.setattr(tokenizing, "cached", lambda name: folders("llama") if name == "owner/model" else None)
    assert given_tokenizer("owner/model").text == given_tokenizer(str(folders("llama"))).text
    with pytest.raises(ConfigError, match="no such file or folder"):
        given_tokenizer("owner/other")


def test_a_folder_is_remembered_by_its_absolute_path(folders, monkeypatch):
    folder = folders("gpt2")
    monkeypatch.chdir(folder.parent)
    assert Config(policy="./model").policy == str(folder.resolve())


def test_data_with_another_tokenizer_is_refused_with_what_to_type(folders, tmp_path):
    config = Config(policy=str(folders("gpt2")))
    for info in (facts(folders("llama")), facts(folders("words_llama"))):
        with pytest.raises(
            ConfigError, match=rf"cut into tokens by another tokenizer; add --data.tokenizer {folders('gpt2')}"
        ):
            pretrained_policy(config, info)
    with pytest.raises(ConfigError, match="only numbers; give a file of text"):
        pretrained_policy(config, {"vocabulary": 12, "length": 6, "start": 0, "eos": None, "classes": []})


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(copied):
    made = byte_pairs(["<|endoftext|>"])
    made.add_tokens([f"new{i}" for i in range(20)])
    save_tokenizer(copied, made, bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    with pytest.raises(ConfigError, match="save the tokenizer of this model into it"):
        pretrained_policy(Config(policy=str(copied)), facts(copied))


def test_a_tokenizer_without_an_end_is_refused(copied):
    made = byte_pairs(["<|endoftext|>"])
    save_tokenizer(copied, made)
    change(copied, "config.json", eos_token_id=None, bos_token_id=None)
    with pytest.raises(ConfigError, match="no token that ends a text"):
        Config(policy=str(copied))


def test_an_encoder_is_no_policy(folders):
    with pytest.raises(ConfigError, match="is no causal language model"):
        pretrained_policy(Config(policy=str(folders("bert"))), facts(folders("bert")))


def test_the_hash_of_a_folder_follows_its_weights(copied, folders):
    assert digest(copied) == digest(folders("gpt2"))
    with (copied / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x01\x02\x03\x04")
    assert digest(copied) != digest(folders("gpt2"))
