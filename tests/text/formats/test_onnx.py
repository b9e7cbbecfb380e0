"""Policies in other programs: step by step, a file gives the log-probabilities and the texts of the policy."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_leakgan
import small_seq2seq
import small_seqgan
from small_pairs import given as sources

import polygan
from polygan import CheckpointError, ConfigError
from polygan_text import polygan_formats, polygan_recipes
from polygan_text.data.tokenizing import train_tokenizer
from polygan_text.data.vocabulary import Vocabulary, load_vocabulary
from polygan_text.formats import policies, rewriting, steps
from polygan_text.residual import Config as ResidualConfig
from polygan_text.residual import Residual
from polygan_text.rollout import Shape, sample

LINES = ["the dog sees the cat", "a cat sees a dog", "the old dog runs"] * 4
CLASSES = ["one", "two", "three"]
RECIPES = {
    "lstm": lambda: small_seqgan.recipe(),
    "lstm of two layers": lambda: small_seqgan.recipe(layers=2),
    "lstm with classes": lambda: small_seqgan.recipe({**small_seqgan.INFO, "classes": CLASSES}),
    "tied": lambda: small_seqgan.recipe(tied=True, embedding_dim=5),
    "gpt2": lambda: small_seqgan.recipe(policy="gpt2", hidden_dim=8, heads=2),
    "gpt2 with classes": lambda: small_seqgan.recipe(
        {**small_seqgan.INFO, "classes": CLASSES}, policy="gpt2", hidden_dim=8, heads=2
    ),
    "residual": lambda: Residual(ResidualConfig(embedding_dim=4, hidden_dim=6), small_seqgan.INFO),
    "leakgan of the paper": lambda: small_leakgan.recipe(preset="paper"),
    "leakgan of the program": lambda: small_leakgan.recipe(preset="code", goal_steps=4),
}


def drawn(recipe):
    """The networks, with a policy far from its start, so that every part of the state shows in its logits."""
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    for parameter in networks["generator"].parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return networks


def opened(path):
    """A function from arrays to arrays, and the facts of a file."""
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [made.name for made in session.get_outputs()]

    def run(**inputs):
        return session.run(names, inputs)

    return run, json.loads(session.get_modelmeta().custom_metadata_map["polygan"])


def opened_program(path):
    """The same of a program of torch."""
    extra = {"polygan": ""}
    program = torch.export.load(path, extra_files=extra).module()

    def run(**inputs):
        return [made.numpy() for made in program(**{name: torch.from_numpy(x) for name, x in inputs.items()})]

    return run, json.loads(extra["polygan"])


def log_softmax(x):
    return x - np.logaddexp.reduce(x, axis=1, keepdims=True)


def walked(run, facts, state, choose, **beside):
    """Tokens (n, L) that ``choose`` takes from log-probabilities, and these (n, L, V), by numpy alone."""
    token = np.full(len(state), facts["start"])
    tokens, found = [], []
    for place in range(facts["length"]):
        logits, state = run(token=token, place=np.array(place), state=state, **beside)
        found.append(log_softmax(logits))
        token = choose(place, found[-1])
        tokens.append(token)
    return np.stack(tokens, 1), np.stack(found, 1)


@pytest.mark.parametrize("name", RECIPES)
def test_a_policy_goes_to_onnx_as_one_step(tmp_path, name):
    pytest.importorskip("onnx")
    recipe = RECIPES[name]()
    networks = drawn(recipe)
    policy = networks["generator"]
    (path,) = policies.onnx(recipe, networks, tmp_path / "new/model")
    assert path == tmp_path / "new/model.onnx"
    run, facts = opened(path)
    assert (facts["kind"], facts["classes"]) == ("text", list(recipe.classes))
    assert (facts["vocabulary"], facts["length"], facts["start"], facts["end"]) == (12, recipe.text["length"], 0, 1)
    for n in (1, 3):
        labels = torch.arange(n) % 3 if recipe.classes else None
        beside = {} if labels is None else {"classes": labels.numpy()}
        state = np.full((n, facts["state"]), np.nan, np.float32)  # is not read at the start
        tokens = torch.randint(12, (n, facts["length"]), generator=torch.Generator().manual_seed(n))
        _, found = walked(run, facts, state, lambda place, _, tokens=tokens: tokens[:, place].numpy(), **beside)
        with torch.no_grad():
            expected = policy(tokens, labels).log_softmax(2).numpy()
        assert np.abs(found - expected).max() < 1e-4
        assert expected.std() > 0.1
        likeliest, _ = walked(run, facts, state, lambda _, logp: logp.argmax(1), **beside)
        uniform = torch.zeros(n, facts["length"], 2)
        assert np.array_equal(likeliest, sample(policy, uniform, labels=labels, shape=Shape(top_k=1)).numpy())


@pytest.mark.parametrize("name", ["lstm with classes", "gpt2 with classes", "leakgan of the program"])
def test_a_policy_goes_to_a_program_of_torch(tmp_path, name):
    recipe = RECIPES[name]()
    networks = drawn(recipe)
    (path,) = policies.program(recipe, networks, tmp_path / "model")
    assert path == tmp_path / "model.pt2"
    extra = {"polygan": ""}
    run = torch.export.load(path, extra_files=extra).module()
    facts = json.loads(extra["polygan"])
    tokens = torch.randint(12, (4, facts["length"]))
    labels = torch.arange(4) % 3 if recipe.classes else None
    beside = {} if labels is None else {"classes": labels}
    found = policies.steps(run, tokens, facts, torch.zeros(4, facts["state"]), **beside)
    with torch.no_grad():
        expected = networks["generator"](tokens, labels).log_softmax(2)
    assert (found - expected).abs().max() < 1e-4
    assert str(Path(polygan.__file__).parent).encode() not in path.read_bytes()


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_the_file_knows_its_tokens(kind):
    vocabulary = Vocabulary(train_tokenizer(kind, lambda: LINES, 300, 1).to_str())
    recipe = small_seqgan.recipe(
        {**small_seqgan.INFO, "vocabulary": vocabulary.size, "tokenizer": vocabulary.text, "length": 9}
    )
    facts = json.loads(json.dumps(policies.facts(recipe)))
    assert facts["words"][:3] == ["<s>", "</s>", "<unk>"]
    assert facts["unknown"] == 2
    assert len(facts["words"]) == facts["vocabulary"] == vocabulary.size
    (tokens,) = vocabulary.encode([LINES[0]])
    assert facts["space"]
    assert "".join(facts["words"][t] for t in tokens).replace(facts["space"], " ").strip() == LINES[0]
    assert load_vocabulary(facts["tokenizer"]).encode([LINES[0]]) == [tokens]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("onnx", {}),
        ("onnx", {"layers": 2}),
        ("onnx", {"policy": "transformer", "layers": 2}),
        ("onnx", {"policy": "transformer", "hidden_dim": 8}),
        ("pt2", {"layers": 2}),
        ("pt2", {"policy": "transformer"}),
    ],
)
def test_seq2seq_goes_out_as_an_encoder_and_a_step(tmp_path, kind, options):
    pytest.importorskip("onnx")
    recipe = small_seq2seq.recipe(**options)
    networks = drawn(recipe)
    policy = networks["generator"]
    write, reopen = (rewriting.onnx, opened) if kind == "onnx" else (rewriting.program, opened_program)
    encoder, step = write(recipe, networks, tmp_path / f"model.{kind}")
    assert (encoder.name, step.name) == (f"model-encoder.{kind}", f"model-step.{kind}")
    (encode, read), (run, facts) = reopen(encoder), reopen(step)
    assert (read["part"], facts["part"], facts["kind"], facts["given_length"]) == ("encoder", "step", "rewriting", 7)
    for n, length in ((1, 7), (3, 5), (4, 2)):
        given = sources(n)[:, :length]
        memory, state = encode(given=given.numpy())
        tokens = torch.randint(recipe.vocabulary, (n, facts["length"]), generator=torch.Generator().manual_seed(n))
        tokens[:, 1] = recipe.vocabulary + 1  # the unknown word at position 1 of the source
        beside = {"given": given.numpy(), "memory": memory}
        _, found = walked(run, facts, state, lambda place, _, tokens=tokens: tokens[:, place].numpy(), **beside)
        with torch.no_grad():
            expected = policy(tokens, given).log_probability(tokens).numpy()
        assert found.shape == (n, facts["length"], recipe.vocabulary + length)
        assert np.abs(np.take_along_axis(found, tokens.numpy()[:, :, None], 2)[:, :, 0] - expected).max() < 1e-4
        assert np.allclose(np.exp(found).sum(2), 1, atol=1e-5)


def test_networks_stay_as_they_were(tmp_path):
    pytest.importorskip("onnx")
    recipe = small_seq2seq.recipe()
    networks = drawn(recipe)
    attention, before = networks["generator"].head.attention, networks["generator"].state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    rewriting.onnx(recipe, networks, tmp_path / "model")
    assert networks["generator"].head.attention is attention
    assert all(torch.equal(tensor, before[name]) for name, tensor in networks["generator"].state_dict().items())
    assert all(parameter.requires_grad for parameter in networks["generator"].parameters())


def test_a_file_that_writes_other_texts_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    recipe = RECIPES["lstm"]()
    monkeypatch.setattr(
        policies, "step_of", lambda policy, length: steps.step_of(recipe.networks()["generator"], length)
    )
    with pytest.raises(CheckpointError, match="something else than its source: log-probabilities differ by"):
        policies.onnx(recipe, drawn(recipe), tmp_path / "x")
    unlikely = torch.full((1,), 2 * policies.LEAST)
    policies.check(unlikely, unlikely - 1, tmp_path)


def test_every_recipe_of_text_has_both_formats():
    formats = {(spec.recipe, spec.format) for spec in polygan_formats() if spec.direction == "export"}
    assert {(spec.id, kind) for spec in polygan_recipes() for kind in ("onnx", "pt2")} <= formats


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_missing_packages_are_one_line(tmp_path, monkeypatch, package):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == package else sys)
    with pytest.raises(ConfigError, match=rf"needs the package {package}: pip install 'polygan-text\[onnx\]'"):
        policies.onnx(RECIPES["lstm"](), drawn(RECIPES["lstm"]()), tmp_path / "x")
