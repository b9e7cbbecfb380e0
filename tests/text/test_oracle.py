"""The oracle: its cell's equations, the published numbers, files that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from polygan import DataError
from polygan.data import build_store
from polygan_text import datasets
from polygan_text.data.settings import OracleSettings
from polygan_text.oracle import load_oracle
from polygan_text.rollout import sample


def oracle_file(path, **changes):
    from safetensors.torch import save_file

    tensors = {
        "emb.weight": torch.randn(20, 4), "lstm.weight_ih_l0": torch.randn(12, 4), "lstm.weight_hh_l0": torch.randn(12, 3),
        "lstm.bias_ih_l0": torch.randn(12), "lstm.bias_hh_l0": torch.zeros(12), "out.weight": torch.randn(20, 3),
        "out.bias": torch.randn(20),
    } | changes  # fmt: skip
    save_file({k: v for k, v in tensors.items() if v is not None}, path)
    return str(path)


def test_an_oracle_from_a_file(tmp_path):
    from polygan_text.oracle import oracle_of

    file = oracle_file(tmp_path / "oracle.safetensors")
    made = datasets.oracle(OracleSettings(oracle=file, size=10))
    assert made.info["vocabulary"] == 20
    assert made.decode(0)["tokens"].shape == (20,)
    assert oracle_of(made.info).vocabulary == 20
    oracle_file(tmp_path / "oracle.safetensors")
    with pytest.raises(DataError, match="has changed since"):
        oracle_of(made.info)


def test_an_oracle_is_read_where_it_was_named_last(tmp_path):
    from polygan_text.oracle import oracle_of

    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    oracle_file(first)
    for path in (first, second):
        if path == second:
            first.rename(second)
        options = OracleSettings(source="oracle", oracle=str(path), size=10, cache=str(tmp_path / "cache"))
        store = build_store(datasets.oracle(options), options, progress=False)
    assert oracle_of(store.info).vocabulary == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out.bias": None}, "lacks out.bias and has emb.weight"),
        ({"out.weight": torch.zeros(20, 4)}, r"out.weight is \(20, 4\), .* must be \(20, 3\)"),
        ({"lstm.bias_ih_l0": torch.zeros(16)}, r"lstm.bias_ih_l0 is \(16,\), .* must be \(12,\)"),
        ({"emb.weight": torch.zeros(20)}, "are no matrices"),
    ],
)
def test_an_oracle_of_wrong_shapes(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        datasets.oracle(OracleSettings(oracle=oracle_file(tmp_path / "o.safetensors", **changes)))


def test_an_oracle_that_is_no_file(tmp_path):
    (tmp_path / "o.safetensors").write_bytes(b"nonsense")
    for path in (tmp_path / "o.safetensors", tmp_path / "absent.safetensors"):
        with pytest.raises(DataError, match=r"oracle .* is not a readable \.safetensors file"):
            datasets.oracle(OracleSettings(oracle=str(path)))


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_the_oracle_follows_the_equations_of_its_cell(tmp_path):
    """Likelihoods of a small oracle, computed in NumPy gate by gate: i, f, g, o; start token 0; zero state."""
    rng, vocabulary, width = np.random.default_rng(0), 50, 6
    sizes = {
        "emb.weight": (vocabulary, width),
        "lstm.weight_ih_l0": (4 * width, width),
        "lstm.weight_hh_l0": (4 * width, width),
    }
    sizes |= {"lstm.bias_ih_l0": (4 * width,), "lstm.bias_hh_l0": (4 * width,)}
    sizes |= {"out.weight": (vocabulary, width), "out.bias": (vocabulary,)}
    p = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    save_file({name: torch.from_numpy(value) for name, value in p.items()}, tmp_path / "oracle.safetensors")
    tokens = rng.integers(vocabulary, size=(7, 9))
    expected, x = np.zeros(tokens.shape), np.zeros(7, int)
    h = c = np.zeros((7, width))
    for t in range(tokens.shape[1]):
        gates = p["emb.weight"][x] @ p["lstm.weight_ih_l0"].T + p["lstm.bias_ih_l0"]
        i, f, g, o = np.split(gates + h @ p["lstm.weight_hh_l0"].T + p["lstm.bias_hh_l0"], 4, axis=1)
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        h = logistic(o) * np.tanh(c)
        logits = h @ p["out.weight"].T + p["out.bias"]
        x = tokens[:, t]
        expected[:, t] = np.log(np.exp(logits).sum(1)) - logits[np.arange(7), x]
    got = -load_oracle(tmp_path / "oracle.safetensors").log_probabilities(torch.from_numpy(tokens))
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def published(shared_data):
    """The authors' oracle and its numbers, which have no licence known to us and are no part of the project."""
    return shared_data("../golden/seqgan-oracle")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "oracle"])
def test_the_published_oracle_gives_the_published_likelihoods(kind, published):
    oracle, golden = load_oracle(published / "oracle.safetensors"), load_file(published / "nll.safetensors")
    tokens = golden[f"{kind}_tokens"].long()
    got = -oracle.log_probabilities(tokens)
    torch.testing.assert_close(got, golden[f"{kind}_nll"], rtol=1e-4, atol=1e-4)
    assert float(got.mean()) == pytest.approx({"uniform": 11.455, "oracle": 5.763}[kind], abs=1e-3)


@pytest.mark.slow
def test_the_oracle_s_own_samples_score_its_entropy(published):
    oracle = load_oracle(published / "oracle.safetensors")
    tokens = sample(oracle, torch.rand(3000, 20, 2, generator=torch.Generator().manual_seed(0)))
    assert -float(oracle.log_probabilities(tokens).mean()) == pytest.approx(5.757, abs=0.04)
