"""The model card: Markdown with a YAML head, written from a run. Every text of the run is escaped."""

from __future__ import annotations

import html
import re
import string
from dataclasses import dataclass, field
from typing import Any

import yaml

_SPECIAL = re.compile(r"([\\`*_{}\[\]()!|~$:@^])|(?<=www)(\.)|^([#+=-])")
_BETTER = {"higher": "higher", "near": "near the floor"}
"""What `polygan.Score.better` says, in words; all else is lower."""
_MOST_NAMES = 50
_LONGEST = 200


@dataclass(frozen=True)
class Sample:
    """A sample in the repository: a file, or a text. ``caption`` and ``text`` are raw."""

    caption: str
    file: str = ""
    text: str = ""


@dataclass(frozen=True)
class Card:
    """What a model card tells. All texts are raw; nothing private is left in them."""

    name: str
    recipe: str
    domain: str
    step: int
    data: str = ""
    licence: str = ""
    counts: str = ""
    classes: tuple[str, ...] = ()
    seed: int = 0
    seconds: float | None = None
    batch_size: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    """The settings that differ from the defaults, by name."""
    scores: tuple[dict[str, Any], ...] = ()
    """Records of scores: name, value, error, floor, baseline, better, step, note."""
    command: str = ""
    install: tuple[str, ...] = ()
    """The distributions that the model needs."""
    start: str = ""
    """The model that training started from."""
    samples: tuple[Sample, ...] = ()


def plain(text: object, most: int = _LONGEST) -> str:
    """A text of the run as Markdown that shows the text and nothing else: one line, no markup, no links."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    line = line if len(line) <= most else f"{line[:most]}..."
    escaped = _SPECIAL.sub(r"\\\g<0>", html.escape(line, quote=False))
    return re.sub(r"^(\d+)\.", r"\1\\.", escaped)  # else the line begins a list


def fenced(text: str, kind: str = "") -> str:
    """A block of code with a fence that the text cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = "".join(c if c == "\n" or c.isprintable() else " " for c in text.replace("\r", "\n"))
    return f"{fence}{kind}\n{shown.rstrip()}\n{fence}"


def write_card(card: Card) -> str:
    """The text of the README.md of a model."""
    # The Hub's search takes words as tags; what a stranger's plugin calls its recipe is reduced to such a word.
    tags = ["polygan", "gan", *card.recipe.split("/")]
    allowed = string.ascii_letters + string.digits + "-_."
    tags = ["".join(c for c in tag if c in allowed) for tag in tags]
    head = {"library_name": "polygan", "tags": [tag for tag in dict.fromkeys(tags) if tag]}
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {plain(card.name)}",
        f"A generative adversarial network of the recipe {plain(card.recipe)}, trained with polygan for {card.step:,} steps.",
        _use(card),
        "## Data",
        _data(card),
        "## Training",
        _training(card),
    ]
    if card.settings:
        text = yaml.safe_dump(card.settings, sort_keys=False, allow_unicode=True)
        parts += ["Settings that differ from the defaults:", fenced(text, "yaml")]
    if card.command:
        parts += ["The command that trained it. Paths are reduced to their last part.", fenced(card.command, "console")]
    parts += ["## Scores", _scores(card)]
    if card.samples:
        parts += ["## Samples", *_samples(card.samples)]
    return "\n\n".join(parts) + "\n"


def _use(card: Card) -> str:
    lines = [f"pip install {' '.join(card.install)}", f"polygan generate hf:{card.name} --out samples/"]
    return f"## Use\n\n{fenced(chr(10).join(lines), 'console')}"


def _data(card: Card) -> str:
    rows = [("data", card.data), ("licence of the data", card.licence or "the data set names none")]
    rows += [("samples", card.counts)] if card.counts else []
    if card.classes:
        more = f" and {len(card.classes) - _MOST_NAMES:,} more" if len(card.classes) > _MOST_NAMES else ""
        rows.append((f"{len(card.classes):,} classes", ", ".join(card.classes[:_MOST_NAMES]) + more))
    return _table(("", ""), [(plain(a), plain(b, 2000)) for a, b in rows])


def _training(card: Card) -> str:
    rows = [("steps", f"{card.step:,}"), ("batch size", f"{card.batch_size:,}"), ("seed", str(card.seed))]
    rows += [("seconds of training", f"{card.seconds:,.0f}")] if card.seconds is not None else []
    rows += [("started from", card.start)] if card.start else []
    return _table(("", ""), [(plain(a), plain(b)) for a, b in rows])


def _scores(card: Card) -> str:
    if not card.scores:
        return "No scores were computed."
    rows = []
    for score in card.scores:
        baseline = score.get("baseline")
        pair = isinstance(baseline, list | tuple) and len(baseline) == 2
        error = f" ± {_number(score['error'])}" if _number(score.get("error")) else ""
        rows.append(
            (
                plain(score.get("name", "")),
                f"{_number(score.get('value'))}{error}",
                _number(score.get("floor")),
                f"{_number(baseline[0])} ({plain(baseline[1])})" if pair else "",  # pyright: ignore[reportOptionalSubscript]
                _BETTER.get(str(score.get("better")), "lower"),
                str(score.get("step", "")),
                plain(score.get("note") or ""),
            )
        )
    table = _table(("score", "value", "floor", "baseline", "better is", "step", "note"), rows)
    said = "The floor is the score of real samples. The baseline is the score of the best trivial answer."
    return f"{table}\n\n{said}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _samples(samples: tuple[Sample, ...]) -> list[str]:
    shown = []
    for sample in samples:
        caption = plain(sample.caption)
        if sample.text:
            shown += [*([caption] if caption else []), fenced(sample.text[:2000], "text")]
        elif sample.file.endswith(".png"):
            shown.append(f"![{caption}]({sample.file})")
        else:
            shown.append(f"[{caption or sample.file}]({sample.file})")
    return shown
