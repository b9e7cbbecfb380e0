"""What the Hub, the network or a stranger's repository may do wrong is one line, and leaves nothing behind."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import safetensors.torch
import torch
from stub_hub import TOKEN
from toy_runs import command

import polygan
import polygan_hub
from polygan import CheckpointError, ConfigError
from polygan.plugins import load_catalogue, set_catalogue
from polygan_hub.client import parse

WRONG = "hf_wrong_token_that_nobody_may_see"
FACTS = {"format": 1, "recipe": "points/mlp", "model": {}, "info": {"size": 2}, "step": 4, "networks": ["generator"]}


def model(metadata=None):
    return safetensors.torch.save({"generator.x": torch.zeros(500)}, metadata)


GOOD = {"model.safetensors": model({"polygan": json.dumps(FACTS)}), "README.md": b"# toy\n"}


def left():
    """The files that a pull left in the working folder and in the cache."""
    return [p for place in (Path.cwd(), Path.cwd().parent / "cache/fetched") for p in place.rglob("*") if p.is_file()]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """The library waits a second before it tries again."""
    from huggingface_hub import file_download
    from huggingface_hub.utils import _http

    for module in (file_download, _http):
        monkeypatch.setattr(module.time, "sleep", lambda _: None)


def refused(kind, match, name="me/toy", **options):
    """Both ways of a pull end in one line, which is returned, and leave nothing."""
    for out in ("toy", None):
        with pytest.raises(kind, match=match) as error:
            polygan_hub.pull(name, out=out, **options)
        assert "\n" not in str(error.value)
        assert left() == []
        assert not Path("toy").exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"README.md": b"x"}, "holds no polygan model, no model.safetensors: name one that `polygan push` made"),
        ({"pytorch_model.bin": b"x"}, r"only pickles \(pytorch_model.bin\), which may run any code"),
        (
            {"model.safetensors": b"PK no tensors", "model.pt": b"x"},
            "model.safetensors is no readable .safetensors file",
        ),
        ({"model.safetensors": model()}, "holds tensors, and nothing that polygan wrote"),
        ({"model.safetensors": model({"polygan": "[1"})}, "is no readable .safetensors file"),
        ({"model.safetensors": GOOD["model.safetensors"][:-8]}, "is no readable .safetensors file"),
        ({**GOOD, "../evil": b"x"}, "refused: the file '../evil' would lie outside"),
        ({**GOOD, "samples/../../evil.png": b"x"}, "would lie outside"),
        ({**GOOD, "/etc/evil": b"x"}, "would lie outside"),
        ({**GOOD, "a\\..\\..\\evil": b"x"}, "would lie outside"),
        ({**GOOD, "C:evil": b"x"}, "would lie outside"),
    ],
)
def test_a_repository_without_a_sound_polygan_model_is_refused(hub, files, match):
    hub.make("me/toy", files)
    refused(CheckpointError, match)


def test_pickles_beside_a_model_are_never_asked_for(hub):
    hub.make("me/toy", {**GOOD, "evil.pkl": b"x", "samples/evil.html": b"x", "samples/0.png": b"x"})
    folder = polygan_hub.pull("me/toy", out="toy").parent
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "README.md",
        "model.safetensors",
        "samples/0.png",
    ]
    assert not any("evil" in path for _, path in hub.requests)


def test_a_model_that_is_not_there_or_a_revision_that_is_gone_is_said(hub):
    refused(ConfigError, "there is no such model, or it is private: check the name; `hf auth login`")
    hub.make("me/toy", GOOD)
    refused(ConfigError, "pull hf:me/toy@v9: there is no such revision", "me/toy@v9")
    refused(ConfigError, f"hf:me/toy@{'a' * 40}: there is no such revision", revision="a" * 40)
    with pytest.raises(ConfigError, match="no such revision"):
        polygan.load("hf:me/toy@gone")


def test_a_private_model_needs_the_token(hub, monkeypatch):
    hub.make("me/toy", GOOD, private=True)
    assert polygan_hub.pull("me/toy").is_file()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ConfigError, match="or it is private"):
        polygan_hub.pull("me/toy", out="toy")


def test_a_wrong_token_is_refused_and_neither_printed_nor_stored(run, hub, monkeypatch, tmp_path, capsys, caplog):
    hub.make("me/toy", GOOD)
    monkeypatch.setenv("HF_TOKEN", WRONG)
    for words in (["push", run, "me/toy"], ["pull", "me/toy"], ["generate", "hf:me/toy"]):
        said = command(*words, code=2, capsys=capsys)
        assert "the Hub refused your token: log in again; `hf auth login`, or HF_TOKEN" in said.err
        assert WRONG not in said.out + said.err + caplog.text
    assert WRONG in hub.tokens
    assert not any(WRONG.encode() in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


def test_a_push_without_a_token_says_how_to_log_in(run, hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ConfigError, match="`hf auth login`, or HF_TOKEN"):
        polygan_hub.push(run, "me/toy")
    assert hub.repos == {}


def test_a_download_that_breaks_off_once_goes_on_where_it_broke(hub):
    hub.make("me/toy", GOOD)
    hub.cut = {"model.safetensors": 1}
    path = polygan_hub.pull("me/toy", out="toy")
    assert path.read_bytes() == GOOD["model.safetensors"]


def test_a_download_that_keeps_breaking_off_leaves_nothing(hub):
    hub.make("me/toy", GOOD)
    hub.cut = {"model.safetensors": 1000}
    refused(CheckpointError, "cannot be reached, or broke off")


def test_a_file_that_arrives_damaged_is_named(hub):
    hub.make("me/toy", GOOD)
    hub.corrupt = {"model.safetensors"}
    refused(CheckpointError, "model.safetensors arrived damaged and was removed: pull again")
    hub.corrupt = {"README.md"}
    with pytest.raises(CheckpointError, match=r"README.md arrived damaged"):
        polygan_hub.pull("me/toy", out="toy")
    assert left() == []


def test_no_network_is_one_line(run, monkeypatch, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", url)
    refused(CheckpointError, f"{url} cannot be reached")
    assert "cannot be reached" in command("push", run, "me/toy", code=1, capsys=capsys).err
    said = command("train", "points/mlp", "--data", "ring", "--init_from", "hf:me/toy", code=1, capsys=capsys)
    assert said.err.count("\n") == 1
    assert not Path("runs").exists()  # refused before anything is made


@pytest.mark.parametrize(
    ("status", "match"),
    [
        (403, "your token may not do this: make one with the right to write"),
        (412, "somebody else changed the model meanwhile: push again"),
        (429, "the Hub answers no more requests for now: wait some minutes"),
        (500, "the Hub answered with status 500: try again later"),
    ],
)
def test_a_push_that_the_hub_does_not_take_is_one_line_and_can_be_repeated(run, hub, status, match):
    hub.commit_status = status
    with pytest.raises(ConfigError, match=match) as error:
        polygan_hub.push(run, "me/toy")
    assert "\n" not in str(error.value)
    assert set(hub.files("me/toy")[1]) == {".gitattributes"}
    hub.commit_status = 0
    polygan_hub.push(run, "me/toy")
    assert "model.safetensors" in hub.files("me/toy")[1]


def test_a_folder_that_exists_is_not_written_into(hub):
    hub.make("me/toy", GOOD)
    Path("toy").mkdir()
    with pytest.raises(ConfigError, match="toy exists already: name a new folder with --out"):
        polygan_hub.pull("me/toy", out="toy")
    assert hub.requests == []


@pytest.mark.parametrize(
    "name", ["", "a/b/c", "../x", "me/..", "me/x@", "me/x y", "me//x", "-me/x", "me/x@../y", "me/x--y"]
)
def test_what_is_no_name_is_refused_before_anything_is_asked(name, hub):
    if name == "me/x@":
        assert parse(name).revision == ""
        return
    with pytest.raises(ConfigError, match=r"is no (name of a model|revision)"):
        polygan_hub.pull(name)
    assert hub.requests == []


def test_a_name_with_two_revisions_and_a_push_to_a_revision_are_refused(run):
    with pytest.raises(ConfigError, match="name two revisions"):
        polygan_hub.pull("me/x@a", revision="b")
    with pytest.raises(ConfigError, match="write OWNER/NAME without @a"):
        polygan_hub.push(run, "me/x@a")
    with pytest.raises(ConfigError, match="whose model is it"):
        polygan_hub.push(run, "x")


def test_only_runs_are_pushed(run, tmp_path):
    polygan.load(run).export(tmp_path / "m.safetensors")
    with pytest.raises(ConfigError, match="is no run: push the run's folder"):
        polygan_hub.push(tmp_path / "m.safetensors", "me/x")


def test_without_the_plugin_a_name_says_what_to_install(capsys):
    set_catalogue(load_catalogue(allow=[]))
    with pytest.raises(ConfigError, match="no plugin brings models of 'hf': pip install polygan-hub"):
        polygan.load("hf:me/toy")


def test_the_token_of_the_stub_is_what_the_tests_send(hub):
    hub.make("me/toy", GOOD)
    polygan_hub.pull("me/toy")
    assert set(hub.tokens) == {TOKEN}
