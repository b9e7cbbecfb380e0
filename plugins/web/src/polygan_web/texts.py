"""What each token of a tokenizer stands for in a text, so that a page can write without the tokenizer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from polygan import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .graphs import Graph

_ANCHOR = 64  # tokens that are tried as the word before, to see whether a token brings a space with it
_PRINTED = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))  # bytes that ByteLevel writes as they are


def is_text(graph: Graph) -> bool:
    """Whether a graph is one step of a policy: token, place and state in, logits and the next state out."""
    return {"token", "place", "state"} <= {*graph.inputs} <= {"token", "place", "state", "classes"} and [
        *graph.outputs
    ] == ["logits", "next_state"]


def facts_of(graph: Graph) -> dict[str, Any]:
    """What a page of texts does with the graph, as JSON. ConfigError where the file's tokenizer cannot be read."""
    facts = graph.facts
    written, as_bytes = pieces(facts)
    banned = [facts["unknown"]] if written and "unknown" in facts else []
    return {
        "kind": "text",
        "length": int(facts["length"]),
        "start": int(facts["start"]),
        "end": facts["end"],
        "state": int(facts["state"]),
        "classes": list(map(str, facts.get("classes", ()))) if "classes" in graph.inputs else [],
        "pieces": written,
        "bytes": as_bytes,
        "banned": banned,
    }


def pieces(facts: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The text of each token by its number, with the space before it; empty without a tokenizer. And whether characters are bytes.

    A tokenizer of bytes writes parts of characters: its pieces hold a character below 256 for each byte.
    """
    if "tokenizer" not in facts:
        return [], False
    names, shift = [str(name) for name in facts["words"]], int(facts["shift"])
    decoder = json.loads(facts["tokenizer"]).get("decoder") or {}
    silent = {int(facts["start"]), facts["end"], facts.get("unknown")}
    if decoder.get("type") == "ByteLevel":
        byte = _bytes()
        shown = ["".join(chr(byte[c]) for c in name if c in byte) for name in names]
        return ["" if i in silent else text for i, text in enumerate(shown)], True
    if decoder.get("type") == "BPEDecoder":  # its tokens say where a word ends, and so what comes behind them
        shown = [name.replace(decoder.get("suffix", "</w>"), " ") for name in names]
        return ["" if i in silent else text for i, text in enumerate(shown)], False
    tokenizer = _opened(facts["tokenizer"])
    anchor, before = _anchor(tokenizer, len(names) - shift)
    found = []
    for i in range(len(names)):
        if i in silent or i < shift or not names[i]:
            found.append("")
            continue
        text = tokenizer.decode([*anchor, i - shift], skip_special_tokens=False)
        found.append(text[len(before) :] if text.startswith(before) else tokenizer.decode([i - shift]))
    return found, False


def _opened(text: str) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ConfigError(
            "a page of texts needs the package tokenizers: pip install tokenizers, or use --format onnx"
        ) from None
    return Tokenizer.from_str(text)


def _anchor(tokenizer: Any, size: int) -> tuple[Sequence[int], str]:
    """A token of letters, and its text: what follows the token is then no beginning of a text."""
    for i in range(min(size, _ANCHOR)):
        text = tokenizer.decode([i], skip_special_tokens=False)
        if text.strip().isalpha():
            return [i], text
    return [], ""


def _bytes() -> dict[str, int]:
    """The byte behind each character of ByteLevel: bytes that cannot be printed are written as characters from 256 on."""
    found = {chr(b): b for b in _PRINTED}
    others = (b for b in range(256) if b not in _PRINTED)
    return found | {chr(256 + i): b for i, b in enumerate(others)}
