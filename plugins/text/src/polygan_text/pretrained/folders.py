"""Folders of `transformers`: where a name leads, what is refused, and whether the weights are still the same.

Nothing is downloaded. An id of the Hub works if the model lies in the local cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from polygan import ConfigError, did_you_mean

TRUST = "POLYGAN_TRUST_REMOTE_CODE"
"""The environment variable that allows a model's own Python code where a run is opened again."""
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_MOST = 1 << 20  # bytes of a file of JSON


def cached(name: str) -> Path | None:
    """The folder in the local cache of the Hub that holds the model ``name`` (``gpt2`` or ``owner/model``); None without one."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # the text is no id
        return None
    return Path(found).parent if isinstance(found, str) else None


def place_of(name: str) -> Path | None:
    """The folder that a name means: a path, or else an id of the Hub in the local cache; None where there is neither."""
    path = Path(name).expanduser()
    return path.resolve() if path.is_dir() else cached(name)


def find(name: str, setting: str, known: tuple[str, ...]) -> tuple[str, Path]:
    """The name under which a run remembers the folder, and the folder. ``known`` are the values that need no folder.

    A path becomes absolute, because a run is opened from anywhere; an id stays an id. Raises ConfigError where there is no folder.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path.resolve()), path.resolve()
    if (found := cached(name)) is not None:
        return name, found
    like_id = not name.startswith((".", "/", "~")) and name.count("/") <= 1 and " " not in name
    hub = f"; a model of the Hub must lie in the local cache first (`hf download {name}`)" if like_id else ""
    raise ConfigError(
        f"model.{setting} = {name!r}{did_you_mean(name, known)}: known are {', '.join(known)}, and there is no such folder in "
        f"{Path.cwd()}{hub}"
    )


def read_json(path: Path) -> dict[str, Any]:
    """The content of a file of JSON; an empty mapping where there is no file. Raises ConfigError for other content."""
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
        found = json.loads(data) if len(data) <= _MOST else None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as JSON ({error}); save the model again") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds no settings of a model; save the model again with save_pretrained")
    return found


def check(folder: Path, setting: str, *, trusted: bool) -> None:
    """Refuse a folder that polygan cannot use or should not open. Raises ConfigError, which says what is missing.

    Needed are config.json, tokenizer.json, and weights as safetensors. Pickles are never opened. Python code of the folder is
    refused unless ``trusted``; a model that transformers knows needs no such code.
    """
    where = f"model.{setting} = {str(folder)!r}"
    config = read_json(folder / "config.json")
    if not config:
        raise ConfigError(f"{where}: the folder has no config.json; save the model into it with save_pretrained")
    if (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"{where}: the folder holds adapters of another model; merge them into the model (merge_and_unload of peft) and save that"
        )
    if not any(folder.glob("*.safetensors")):
        if any(found for pattern in _PICKLES for found in folder.glob(pattern)):
            raise ConfigError(
                f"{where}: the weights are pickles, which can run any code when they are opened, and are refused; save them "
                "again as safetensors with save_pretrained"
            )
        raise ConfigError(f"{where}: the folder has no weights (*.safetensors); save the model with save_pretrained")
    if not (folder / "tokenizer.json").is_file():
        raise ConfigError(
            f"{where}: the folder has no tokenizer.json, so nothing says what its tokens are; save the model's fast tokenizer "
            "into the folder with save_pretrained"
        )
    if config.get("quantization_config"):
        raise ConfigError(f"{where}: the weights are quantised and cannot be trained; name a folder with whole weights")
    if asks_for_code(folder) and not trusted:
        raise ConfigError(
            f"{where}: the model needs Python code of its own, which could do anything; if you have read the code and trust it, add "
            f"--model.trust_remote_code true (and set {TRUST}=1 to open a run of it later)"
        )


def asks_for_code(folder: Path) -> bool:
    """Whether transformers would have to run Python code of the folder."""
    from transformers import CONFIG_MAPPING

    config, tokenizer = read_json(folder / "config.json"), read_json(folder / "tokenizer_config.json")
    foreign = config.get("model_type") not in CONFIG_MAPPING and bool(config.get("auto_map"))
    return foreign or bool(tokenizer.get("auto_map"))


def trusted(config: Any) -> bool:
    """Whether the user typed that a model's own code may run, as a setting or in the environment."""
    return bool(config.trust_remote_code) or os.environ.get(TRUST) == "1"


def digest(folder: Path) -> str:
    """The SHA-256 of a folder's weights, names and content of all files in order. Files that have not changed are read once."""
    files = sorted(folder.glob("*.safetensors"))
    stats = [(file, file.stat()) for file in files]
    return _digest(tuple((str(file), s.st_size, s.st_mtime_ns) for file, s in stats))


@lru_cache(maxsize=16)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    found = hashlib.sha256()
    for name, size, _ in files:
        found.update(f"{Path(name).name} {size}\n".encode())
        with open(name, "rb") as opened:
            while piece := opened.read(1 << 20):
                found.update(piece)
    return found.hexdigest()


def one_line(error: BaseException) -> str:
    """The first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
