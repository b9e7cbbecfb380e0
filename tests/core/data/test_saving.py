"""Samples in a folder replace the earlier samples as a whole, and nothing of a user is lost or mixed with samples."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from polygan import ConfigError, DataError
from polygan.data import saving
from polygan.data.saving import LIST, check_folder, file_suffix, save_folder

SUFFIXES = (".txt",)


def writer(*names, text="made", fail=None):
    """Writes files of these names into the folder that it is given."""

    def write(folder):
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        if fail:
            raise fail(folder)
        return [folder / name for name in names]

    return write


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file() and p.name != LIST)


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("a.PNG", ".png"),
        ("walk.mp4", ".mp4"),
        ("x.safetensors", ".safetensors"),
        ("deep.er/out", ""),
        ("run-1.5", ""),
        ("samples.v2/", ""),
        ("samples.v2", ".v2"),
        (".hidden", ""),
        ("there.png", ""),
    ],
)
def test_a_path_names_a_file_or_a_folder(tmp_path, monkeypatch, path, suffix):
    monkeypatch.chdir(tmp_path)
    Path("there.png").mkdir()
    assert file_suffix(path) == suffix


def test_fewer_samples_replace_more(tmp_path):
    assert save_folder(tmp_path / "out", writer("0.txt", "1.txt", "all/2.txt"), SUFFIXES) == [
        tmp_path / "out" / name for name in ("0.txt", "1.txt", "all/2.txt")
    ]
    save_folder(tmp_path / "out", writer("0.txt", text="new"), SUFFIXES)
    assert files(tmp_path / "out") == ["0.txt"]
    assert (tmp_path / "out/0.txt").read_text() == "new"
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.is_file()) == [LIST, "0.txt"]


def test_files_of_other_kinds_stay(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    for names in (("0.txt", "1.txt"), ("0.txt",)):
        save_folder(tmp_path, writer(*names), SUFFIXES)
        assert files(tmp_path) == [*names, "notes.md"]


def test_a_folder_with_files_of_this_kind_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "mine.TXT").write_text("mine")
    for act in (
        lambda: check_folder(tmp_path, SUFFIXES),
        lambda: save_folder(tmp_path, writer("0.txt"), SUFFIXES),
    ):
        with pytest.raises(
            ConfigError, match=r"holds a file that polygan did not write there \(e.g. mine.TXT\).*--out"
        ):
            act()
    assert files(tmp_path) == ["mine.TXT"]
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file is a file; name another folder"):
        check_folder(tmp_path / "file", SUFFIXES)


def test_a_file_that_its_user_changed_is_not_replaced(tmp_path):
    save_folder(tmp_path, writer("0.txt", "1.txt"), SUFFIXES)
    (tmp_path / "1.txt").write_text("retouched by hand")
    with pytest.raises(ConfigError, match=r"e.g. 1.txt"):
        save_folder(tmp_path, writer("0.txt", text="new"), SUFFIXES)
    assert [(tmp_path / name).read_text() for name in ("0.txt", "1.txt")] == ["made", "retouched by hand"]


def test_a_name_that_is_taken_by_another_kind_is_refused(tmp_path):
    (tmp_path / "labels").write_text("mine")
    with pytest.raises(ConfigError, match=r"e.g. labels"):
        save_folder(tmp_path, writer("0.txt", "labels"), SUFFIXES)
    assert files(tmp_path) == ["labels"]


@pytest.mark.parametrize("fail", [lambda folder: DataError(f"{folder}/0.txt: odd"), lambda _: OSError(28, "disk full")])
def test_a_write_that_fails_leaves_the_earlier_samples(tmp_path, fail):
    out = tmp_path / "out"
    with pytest.raises((DataError, OSError)):
        save_folder(out, writer("0.txt", fail=fail), SUFFIXES)
    assert not out.exists()
    save_folder(out, writer("0.txt", "1.txt"), SUFFIXES)
    with pytest.raises((DataError, OSError)) as error:
        save_folder(out, writer("0.txt", text="new", fail=fail), SUFFIXES)
    assert saving._WRITING not in str(error.value)
    assert files(out) == ["0.txt", "1.txt"]
    assert (out / "0.txt").read_text() == "made"


@pytest.mark.parametrize("moved", range(4))
def test_after_a_kill_in_the_middle_the_next_samples_replace_both(tmp_path, monkeypatch, moved):
    save_folder(tmp_path, writer("0.txt", "1.txt", "2.txt"), SUFFIXES)
    replace, count = Path.replace, iter(range(9))

    def killed(path, target):
        if next(count) >= moved:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save_folder(tmp_path, writer("0.txt", "a.txt", "b.txt", text="longer"), SUFFIXES)
    save_folder(tmp_path, writer("only.txt"), SUFFIXES)
    assert files(tmp_path) == ["only.txt"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 100_000,
        json.dumps({"files": {"../mine.txt": [4], "/etc/hostname": [1], "link.txt": [4]}}),
        json.dumps({"files": {"gone.txt": None, "0.txt": 3}}),
        json.dumps({"files": [["a", 1]]}),
    ],
)
def test_a_list_of_somebody_else_removes_nothing(tmp_path, content):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    (out / "link.txt").symlink_to("../mine.txt")
    (out / LIST).write_text(content)
    with pytest.raises(ConfigError, match=r"e.g. link.txt"):
        save_folder(out, writer("0.txt"), SUFFIXES)
    (out / "link.txt").unlink()
    save_folder(out, writer("0.txt"), SUFFIXES)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert files(out) == ["0.txt"]


def test_files_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        save_folder(tmp_path / "out", writer("0.txt"), SUFFIXES)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "out").iterdir()} == {0o640}
