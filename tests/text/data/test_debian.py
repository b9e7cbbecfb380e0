"""Pairs from a Translation file of Debian. All descriptions here are made up."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_text import datasets
from polygan_text.data.debian import entries_of
from polygan_text.data.settings import DebianSettings

TOOLS = [("tea", "brews tea"), ("bread", "bakes bread"), ("snow", "shovels snow"), ("kites", "flies kites")]
MADE_UP = "\n".join(
    f"Package: lib{name}-{kind}\nDescription-md5: {name}{kind}\nDescription-en: library that {does} ({kind})\n"
    f" This library {does}.\n   * It has a {kind}.\n .\n It is  made of {name}.\n"
    for name, does in TOOLS
    for kind in ("manual", "header", "program")
)


def opened(folder: Path, content: str | bytes = MADE_UP, name: str = "Translation-en", **settings):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    options = DebianSettings(source="debian", cache=str(folder / "cache"), file=str(folder / name), **settings)
    return datasets.debian(options), options


def pairs(made, options):
    split = split_store(build_store(made, options, progress=False), 0.0)["train"]
    rows = np.sort(split.rows)
    return list(zip(DOMAIN.given(split, rows).data, DOMAIN.real(split, rows).data, strict=True))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_summaries_are_made_from_long_descriptions(tmp_path, pack):
    """Paragraphs are joined, items of lists stay text, and the name of the package is in neither side."""
    found = pairs(*opened(tmp_path, pack(MADE_UP.encode()), held_out=0.0))
    assert len(found) == 12
    assert found[0] == (
        "This library brews tea. * It has a manual. It is made of tea.",
        "library that brews tea (manual)",
    )
    assert not any("libtea" in side for pair in found for side in pair)


def test_each_description_and_each_package_is_one_pair(tmp_path):
    again = MADE_UP.split("\n\n")[0].replace("libtea-manual", "libtea-again")
    newer = "Package: libtea-manual\nVersion: 2\nDescription: a second one\n Long text.\n"
    alone = "Package: x\nDescription-md5: 1\nDescription-en: only a summary\n .\n"
    made, options = opened(tmp_path, "\n\n".join([MADE_UP.strip(), again, newer, alone]), held_out=0.0)
    assert len(pairs(made, options)) == 12
    assert [tuple(left)[:2] for left in made.left_out] == [
        (1, "packages without a long description"),
        (2, "repeated descriptions"),
    ]
    assert made.left_out[1].example == "Translation-en line 99"
    assert made.name(1) == "Translation-en line 11"
    assert opened(tmp_path, MADE_UP)[0].fingerprint() != made.fingerprint()


def test_fields_of_other_kinds_and_line_ends_of_windows_are_read():
    text = b"Package: a\r\nDepends: b,\r\n c\r\nDescription: short\r\n long\r\n .\r\n text\r\nTag: x,\r\n y\r\n\r\nPackage: b\r\n"
    (entry,) = entries_of(text)
    assert (entry.place, entry.package, entry.short, entry.long) == (4, b"a", b"short", b"long text")


def test_a_description_that_is_no_text_is_named(tmp_path):
    broken = b"Package: z\nDescription-en: stra\xdfe\n long\n\nPackage: y\nDescription-en: y\n stra\xdfe\n\n"
    made, options = opened(tmp_path, broken + MADE_UP.encode(), max_bad=0.5)
    assert build_store(made, options, progress=False).bad == [
        "Translation-en line 2: is not UTF-8 (byte 0xdf at 5); convert the file",
        "Translation-en line 6: has a source that is not UTF-8 (byte 0xdf at 5); convert the file",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("hello\nworld\n", "holds no descriptions of packages; name a Translation-en file"),
        ("Package: a\nDescription: short\n", "has summaries alone; name a Translation-en file"),
        (lzma.compress(MADE_UP.encode())[:-20], r"cannot be read \(.*\); repair the file"),
        (b"\x04\x22\x4d\x18abc", r"is packed by lz4, .* lz4 -d "),
        (gzip.compress(b" " * 1_000_001), r"holds more than 1 MB of text; raise --data\.max_megabytes"),
    ],
)
def test_a_file_without_descriptions_is_said(tmp_path, content, problem):
    with pytest.raises(DataError, match=problem):
        opened(tmp_path, content, max_megabytes=1)


def test_the_set_debian_says_how_to_get_its_file(tmp_path):
    with pytest.raises(
        ConfigError, match=r"data\.file is empty.*/var/lib/apt/lists/\*Translation-en\*.*Translation-en\.xz"
    ):
        datasets.debian(DebianSettings())
    with pytest.raises(DataError, match=r"'nowhere': there is no such file; on Debian"):
        datasets.debian(DebianSettings(file="nowhere"))
    for settings in (
        {"given": "article"},
        {"column": "x"},
        {"test": "x"},
        {"label_column": "x"},
        {"documents": "file"},
    ):
        with pytest.raises(ConfigError, match=f"data.{next(iter(settings))} = .*: the set debian makes short texts"):
            opened(tmp_path, **settings)
    assert len(opened(tmp_path, given="long", column="short")[0]) == 12
