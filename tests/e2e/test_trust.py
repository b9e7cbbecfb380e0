"""A run's folder and a model from a stranger: they read, overwrite and embed nothing of yours, and no command waits or fills memory."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

import polygan
from polygan.cli import command_line as cli
from polygan.plugins import load_catalogue, set_catalogue

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")]

SECRET = "BEGIN PRIVATE KEY of mine"
COMMANDS = {
    "report": ("report", "run"),
    "generate": ("generate", "run", "-n", "2", "--out", "out.npy"),
    "evaluate": ("evaluate", "run"),
    "resume": ("resume", "run", "--steps", "4"),
}
CHECKPOINT = "checkpoints/step-00000002"
FILES = (
    *("config.yaml", "data.json", "environment.json", "log.jsonl", "report.html", ".lock"),
    *("samples/real/pieces.json", "samples/step-00000002/pieces.json", "samples/step-00000002/000.png"),
    *(f"{CHECKPOINT}/{name}" for name in ("manifest.json", "training.json", "generator.safetensors")),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run of two steps with a picture among its samples."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYGAN_CACHE", str(folder / "cache"))
        set_catalogue(load_catalogue(files=[survival.TOY], disabled=["tensorboard"]))
        facts = {"steps": 2, "precision": "fp32", "hang_timeout": 0, "sample_every": 2, "save_every": 1, "log_every": 2}
        polygan.train("points/mlp", "ring", runs=str(folder), name="run", quiet=True, **facts)
        set_catalogue(None)
    step = folder / "run/samples/step-00000002"
    (step / "000.png").write_bytes(b"\x89PNG")
    (step / "pieces.json").write_text(json.dumps([{"caption": "", "png": "000.png"}, {"caption": "", "text": "ours"}]))
    (folder / "run/report.html").unlink()
    return folder / "run"


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """A copy of the run as a stranger hands it over, and ``mine`` beside it. A command that hangs is ended."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("polygan.report.charts.chart", lambda points, name: "")  # drawing is slow, and reads no file
    set_catalogue(load_catalogue(files=[survival.TOY], disabled=["tensorboard"]))
    shutil.copytree(made, "run")
    Path("mine").mkdir()
    Path("mine/key").write_text(SECRET)
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("the command hangs"))
    signal.alarm(120)
    yield Path("run")
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    set_catalogue(None)


def play(command, capsys):
    """Run a command; its exit code and what it said. Nothing of mine is changed or shown, and no traceback."""
    with pytest.raises(SystemExit) as end:
        cli.main([*survival.PLUGIN, *COMMANDS[command]])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert [p.name for p in Path("mine").iterdir()] == ["key"]
    assert Path("mine/key").read_text() == SECRET
    written = [p.read_text(errors="replace") for p in (Path("run/report.html"), Path("run/log.jsonl")) if is_small(p)]
    for page in (said.out, said.err, *written):
        assert SECRET not in page
        assert base64.b64encode(SECRET.encode())[:-4].decode() not in page
    return end.value.code or 0, said.err


def is_small(path):
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20


def put(path, make):
    """Put something else in the place of a file."""
    path.unlink(missing_ok=True)
    make(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_in_a_run_shows_and_changes_nothing_of_mine(command, name, run, capsys):
    put(run / name, lambda path: path.symlink_to(Path("mine/key").absolute()))
    code, said = play(command, capsys)
    if (command == "resume" and "/" not in name) or (command != "report" and name in ("config.yaml", "data.json")):
        assert code == 2
        assert f"{Path(name).name}" in said
        assert "symbolic link" in said


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_in_a_run_lets_no_command_wait(command, name, run, capsys):
    put(run / name, os.mkfifo)
    play(command, capsys)


@pytest.mark.parametrize("name", [name for name in FILES if name not in (".lock", "report.html")])
@pytest.mark.parametrize("command", ["report", "generate"])
def test_a_file_of_a_terabyte_is_not_read(command, name, run, capsys):
    with (run / name).open("r+b") as file:
        file.truncate(1 << 40)
    play(command, capsys)


def test_a_folder_that_leads_out_is_neither_read_nor_written(run, capsys):
    shutil.copytree(run / "samples", "elsewhere")
    shutil.rmtree(run / "samples/step-00000002")
    (run / "samples/step-00000002").symlink_to(Path("elsewhere/step-00000002").absolute())
    assert play("report", capsys)[0] == 0
    page = (run / "report.html").read_text()
    assert "a symbolic link that leads out of run; replace the link with a copy" in page
    assert "ours" not in page
    assert play("resume", capsys)[0] == 2


@pytest.mark.parametrize("target", ["config.yaml", "log.jsonl", "mine"])
def test_generating_overwrites_nothing_behind_a_link(target, run, capsys):
    """Also not what lies in the run itself."""
    place = Path("mine/key").absolute() if target == "mine" else (run / target).absolute()
    before = place.read_bytes()
    (run / "generated").mkdir()
    (run / "generated/points.npy").symlink_to(place)
    with pytest.raises(SystemExit):
        cli.main([*survival.PLUGIN, "generate", "run", "-n", "2"])
    capsys.readouterr()
    assert place.read_bytes() == before


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.yaml", BOMB),
        ("config.yaml", "[" * 100_000),
        ("data.json", "[" * 100_000),
        ("data.json", '{"format": 1, "info": ' + "9" * 5_000 + "}"),
        ("environment.json", '{"a":' * 5_000 + "1" + "}" * 5_000),
        ("log.jsonl", "[" * 100_000 + "\n" + '{"event": "logged", "step": ' + "9" * 5_000 + "}\n"),
        ("samples/real/pieces.json", "[" * 100_000),
        (f"{CHECKPOINT}/manifest.json", "[" * 100_000),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_text_that_expands_is_refused_or_left_out(command, name, text, run, capsys):
    (run / name).write_text(text)
    code, said = play(command, capsys)
    if name in ("config.yaml", "data.json") and command != "report":
        assert code == 2
        assert name in said
    else:
        assert code == 0


def test_a_checkpoint_larger_than_the_networks_need_is_not_read(run, capsys):
    path = run / CHECKPOINT / "generator.safetensors"
    manifest = json.loads((path.parent / "manifest.json").read_text())
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    manifest["files"][path.name]["size"] = 1 << 40
    path.with_name("manifest.json").write_text(json.dumps(manifest))
    signing = path.with_name("manifest.json")
    survival.sign(signing)
    code, said = play("generate", capsys)
    assert code == 0
    assert "generator.safetensors has 1,099,511,627,776 bytes, and this recipe's generator needs at most" in said
    assert "trying an older checkpoint" in said


def test_what_settings_name_to_start_from_is_no_pipe(run, capsys):
    """A run without a checkpoint starts from the networks that its config.yaml names."""
    shutil.rmtree(run / "checkpoints")
    os.mkfifo("pipe.safetensors")
    text = (run / "config.yaml").read_text().replace("init_from: ''", "init_from: pipe.safetensors")
    assert "pipe.safetensors" in text
    (run / "config.yaml").write_text(text)
    code, said = play("resume", capsys)
    assert code == 1
    assert "pipe.safetensors is neither a run" in said


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_an_exported_model_is_a_regular_file(name, make, run, capsys):
    polygan.load(run).export("model.safetensors")
    put(Path(name), make)
    if name == "model.json":
        assert polygan.load("model.safetensors").step == 2  # the facts are within the model too
        return
    with pytest.raises(polygan.CheckpointError, match=r"it is a (pipe|folder|device)"):
        polygan.load("model.safetensors")


def test_every_test_that_the_policy_names_is_there():
    root = Path(__file__).parents[2]
    named = set(re.findall(r"`(tests/[^`]+)`", (root / "SECURITY.md").read_text(encoding="utf-8")))
    assert len(named) > 10
    coming = {"tests/core/scoring/test_trust.py", "tests/image/scores/test_chosen.py"}  # made with the flag for code
    assert {name for name in named if not (root / name).is_file()} <= coming
