"""environment.json: what decides results is in it, and nothing that names a person or a home folder."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from polygan.record import environment as module
from polygan.record.environment import commit_of, environment, packages, without_home


def plugin(name, where="", distribution="", status="loaded"):
    return SimpleNamespace(name=name, module=where, distribution=distribution, version="1.0", status=status)


def facts(*plugins, handed=None):
    return environment(torch.device("cpu"), "fp32", SimpleNamespace(plugins=plugins, handed=handed or {}))


def test_what_a_script_handed_in_is_named_without_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert facts(handed={"toy/Mine": str(tmp_path / "mine.py")})["handed"] == {"toy/Mine": "~/mine.py"}
    assert "handed" not in facts()


def test_it_names_programs_processor_and_packages():
    found = facts(plugin("numbers", "numbers_plugin", "numpy"))
    assert found["packages"]["torch"] in torch.__version__
    assert found["packages"].keys() >= {"polygan", "numpy", "torch", "safetensors"}
    assert found["processor"]
    assert found["plugins"] == {"numbers": "numpy 1.0"}
    assert found["plugin_files"] == {}
    json.dumps(found)


def test_a_local_plugin_file_is_named_with_its_checksum(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("x = 1\n")
    loaded = (plugin("mine", str(path)), plugin("gone", str(tmp_path / "gone.py")), plugin("off", "off.py", status="disabled"))  # fmt: skip
    files = facts(*loaded)["plugin_files"]
    assert files["mine"] == {"file": "mine.py", "sha256": hashlib.sha256(b"x = 1\n").hexdigest()}
    assert files["gone"] == {"file": "gone.py", "sha256": ""}
    assert "off" not in files


def test_it_holds_no_host_and_no_path_of_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "zz-user"))
    monkeypatch.setattr(platform, "node", lambda: "zz-host")
    mine = f"{tmp_path}/zz-user/my plugins/mine.py"
    monkeypatch.setattr(sys, "argv", ["/bin/polygan", "--plugin", mine, "train", f"--data={tmp_path}/zz-user/birds"])
    found = facts(plugin("mine", mine))
    assert found["plugins"] == {"mine": "~/my plugins/mine.py"}
    assert found["command"] == "polygan --plugin '~/my plugins/mine.py' train --data=~/birds"
    assert "zz-" not in json.dumps(found)


def test_only_the_home_folder_itself_is_replaced(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert without_home("/home/me/a /home/me /home/mean/b") == "~/a ~ /home/mean/b"
    monkeypatch.setenv("HOME", "/")
    assert without_home("/a/b") == "/a/b"


def test_a_package_that_is_not_installed_is_left_out():
    assert "no-such-package" not in packages(["no-such-package", ""])


def test_without_a_checkout_no_git_is_called(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("git was called"))
    assert commit_of(tmp_path / "polygan") == ""
    (tmp_path / ".git").mkdir()
    assert commit_of(tmp_path / ".venv/lib/site-packages/polygan") == ""  # the checkout of something else


@pytest.mark.parametrize("answer", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 10), "not a commit\n"])
def test_a_git_that_does_not_answer_gives_no_commit(tmp_path, monkeypatch, answer):
    (tmp_path / ".git").mkdir()

    def run(*_, **__):
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(stdout=answer)

    monkeypatch.setattr(subprocess, "run", run)
    assert commit_of(tmp_path) == ""
    assert "commit" not in _with(monkeypatch, tmp_path)


def _with(monkeypatch, folder):
    monkeypatch.setattr(module, "__file__", str(folder / "record/environment.py"))
    return facts()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_of_a_checkout_is_in_it(tmp_path, monkeypatch):
    def git(*words):
        named = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path), *named, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "a.py").write_text("")
    git("add", "a.py")
    git("commit", "-qm", "first")
    git("tag", "v1")
    (tmp_path / "record").mkdir()
    found = _with(monkeypatch, tmp_path)
    assert found["commit"] == git("rev-parse", "HEAD")
    (tmp_path / "a.py").write_text("x = 1")
    commit_of.cache_clear()
    assert _with(monkeypatch, tmp_path)["commit"] == f"{git('rev-parse', 'HEAD')}-dirty"
