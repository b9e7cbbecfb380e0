"""onnxruntime-web (MIT licence), which runs a network in the browser: found in a folder, or brought once from the npm registry."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from polygan import CheckpointError, ConfigError, DataSettings, cache_folder

VERSION = "1.30.0"
ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""The SHA-512 of the archive in base64, as the registry has it."""
FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""The files of the package that a page needs, with their SHA-256."""
PLACE = "POLYGAN_ONNXRUNTIME_WEB"
"""The environment variable that names a folder with the package, or its archive (.tgz)."""
_LARGEST = 200_000_000  # bytes of an archive
_SECONDS = 60


def runtime_files() -> dict[str, bytes]:
    """The files of `FILES`: from what $POLYGAN_ONNXRUNTIME_WEB names, else from polygan's cache, else from the npm registry.

    The variable may name an unpacked package of another version. What comes from the registry must have the checksums of this version.
    ConfigError where a file is missing, CheckpointError where the registry cannot be reached or sends something else.
    """
    if named := os.environ.get(PLACE):
        return _named(Path(named).expanduser())
    folder = cache_folder(DataSettings()) / "fetched" / "npm" / f"onnxruntime-web-{VERSION}"
    try:
        return _checked({name: (folder / name).read_bytes() for name in FILES})
    except (OSError, CheckpointError):  # not there yet, or damaged: bring the files again
        files = _checked(_unpacked(_fetched(), ADDRESS))
        _keep(folder, files)
        return files


def licences() -> dict[str, bytes]:
    """The licence of ONNX Runtime and the notices of what its binaries contain, as the Python package has them, by file name."""
    found: dict[str, bytes] = {}
    spec = find_spec("onnxruntime")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        if not (folder / name).is_file():
            raise ConfigError(
                f"the Python package onnxruntime lacks {name}, which a page must carry: install it by pip"
            )
        found[name] = (folder / name).read_bytes()
    return found


def _named(place: Path) -> dict[str, bytes]:
    """The files in a folder (the package, or its ``dist``) or an archive that the user names."""
    if place.is_file():
        return _unpacked(place.read_bytes(), str(place))
    for folder in (place, place / "dist", place / "package" / "dist"):
        if all((folder / name).is_file() for name in FILES):
            return {name: (folder / name).read_bytes() for name in FILES}
    raise ConfigError(
        f"{PLACE} = {place} has no {' and '.join(FILES)}: name the folder of the npm package onnxruntime-web, or its .tgz"
    )


def _fetched() -> bytes:
    """The archive of the registry, with the right checksum."""
    remedy = f"bring onnxruntime-web {VERSION} here, and name its folder or .tgz in {PLACE}"
    try:
        with urllib.request.urlopen(ADDRESS, timeout=_SECONDS) as answer:
            data = answer.read(_LARGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", "") or error
        raise CheckpointError(f"{ADDRESS} cannot be reached ({why}): try again, or {remedy}") from None
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != INTEGRITY:
        raise CheckpointError(f"{ADDRESS} sent something else than version {VERSION} (its SHA-512 differs): {remedy}")
    return data


def _unpacked(archive: bytes, place: str) -> dict[str, bytes]:
    """The files of `FILES` in an archive of npm, where they lie in ``package/dist``. Nothing is written."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("package/dist/")
                if name in FILES and member.isfile() and (file := tar.extractfile(member)):
                    found[name] = file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ConfigError(f"{place} is no archive of npm ({error}): name the .tgz of onnxruntime-web") from None
    if missing := [name for name in FILES if name not in found]:
        raise ConfigError(f"{place} has no package/dist/{missing[0]}: name the .tgz of onnxruntime-web {VERSION}")
    return found


def _checked(files: dict[str, bytes]) -> dict[str, bytes]:
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != FILES[name]:
            raise CheckpointError(f"{name} of onnxruntime-web {VERSION} is damaged: export again")
    return files


def _keep(folder: Path, files: dict[str, bytes]) -> None:
    """Keep files in the cache, whole or not at all. A page can be written without the cache."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
            made = Path(temporary, "files")
            made.mkdir()
            for name, data in files.items():
                (made / name).write_bytes(data)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
    except OSError:
        return
