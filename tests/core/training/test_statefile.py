"""Tensors and plain data as files: exact round trips, the layout that the safetensors library reads, no pickle."""

from __future__ import annotations

import ast
import hashlib
import json
import struct
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from checkpoint_files import same
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import polygan.training.checkpoint
from polygan import CheckpointError
from polygan.files import write_blocks
from polygan.training import statefile
from polygan.training.statefile import decode, encode, read_verified, tensor_blocks


def through(tensors, path):
    """Written by polygan, read by the library."""
    write_blocks(path, tensor_blocks(tensors))
    return safetensors.torch.load_file(path)


def bits(tensor):
    return tensor.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8).tolist() if tensor.numel() else []


def assert_same(a, b):
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    assert bits(a) == bits(b)


@pytest.mark.parametrize("dtype", statefile._DTYPES, ids=str)
def test_every_dtype_and_layout_survives_to_the_bit(tmp_path, dtype):
    numbers = torch.arange(24).remainder(5).to(dtype)
    kinds = {
        "matrix": numbers.reshape(4, 6),
        "scalar": numbers[3],
        "empty": numbers[:0].reshape(0, 3),
        "transposed": numbers.reshape(4, 6).T,
        "strided": numbers[::3],
        "channels_last": numbers.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        "expanded": numbers[:1].expand(5),
    }
    loaded = through(kinds, tmp_path / "x.safetensors")
    assert set(loaded) == set(kinds)
    for name, tensor in kinds.items():
        assert_same(tensor, loaded[name])


def test_special_numbers_and_more_than_one_block_survive(tmp_path):
    tensors = {
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "payload": torch.tensor([0x7FC12345], dtype=torch.int32).view(torch.float32),
        "conjugate": torch.tensor([1 + 2j], dtype=torch.complex64).conj(),
        "parameter": nn.Parameter(torch.ones(2)),
        **{f"bias{i}": torch.full((300,), float(i)) for i in range(100)},
    }
    large = torch.arange(statefile._BLOCK // 4 + 17, dtype=torch.int64)
    loaded = through({**tensors, "large": large}, tmp_path / "x.safetensors")
    for name, tensor in tensors.items():
        assert_same(tensor, loaded[name])
    assert torch.equal(loaded["large"], large)


def test_tensors_that_share_memory_become_equal_ones(tmp_path):
    whole = torch.arange(6.0)
    loaded = through({"whole": whole, "again": whole, "part": whole[2:4]}, tmp_path / "x.safetensors")
    assert_same(whole, loaded["again"])
    assert loaded["part"].tolist() == [2, 3]


def test_no_tensors_are_a_valid_file(tmp_path):
    assert through({}, tmp_path / "x.safetensors") == {}


def test_wide_types_come_first_so_that_data_is_aligned(tmp_path):
    tensors = {"a": torch.ones(3, dtype=torch.bool), "b": torch.ones(1, dtype=torch.float64), "c": torch.ones(3)}
    through(tensors, tmp_path / "x.safetensors")
    raw = (tmp_path / "x.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    assert length % 8 == 0
    assert all(header[name]["data_offsets"][0] % t.element_size() == 0 for name, t in tensors.items())
    with safetensors.safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_size_and_hash_are_those_of_the_file_and_are_verified(tmp_path):
    blocks = [b"a" * 5, b"", b"b" * 70_000, memoryview(b"c" * 3)] * 50  # more than hashing may lag behind
    facts = write_blocks(tmp_path / "x", blocks)
    raw = (tmp_path / "x").read_bytes()
    assert raw == b"".join(blocks)
    assert facts == {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    assert read_verified(tmp_path / "x", facts) == raw
    for damaged, words in ((raw[:-1], "bytes instead of"), (raw[:-1] + b"d", "does not match its checksum")):
        (tmp_path / "x").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=words):
            read_verified(tmp_path / "x", facts)
    with pytest.raises(CheckpointError, match="gone cannot be read"):
        read_verified(tmp_path / "gone", facts)


def test_an_error_while_writing_is_not_swallowed_by_the_hashing_thread(tmp_path):
    def blocks():
        yield b"first"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_blocks(tmp_path / "x", blocks())


PLAIN = {
    "betas": (0.5, 0.999),
    "nested": [(1, [2, (3,)]), {"a": None, "b": True, "c": "text"}],
    "keys": {0: "zero", "0": "text zero", (2, 3): 4, None: 5},
    "floats": [0.1, 1e-320, float("inf"), -0.0, 10**30],
    "$": {"$": "tensor", "key": "nothing"},
    "empty": [{}, (), []],
}


def test_plain_data_survives_with_its_types():
    tensors = {}
    text = json.dumps(encode(PLAIN, tensors, "x"))
    assert not tensors
    assert repr(decode(json.loads(text), tensors)) == repr(PLAIN)  # tells 1 from True, -0.0 from 0.0, (1,) from [1]


def test_keys_that_look_alike_keep_their_own_tensors():
    state = {"clash": {1: torch.tensor(1), "1": torch.tensor(2)}, "a/b": torch.tensor(3), "a": {"b": torch.tensor(4)}}
    tensors = {}
    again = decode(json.loads(json.dumps(encode(state, tensors, "x"))), tensors)
    assert len(tensors) == 4
    assert [again["clash"][1].item(), again["clash"]["1"].item(), again["a/b"].item(), again["a"]["b"].item()] == [
        1,
        2,
        3,
        4,
    ]


@pytest.mark.parametrize(
    "value", [{"$": "set", "items": []}, {"$": "tensor", "key": "gone"}, {"$": "dict", "items": [1]}]
)
def test_what_was_never_encoded_is_refused(value):
    with pytest.raises((ValueError, LookupError, TypeError)):
        decode(value, {})


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"a": [1, {"b": object()}]}, r"state x/a/1/b is a object"),
        ({"f": print}, r"state x/f is a builtin_function"),
        ({"s": {1, 2}}, r"state x/s is a set"),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_place(state, words):
    with pytest.raises(CheckpointError, match=words):
        encode(state, {}, "x")


@pytest.mark.parametrize(
    "tensor",
    [torch.ones(2, dtype=torch.complex128), torch.ones(2, device="meta"), torch.eye(2).to_sparse()],
    ids=["complex128", "meta", "sparse"],
)
def test_tensors_that_the_layout_cannot_hold_are_named(tensor):
    with pytest.raises(CheckpointError, match="tensor odd is"):
        list(tensor_blocks({"odd": tensor}))


def test_neither_pickle_nor_its_relatives_are_used():
    for module in (statefile, polygan.training.checkpoint):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not names & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}
        calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        assert not calls & {"torch.load", "torch.save", "eval", "exec"}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(
            st.text(max_size=2) | st.integers() | st.tuples(st.integers()) | st.just("$"), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(plain)
@settings(max_examples=60, deadline=None)
def test_any_plain_state_comes_back(state):
    tensors = {}
    data = json.loads(json.dumps(encode(state, tensors, "k")))
    assert same(decode(data, tensors), state)
    assert not tensors
