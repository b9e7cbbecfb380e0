"""The names of decoded samples: a zip file of JSON lists in the folder of a store, of which a reader opens the lists that it needs."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

from ...files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_FILE = "names.zip"
_EACH = 512  # names in a list


def write_names(folder: Path, names: Iterable[str]) -> None:
    """Keep the name of each row. A million names of files take a few MB."""
    rest, packed = iter(names), BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as file:
        while some := list(islice(rest, _EACH)):
            file.writestr(ZipInfo(str(len(file.filelist))), json.dumps(some), ZIP_DEFLATED, 1)
    write_bytes(folder / _FILE, packed.getvalue())


def names_of(folder: Path, rows: Sequence[int]) -> list[str]:
    """The names of rows (n,); empty where the folder has none, or only damaged ones."""
    with suppress(OSError, BadZipFile, ZlibError, ValueError, LookupError, TypeError), ZipFile(folder / _FILE) as file:
        lists = {part: json.loads(file.read(str(part))) for part in {row // _EACH for row in rows}}
        return [str(lists[row // _EACH][row % _EACH]) for row in rows]
    return []
