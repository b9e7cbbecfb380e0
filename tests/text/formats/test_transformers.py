"""Policies and tokenizers go to transformers with the same logits and the same tokens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_seqgan import INFO, SMALL

from polygan import CheckpointError, ConfigError
from polygan_text.data.tokenizing import train_tokenizer
from polygan_text.data.vocabulary import Vocabulary
from polygan_text.formats import transformers as folder_of
from polygan_text.formats.transformers import export
from polygan_text.residual import Config as ResidualConfig
from polygan_text.residual import Residual
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config

LINES = ["the dog sees the cat", "a cat sees a dog", "the old dog runs", "a <s> is no start"] * 4


def byte_pairs():
    """A tokenizer of bytes of another program, which knows every text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(LINES, trainers.BpeTrainer(special_tokens=["[PAD]"], initial_alphabet=alphabet))
    return made


def few_words():
    """A tokenizer of words of another program, with a token for what it does not know."""
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(LINES, trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]"], vocab_size=9))
    return made


TOKENIZERS = {
    "word": lambda: train_tokenizer("word", lambda: LINES, 100, 1),
    "char": lambda: train_tokenizer("char", lambda: LINES, 100, 1),
    "bpe": lambda: train_tokenizer("bpe", lambda: LINES, 300, 1),
    "bytes of another program": byte_pairs,
    "words of another program": few_words,
}


def trained(tokenizer, kind=SeqGAN, **options):
    vocabulary = Vocabulary(tokenizer.to_str())
    info = {**INFO, "vocabulary": vocabulary.size, "tokenizer": vocabulary.text, "length": 9}
    if kind is SeqGAN:
        made = SeqGAN(Config(**{**SMALL, "hidden_dim": 8, "heads": 2, "policy": "gpt2", **options}), info)
    else:
        made = Residual(ResidualConfig(hidden_dim=8, heads=2, policy="gpt2"), info)
    networks = made.networks()
    torch.manual_seed(2)
    for p in networks["generator"].parameters():
        torch.nn.init.normal_(p, std=0.3)
    return made, networks, vocabulary


def opened(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_transformers_writes_the_text_that_the_policy_writes_greedily(tmp_path, name):
    made, networks, vocabulary = trained(TOKENIZERS[name]())
    files = export(made, networks, tmp_path / "policy")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in files}
    model, tokenizer = opened(tmp_path / "policy")
    given = tokenizer("the", return_tensors="pt")["input_ids"]
    assert int(given[0, 0]) == model.config.bos_token_id == tokenizer.bos_token_id
    with torch.no_grad():
        found = model.generate(given, do_sample=False, suppress_tokens=None)[0, 1:].tolist()
        tokens = vocabulary.encode(["the"])[0]
        while len(tokens) < 9 and tokens[-1] != 1:
            padded = torch.tensor([[*tokens, *[0] * (9 - len(tokens))]])
            tokens.append(int(networks["generator"](padded)[0, len(tokens)].argmax()))
    order, _ = folder_of._order(vocabulary)
    assert [order[i] for i in found] == tokens
    shown = tokenizer.decode(found, skip_special_tokens=True)
    if (
        2 not in tokens and "\ufffd" not in shown
    ):  # each program writes unknown words and broken characters in its own way
        assert shown.strip() == vocabulary.decode([tokens])[0].strip()
    assert tokenizer.decode(tokenizer("the dog")["input_ids"], skip_special_tokens=True) == "the dog"


def test_what_a_text_holds_is_text(tmp_path):
    made, networks, vocabulary = trained(TOKENIZERS["bpe"]())
    export(made, networks, tmp_path / "policy")
    _, tokenizer = opened(tmp_path / "policy")
    assert tokenizer("a <s> is")["input_ids"] == [0, *vocabulary.encode(["a <s> is"])[0]]


def test_the_policy_of_another_recipe_goes_out_too(tmp_path):
    made, networks, _ = trained(TOKENIZERS["word"](), Residual)
    assert export(made, networks, tmp_path / "policy")


def test_what_transformers_cannot_open_is_refused(tmp_path, monkeypatch):
    tokenizer = TOKENIZERS["word"]()
    made, networks, _ = trained(tokenizer, policy="lstm")
    with pytest.raises(ConfigError, match="no such LSTM"):
        export(made, networks, tmp_path / "a")
    made, networks, _ = trained(tokenizer)
    monkeypatch.setattr(made, "classes", ("a", "b"))
    with pytest.raises(ConfigError, match="knows no classes"):
        export(made, networks, tmp_path / "b")
    made, networks, _ = trained(tokenizer)
    del made.text["tokenizer"]
    with pytest.raises(ConfigError, match="only numbers"):
        export(made, networks, tmp_path / "c")
    gaps = byte_pairs()
    gaps.add_special_tokens(["<|end|>"])
    made, networks, _ = trained(gaps)
    with pytest.raises(ConfigError, match="tokens called"):
        export(made, networks, tmp_path / "d")


def test_a_folder_that_computes_other_logits_is_refused(tmp_path, monkeypatch):
    made, networks, _ = trained(TOKENIZERS["word"]())
    write = folder_of._model

    def spoilt(*given):
        model = write(*given)
        model.transformer.ln_f.bias.data += 0.1
        return model

    monkeypatch.setattr(folder_of, "_model", spoilt)
    with pytest.raises(CheckpointError, match="logits of transformers differ"):
        export(made, networks, tmp_path / "policy")
