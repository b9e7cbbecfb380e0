"""Reads of files that may come from a stranger: regular files, of bounded size, depth and numbers."""

from __future__ import annotations

import io
import os
import stat

import pytest

from polygan import reading
from polygan.reading import Refused, parse_json, read_bytes, read_lines, read_text


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("mine")
    return path


def test_a_link_is_read_only_where_the_user_names_it(tmp_path, secret):
    (tmp_path / "link").symlink_to(secret)
    with pytest.raises(Refused, match=r"it is a symbolic link, .*replace it with a copy of the file"):
        read_bytes(tmp_path / "link", 100)
    assert read_bytes(tmp_path / "link", 100, named=True) == b"mine"


def test_a_link_that_appears_between_look_and_open_is_not_followed(tmp_path, secret, monkeypatch):
    (tmp_path / "link").symlink_to(secret)
    monkeypatch.setattr(reading, "_check", lambda found: None)
    with pytest.raises(OSError, match="symbolic links"):
        read_bytes(tmp_path / "link", 100)


def test_no_folder_on_the_way_leads_out(tmp_path, secret):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/samples").symlink_to(tmp_path)
    with pytest.raises(Refused, match=r"its folder is a symbolic link that leads out of .*run; replace"):
        read_bytes(tmp_path / "run/samples/secret", 100, within=tmp_path / "run")
    (tmp_path / "run/real").mkdir()
    (tmp_path / "run/real/x").write_text("ours")
    (tmp_path / "run/newest").symlink_to("real")
    assert read_bytes(tmp_path / "run/newest/x", 100, within=tmp_path / "run") == b"ours"
    (tmp_path / "run/circle").symlink_to("circle")
    with pytest.raises(OSError):
        read_bytes(tmp_path / "run/circle/x", 100, within=tmp_path / "run")


@pytest.mark.parametrize("named", [False, True])
def test_pipes_devices_and_folders_are_refused_at_once(tmp_path, named):
    os.mkfifo(tmp_path / "pipe")  # a plain open would wait for a writer
    with pytest.raises(Refused, match="it is a pipe"):
        read_bytes(tmp_path / "pipe", 100, named=named)
    with pytest.raises(Refused, match="it is a folder"):
        read_bytes(tmp_path, 100, named=named)
    with pytest.raises(Refused, match="it is a device"):
        read_bytes(tmp_path.__class__("/dev/zero"), 100, named=named)


def test_a_pipe_that_appears_between_look_and_open_does_not_hang(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    looks = []
    check = reading._check
    monkeypatch.setattr(reading, "_check", lambda found: looks.append(found) or (len(looks) > 1 and check(found)))
    with pytest.raises(Refused, match="it is a pipe"):
        read_bytes(tmp_path / "pipe", 100)
    assert len(looks) == 2
    assert all(stat.S_ISFIFO(found.st_mode) for found in looks)


def test_a_large_file_is_refused_by_its_size(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(
        Refused, match=r"it has 1,099,511,627,776 bytes, and polygan reads at most 100 .*restore the file"
    ):
        read_bytes(tmp_path / "x", 100)
    (tmp_path / "y").write_bytes(b"a" * 100)
    assert len(read_bytes(tmp_path / "y", 100)) == 100


def test_text_that_is_no_utf_8_is_an_error_or_replaced(tmp_path):
    (tmp_path / "x").write_bytes(b"a\xff")
    with pytest.raises(ValueError, match="invalid start byte"):
        read_text(tmp_path / "x")
    assert read_text(tmp_path / "x", errors="replace") == "a\ufffd"


def test_lines_come_one_at_a_time_and_long_lines_are_skipped():
    text = b"a\n" + b"x" * 25 + b"\n\nb\xff\n" + b"y" * 10 + b"\nc"
    assert list(read_lines(io.BytesIO(text), 10)) == ["a", None, "", "b\ufffd", None, "c"]
    assert list(read_lines(io.BytesIO(b""))) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "levels of nesting"),
        ("[" * 65 + "]" * 65, "levels of nesting"),
        ('{"a":' * 900 + "1" + "}" * 900, "levels of nesting"),
        ("[" + "9" * 400 + "]", "an integer of 400 digits"),
        ("9" * 5_000, "an integer of 5,000 digits"),
        ("[" + "0," * 4_000_001 + "0]", "more than 4,000,000 values"),
        ("{", "Expecting"),
        (b"\xff", "invalid start byte"),
    ],
)
def test_json_is_bounded(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_usual_json_is_read():
    assert parse_json(b'{"a": [1, 2.5, null, "[[["]}') == {"a": [1, 2.5, None, "[[["]}
    flat = [[1]] * 1_000
    assert parse_json(str(flat)) == flat
    assert parse_json(str(2**64)) == 2**64
