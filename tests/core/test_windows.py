"""What differs on Windows, simulated: no signals of pipes, no flock, names of devices, narrow encodings, backslashes."""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest

from polygan import ConfigError
from polygan.cli import command_line, main
from polygan.cli.output import only_json, print_json
from polygan.data import saving
from polygan.data.cache import folders, overview
from polygan.runs.folder import locked
from polygan.settings.trainer import RunSettings


def test_a_closed_pipe_ends_a_command_without_the_signal_s_name(monkeypatch):
    def closed(_words):
        raise BrokenPipeError

    monkeypatch.setattr(command_line, "_run", closed)
    monkeypatch.delattr(signal, "SIGPIPE", raising=False)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(fileno=lambda: 1, flush=lambda: None))
    with pytest.raises(SystemExit) as end:
        main(["list"])
    assert end.value.code == 141


def test_json_needs_no_c_library_without_a_name(monkeypatch, capfd):
    def on_windows(name):
        raise TypeError("argument of type 'NoneType' is not iterable")

    monkeypatch.setattr(ctypes, "CDLL", on_windows)
    with only_json():
        print("noise")
        print_json({"a": 1})
    assert json.loads(capfd.readouterr().out) == {"a": 1}


class Msvcrt:
    """The locks of Windows, for one process: a file is locked once, and by its name."""

    LK_NBLCK = 2

    def __init__(self):
        self.held = set()

    def locking(self, handle, how, count):
        assert (how, count) == (self.LK_NBLCK, 1)
        assert os.lseek(handle, 0, os.SEEK_CUR) == 0
        key = os.fstat(handle).st_ino
        if key in self.held:
            raise PermissionError(13, "Permission denied")
        self.held.add(key)


@pytest.fixture
def windows_locks(monkeypatch):
    monkeypatch.setattr(folders, "fcntl", None)
    monkeypatch.setattr(folders, "msvcrt", Msvcrt())


def test_a_run_is_locked_by_msvcrt(windows_locks, tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(ConfigError, match="is being trained by another process"),
        locked(tmp_path),
    ):
        pass


def test_a_system_without_any_locks_trains_without(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "fcntl", None)
    monkeypatch.setattr(folders, "msvcrt", None)
    with locked(tmp_path), locked(tmp_path):
        pass


def test_decoded_data_with_an_open_file_stays_in_the_cache(windows_locks, tmp_path, monkeypatch):
    store = tmp_path / "store"
    store.mkdir()
    (store / "array").write_bytes(b"x")
    kept = overview.Kept("decoded data", "", (store,), 1, 0.0)

    def in_use(self, _target):
        raise PermissionError(13, "the file is used by another process")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", in_use)
        assert not kept.remove()
    assert (store / "array").read_bytes() == b"x"
    assert kept.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["CON", "nul", "aux.1", "COM1", "lpt9.run", "run.", "run "])
def test_a_run_cannot_be_named_like_a_device_or_end_in_a_dot_on_windows(name, monkeypatch):
    assert RunSettings(name=name).name == name  # other systems take it
    monkeypatch.setattr("polygan.settings.trainer.os", SimpleNamespace(name="nt"))
    with pytest.raises(ConfigError, match=r"Windows keeps for itself or shortens: choose another --name, e\.g\. run-"):
        RunSettings(name=name)


@pytest.mark.parametrize("name", ["console", "nullify", "com", "com10", "run.1", "a-con"])
def test_names_that_only_look_alike_are_taken_on_windows(name, monkeypatch):
    monkeypatch.setattr("polygan.settings.trainer.os", SimpleNamespace(name="nt"))
    assert RunSettings(name=name).name == name


@pytest.mark.parametrize("words", [["--help"], ["list"], ["generate", "--help"], ["completion", "fish"]])
def test_a_console_of_one_byte_a_character_ends_no_command(words, monkeypatch):
    written = io.BytesIO()
    console = io.TextIOWrapper(written, encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    with pytest.raises(SystemExit) as end:
        main(words)
    console.flush()
    assert not end.value.code
    assert written.getvalue().decode("cp1252").strip()


def test_the_list_of_saved_files_has_slashes(tmp_path, monkeypatch):
    def write(staging):
        (staging / "cat").mkdir()
        (staging / "cat" / "1.png").write_bytes(b"1")
        return [staging / "cat" / "1.png"]

    def fspath(path):  # as os.fspath on Windows writes a relative path
        return str(PureWindowsPath(path)) if isinstance(path, Path) and not path.is_absolute() else os.fspath(path)

    monkeypatch.setattr(
        saving, "os", SimpleNamespace(**{n: getattr(os, n) for n in dir(os) if n != "fspath"}, fspath=fspath)
    )
    saving.save_folder(tmp_path / "out", write, [".png"])
    listed = json.loads((tmp_path / "out" / saving.LIST).read_text("utf-8"))
    assert list(listed["files"]) == ["cat/1.png"]
