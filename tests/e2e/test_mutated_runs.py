"""Any file of a run may be damaged in any way: each command succeeds, or says in a line what is wrong; resumed results are equal.

The default number of examples is small and always the same. ``pytest -m slow`` runs many random examples.
"""

from __future__ import annotations

import copy
import json
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

import polygan
from polygan.plugins import load_catalogue, set_catalogue
from polygan.report.page import write_report

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = pytest.mark.e2e

ODD = [
    *(None, True, -1, 0, 1, 2.5, 1e308, float("nan"), float("inf"), 10**39, 2**63, -(2**63)),
    *("", "x", "\ud800", "\n", "../../x", "9" * 500, [], {}, [[]], {"x": None}, [1, "a"], {"$": "tensor", "key": "x"}),
]
TEXTS = [
    *(
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b"[" * 200 + b"]" * 200,
        b"9" * 5_000,
    ),
    *(
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b"- 1",
        b"&a [*a]",
        b"!!python/object:os.system x",
        b"1e999999",
        b"a: 0x" + b"f" * 9_000,
    ),
]
HOT = ("log.jsonl", "data.json", "environment.json", "config.yaml", "pieces.json", "manifest.json", "training.json")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """``whole`` (8 steps) and ``short`` (the first 4 of them)."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYGAN_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        set_catalogue(load_catalogue(files=[survival.TOY], disabled=["tensorboard"]))
        facts = {
            "precision": "fp32",
            "save_every": 2,
            "log_every": 2,
            "sample_every": 4,
            "threads": 1,
            "hang_timeout": 0,
        }
        for name, steps in (("whole", 8), ("short", 4)):
            run = polygan.train("points/mlp", "ring", runs=".", name=name, steps=steps, quiet=True, **facts)
        run.evaluate(quiet=True)
        yield folder
        set_catalogue(None)


# Damage


def places(value, path=()):
    """The places of all values in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, data):
    """A JSON value in which one value is another, is missing, or is there twice."""
    value = copy.deepcopy(value)
    place = data.draw(st.sampled_from(list(places(value))), "place")
    odd = data.draw(st.sampled_from(ODD), "odd")
    if not place:
        return odd
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    if data.draw(st.booleans(), "remove"):
        del inner[place[-1]]
    else:
        inner[place[-1]] = odd
    return value


def other_json(content, data):
    return json.dumps(replaced(json.loads(content), data)).encode()


def other_line(content, data):
    lines = content.split(b"\n")
    i = data.draw(st.integers(0, len(lines) - 2), "line")
    kind = data.draw(st.sampled_from(["value", "twice", "text", "cut"]), "kind of line")
    if kind == "value":
        lines[i] = other_json(lines[i], data)
    elif kind == "twice":
        lines.insert(i, lines[i])
    elif kind == "text":
        lines[i] = data.draw(st.sampled_from(TEXTS), "text")
    else:
        return b"\n".join([*lines[:i], lines[i][:9]])
    return b"\n".join(lines)


def other_setting(content, data):
    lines = content.decode().splitlines()
    i = data.draw(st.integers(0, len(lines) - 1), "line")
    odd = data.draw(
        st.sampled_from([*map(json.dumps, ODD), "*x", "&a [*a]", "!!binary x", "2001-99-99", "0x" + "f" * 99])
    )
    lines[i] = f"{lines[i].partition(':')[0]}: {odd}"
    return "\n".join(lines).encode()


def other_tensors(content, data):
    tensors = load(content)
    if not tensors:
        return content
    name = data.draw(st.sampled_from(sorted(tensors)), "tensor")
    x = tensors.pop(name)
    kind = data.draw(st.sampled_from(["dtype", "nan", "inf", "shape", "gone", "more", "whole"]), "kind of tensor")
    if kind != "gone":
        tensors[name] = {
            "dtype": x.half() if x.is_floating_point() else x.float(),
            "nan": torch.full_like(x.float(), float("nan")),
            "inf": torch.full_like(x.float(), float("inf")),
            "shape": torch.zeros(3, 5),
            "more": x,
            "whole": x.long(),
        }[kind].contiguous()
    if kind == "more":
        tensors["odd"] = torch.zeros(2)
    return save(tensors)


def bytes_of(content, data):
    kind = data.draw(st.sampled_from(["flip", "truncate", "insert", "text"]), "kind of bytes")
    at = data.draw(st.integers(0, max(0, len(content) - 1)), "at")
    if kind == "flip" and content:
        return content[:at] + bytes([content[at] ^ (1 << data.draw(st.integers(0, 7), "bit"))]) + content[at + 1 :]
    if kind == "truncate":
        return content[:at]
    if kind == "insert":
        return content[:at] + data.draw(st.binary(min_size=1, max_size=8), "bytes") + content[at:]
    return data.draw(st.sampled_from(TEXTS), "text")


MEANINGFUL = {".json": other_json, ".jsonl": other_line, ".yaml": other_setting, ".safetensors": other_tensors}


def damage(run, data):
    """Damage one file of a run; returns its name, and whether the checksums still hold."""
    files = sorted(p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file())
    hot = [name for name in files if name.endswith((*HOT, ".safetensors"))]
    name = data.draw(st.sampled_from(hot if data.draw(st.integers(0, 3), "hot") else files), "file")
    path, kind = run / name, data.draw(st.sampled_from(["bytes", "gone", *["meaning"] * 4]), "kind")
    signed = False
    if kind == "gone":
        path.unlink()
    elif kind == "meaning" and path.suffix in MEANINGFUL:
        path.write_bytes(MEANINGFUL[path.suffix](path.read_bytes(), data))
        signed = name.startswith("checkpoints/")
        if signed:
            survival.sign(path)
    else:
        path.write_bytes(bytes_of(path.read_bytes(), data))
    return name, signed


# What must hold


def generate(run):
    assert len(polygan.load(run).generate(3)) == 3


def resume(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polygan.report.page.write_report", lambda folder: folder)  # has examples of its own
        polygan.resume(run, steps=8, quiet=True)


def networks(run):
    return {p.name: p.read_bytes() for p in survival.newest(run).glob("*.safetensors")}


def check(data, runs):
    with tempfile.TemporaryDirectory(dir=runs) as place:
        run = Path(shutil.copytree(runs / "short", Path(place) / "short"))
        name, signed = damage(run, data)
        act = data.draw(st.sampled_from([write_report, generate, resume, resume]), "command")
        try:
            act(run)
        except polygan.PolyganError as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said
        if not said and act is resume and name != "config.yaml" and not signed:
            assert networks(run) == networks(runs / "whole")


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_run_gives_an_error_of_one_line_or_works(runs, data):
    check(data, runs)


@pytest.mark.slow
@settings(max_examples=3_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_many_damaged_runs_give_an_error_of_one_line_or_work(runs, data):
    check(data, runs)
