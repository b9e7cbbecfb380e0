"""What a run remembers of a pretrained folder: enough to rebuild the network, and to see whether the weights have changed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypedDict, cast

from polygan import ConfigError, DataError

from ..data.vocabulary import Vocabulary
from ..quiet import quiet_transformers
from .folders import asks_for_code, check, digest, find, one_line, trusted

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNSAFE = ("auto_map", "quantization_config", "id2label", "label2id", "dtype", "torch_dtype", "attn_implementation")


class Facts(TypedDict):
    """The facts of a folder."""

    folder: str
    """An absolute path, or an id of the Hub."""
    sha256: str
    """The hash of the weights (`digest`)."""
    tokenizer: str
    """The hash of the tokenizer (`tokenizer_hash`)."""
    config: dict[str, Any]
    """The settings of the network, as transformers writes them."""
    special: list[int]
    """The numbers of start, end and padding (`Special`)."""
    code: bool
    """Whether the network needs Python code of the folder."""


CHOICES = {"policy": ("lstm", "gpt2"), "discriminator": ("cnn", "lstm")}
"""The values of each setting that are no folders."""


def complete(config: Any) -> None:
    """Check ``policy`` and ``discriminator`` of a recipe's settings, and fill in ``pretrained``: the `Facts` of each folder as JSON.

    Facts that a saved run holds stay as they are, and their folder need not exist. Raises ConfigError for a folder that is refused.
    """
    saved, found = _saved(config.pretrained), {}
    for setting, known in CHOICES.items():
        name = getattr(config, setting)
        if name in known:
            continue
        facts = saved.get(setting)
        if facts is None or facts["folder"] != name:
            facts = _read(name, setting, known, trust=trusted(config))
        found[setting] = facts
        object.__setattr__(config, setting, facts["folder"])
    object.__setattr__(config, "pretrained", json.dumps(found, sort_keys=True) if found else "")
    if config.lora and "policy" not in found:
        raise ConfigError(
            f"model.lora = {config.lora} adapts a pretrained policy, and model.policy is {config.policy}; name a folder with "
            "--model.policy, or leave --model.lora out"
        )


def conditional(config: Any) -> Any:
    """Whether the networks know classes: pretrained networks know none. Raises ConfigError where they should."""
    own = all(getattr(config, setting) in known for setting, known in CHOICES.items())
    if not own and config.conditional == "yes":
        raise ConfigError(
            "a pretrained network knows no classes; leave --model.conditional out, or train an lstm or gpt2 with cnn or lstm"
        )
    return config.conditional if own else "no"


def kept(config: Any) -> tuple[str, ...]:
    """A sentence on what a run with adapters keeps, and what it needs; nothing for other runs."""
    if not config.lora:
        return ()
    return (
        f"This run keeps only the adapters that it trains: opening it needs {config.policy} as it is now. `polygan export --format "
        "transformers` writes a model that stands alone.",
    )


def facts_of(config: Any, setting: str) -> Facts | None:
    """The facts of the folder that a setting names; None where the setting names no folder."""
    return _saved(config.pretrained).get(setting)


def _saved(text: str) -> dict[str, Facts]:
    """The facts in a setting. Raises ConfigError for a text that polygan did not write."""
    try:
        found = json.loads(text) if text else {}
        for facts in found.values():
            ok = all(isinstance(facts[key], str) for key in ("folder", "sha256", "tokenizer"))
            special = facts["special"]
            if (
                not ok
                or not isinstance(facts["config"], dict)
                or len(special) != 3
                or not all(type(i) is int for i in special)
            ):
                raise ValueError("a fact is of another type")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"model.pretrained is not what polygan wrote ({one_line(error)}); leave it out") from None
    return cast("dict[str, Facts]", found)


def harmless(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a network without those that name code, places or number formats."""
    return {name: value for name, value in config.items() if name not in _UNSAFE and not name.startswith("_")}


def tokenizer_hash(text: str) -> str:
    """The hash of a tokenizer's JSON."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _read(name: str, setting: str, known: tuple[str, ...], *, trust: bool) -> Facts:
    """The facts of a folder on disk, after all checks."""
    from transformers import AutoConfig, AutoTokenizer

    label, folder = find(name, setting, known)
    check(folder, setting, trusted=trust)
    code = asks_for_code(folder)
    safe = {"local_files_only": True, "trust_remote_code": code}
    try:
        with quiet_transformers():
            config: Any = AutoConfig.from_pretrained(folder, **safe)
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, **safe)
        vocabulary = Vocabulary((folder / "tokenizer.json").read_text("utf-8"))
    except DataError as error:
        raise ConfigError(f"model.{setting} = {name!r}: tokenizer.json {error}") from None
    except Exception as error:  # a user's folder may raise anything
        raise ConfigError(
            f"model.{setting} = {name!r}: transformers cannot read the folder ({one_line(error)}); save model and tokenizer "
            "again with save_pretrained"
        ) from None
    return {
        "folder": label,
        "sha256": digest(folder),
        "tokenizer": tokenizer_hash(vocabulary.text),
        "config": {**harmless(json.loads(config.to_json_string(use_diff=False))), "num_labels": config.num_labels},
        "special": _special(tokenizer, config, f"model.{setting} = {name!r}"),
        "code": code,
    }


def _special(tokenizer: Any, config: Any, where: str) -> list[int]:
    """Start, end and padding of the tokenizer, else of the model's settings. Raises ConfigError for a model without an end."""

    def first(*names: str) -> int | None:
        for holder in (tokenizer, config):
            for name in names:
                found = getattr(holder, f"{name}_token_id", None)
                found = found[0] if isinstance(found, list) and found else found
                if isinstance(found, int):
                    return found
        return None

    end = first("eos", "sep")
    if end is None:
        raise ConfigError(
            f"{where}: the tokenizer has no token that ends a text (eos); set eos_token and save it again"
        )
    start, pad = first("bos", "cls"), first("pad")
    return [end if start is None else start, end, end if pad is None else pad]


def same_tokenizer(facts: Facts, info: Mapping[str, Any], setting: str) -> Vocabulary:
    """The vocabulary of the data. Raises ConfigError, with what to type, where the folder has another tokenizer."""
    from ..data.vocabulary import load_vocabulary

    text = info.get("tokenizer")
    if not isinstance(text, str):
        raise ConfigError(
            f"model.{setting} = {facts['folder']!r} reads text, and this data is only numbers; give a file of text with --data"
        )
    vocabulary = load_vocabulary(text)
    if tokenizer_hash(vocabulary.text) != facts["tokenizer"]:
        raise ConfigError(
            f"model.{setting} = {facts['folder']!r} has a vocabulary of its own, and the data is cut into tokens by another "
            f"tokenizer; add --data.tokenizer {facts['folder']}"
        )
    return vocabulary
