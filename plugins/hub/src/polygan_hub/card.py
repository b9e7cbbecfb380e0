"""The model card: Markdown with a YAML head, written from a run by a template. Every text of the run is escaped."""

from __future__ import annotations

import html
import re
import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

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
    """The text of the README.md of a model, by the template ``card.md.j2``."""
    # The Hub's search takes words as tags; what a stranger's plugin calls its recipe is reduced to such a word.
    tags = ["polygan", "gan", *card.recipe.split("/")]
    allowed = string.ascii_letters + string.digits + "-_."
    tags = ["".join(c for c in tag if c in allowed) for tag in tags]
    head = {"library_name": "polygan", "tags": [tag for tag in dict.fromkeys(tags) if tag]}
    use = f"pip install {' '.join(card.install)}\npolygan generate hf:{card.name} --out samples/"
    return _TEMPLATES.get_template("card.md.j2").render(
        card=card,
        head=Markup(yaml.safe_dump(head, sort_keys=False)),
        use=use,
        settings=yaml.safe_dump(card.settings, sort_keys=False, allow_unicode=True),
        data=_data(card),
        training=_training(card),
        scores=[_score(score) for score in card.scores],
    )


def _as_markdown(value: object) -> Markup:
    """What a template prints: every text is escaped by `plain`, once. A template thus cannot forget to escape."""
    return value if isinstance(value, Markup) else Markup(plain(value))


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    finalize=_as_markdown,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters["fenced"] = lambda text, kind: Markup(fenced(text, kind))
_TEMPLATES.filters["address"] = lambda file: Markup(quote(file))


def _data(card: Card) -> list[tuple[object, ...]]:
    rows = [("data", card.data), ("licence of the data", card.licence or "the data set names none")]
    rows += [("samples", card.counts)] if card.counts else []
    if card.classes:
        more = f" and {len(card.classes) - _MOST_NAMES:,} more" if len(card.classes) > _MOST_NAMES else ""
        rows.append((f"{len(card.classes):,} classes", ", ".join(card.classes[:_MOST_NAMES]) + more))
    return [(name, Markup(plain(text, 2000))) for name, text in rows]


def _training(card: Card) -> list[tuple[object, ...]]:
    rows = [("steps", f"{card.step:,}"), ("batch size", f"{card.batch_size:,}"), ("seed", card.seed)]
    rows += [("seconds of training", f"{card.seconds:,.0f}")] if card.seconds is not None else []
    rows += [("started from", card.start)] if card.start else []
    return rows


def _score(score: dict[str, Any]) -> tuple[object, ...]:
    """A row of the table of scores."""
    baseline = score.get("baseline")
    pair = isinstance(baseline, list | tuple) and len(baseline) == 2
    error = f" ± {_number(score['error'])}" if _number(score.get("error")) else ""
    return (
        score.get("name", ""),
        Markup(f"{_number(score.get('value'))}{error}"),
        _number(score.get("floor")),
        Markup(f"{_number(baseline[0])} ({plain(baseline[1])})") if pair else "",  # pyright: ignore[reportOptionalSubscript]
        _BETTER.get(str(score.get("better")), "lower"),
        score.get("step", ""),
        score.get("note") or "",
    )


def _number(value: object) -> Markup:
    return Markup(f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else "")
