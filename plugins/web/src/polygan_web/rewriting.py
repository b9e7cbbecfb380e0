"""The facts of a page that rewrites texts: how a tokenizer cuts a text, in words that a script understands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from polygan import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .graphs import Graph

PARTS = ("encoder", "step")
MAIN = "step"
"""The part whose file tells what the whole is."""


def facts_of(parts: Mapping[str, Graph]) -> dict[str, Any]:
    """What a page of rewritten texts does with the graphs, as JSON. ConfigError for a tokenizer that the page's script does not know."""
    facts = parts["step"].facts
    if facts.get("kind") != "rewriting" or "tokenizer" not in facts:
        raise ConfigError("no page shows this encoder and step: use --format onnx and a program of your own")
    return {
        "kind": "rewriting",
        "vocabulary": int(facts["vocabulary"]),
        "length": int(facts["length"]),
        "given": int(facts["given_length"]),
        "start": int(facts["start"]),
        "end": int(facts["end"]),
        "unknown": int(facts["unknown"]),
        "words": list(map(str, facts["words"])),
        "cutting": cutting(facts),
    }


def cutting(facts: Mapping[str, Any]) -> dict[str, Any]:
    """How the tokenizer among the facts of an export cuts texts: ``kind`` is word, char or bpe, as `--data.tokenizer` calls them.

    ``clusters``: marks are characters as a reader sees them; ``space``: what stands for the space before a word; ``breaks``: line breaks
    are tokens; ``merges``: pairs of bytes in their order. ConfigError for another tokenizer.
    """
    known = json.loads(facts["tokenizer"])
    model, before, normalizer = known["model"], known.get("pre_tokenizer") or {}, known.get("normalizer")
    kind = (model["type"], before.get("type"))
    if kind == ("BPE", "ByteLevel") and _plain(model, before) and normalizer is None:
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
        return {"kind": "bpe", "merges": pairs}
    if kind == ("WordLevel", "Split") and _regex(before) in (r"\X", r"[\s\S]") and normalizer is None:
        return {"kind": "char", "clusters": _regex(before) == r"\X"}
    if kind == ("WordLevel", "Sequence"):
        metaspace, *rest = before["pretokenizers"]
        space = str(metaspace.get("replacement", ""))
        rules = _rules(space)
        if len(rest) == 1 and _regex(rest[0]) in rules:
            breaks = any(part.get("pattern") == {"String": "\n"} for part in (normalizer or {}).get("normalizers", ()))
            return {"kind": "word", "space": space, "breaks": breaks, "clusters": _regex(rest[0]) == rules[1]}
    raise ConfigError(
        "a page cuts texts as polygan's own tokenizers do (--data.tokenizer word, char or bpe), and this run has another: use --format onnx"
    )


def _plain(model: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether pairs of bytes are joined without any of the library's further options."""
    options = (
        "dropout",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback",
        "ignore_merges",
        "unk_token",
    )
    return (
        not any(model.get(name) for name in options)
        and not before["add_prefix_space"]
        and before.get("use_regex", True)
    )


def _regex(part: Mapping[str, Any]) -> str:
    return str(part.get("pattern", {}).get("Regex", ""))


def _rules(space: str) -> tuple[str, str]:
    """The rules by which polygan's tokenizers of words cut: by code points, and by characters as a reader sees them."""
    found = []
    for word, mark in (
        (rf"[\w&&[^{space}]]+", rf"[^\w{space}]"),
        (rf"[\w&&[^{space}]][\w\x{{200C}}\x{{200D}}&&[^{space}]]*", rf"(?!{space})\X"),
    ):
        found.append(rf"{space}?{word}|{space}?{mark}|{space}")
    return found[0], found[1]
