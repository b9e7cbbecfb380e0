"""Facts that are found once and kept."""

from __future__ import annotations

import pytest

from polygan.data import DataSettings, remembered


def test_facts_are_found_once_for_each_identity(tmp_path):
    settings, found = DataSettings(cache=str(tmp_path)), []

    def find():
        found.append(1)
        return {"sizes": [[1, 2]], "n": len(found)}

    assert remembered(settings, "a", find) == remembered(settings, "a", find) == {"sizes": [[1, 2]], "n": 1}
    assert remembered(settings, "b", find)["n"] == 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"found"', b'{"other": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_no_error(tmp_path, content):
    settings = DataSettings(cache=str(tmp_path))
    remembered(settings, "a", lambda: 1)
    next((tmp_path / "learned").iterdir()).write_bytes(content)
    assert remembered(settings, "a", lambda: 2) == 2
    assert remembered(settings, "a", lambda: 3) == 2


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    assert remembered(DataSettings(cache=str(tmp_path / "file")), "a", lambda: 5) == 5
