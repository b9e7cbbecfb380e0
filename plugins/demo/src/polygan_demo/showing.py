"""HTML of the page: samples, a line for what went wrong, and the facts of the run. Every text is escaped."""

from __future__ import annotations

import base64
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import polygan
from polygan import PolyganError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polygan import Piece, Run, Samples

    from .stage import Stage

_WIDE, _ENLARGED = 640, 4
"""A picture is enlarged by a whole factor of at most 4, up to this width in pixels."""
_MOST_BYTES = 24 << 20
"""A file of more bytes is not offered within the page."""


@cache
def _environment() -> Environment:
    loader = PackageLoader("polygan_demo")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def part(template: str, **values: object) -> str:
    """A part of the page from a template; every value is escaped."""
    text = _environment().get_template(template).render(values)
    return text.encode("utf-8", "replace").decode()  # a name may hold what UTF-8 does not


class _Shown(NamedTuple):
    caption: str
    picture: str = ""
    width: int = 0
    sound: str = ""
    text: str | None = None


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _shown(piece: Any) -> _Shown:
    png, wav = getattr(piece, "png", None), getattr(piece, "wav", None)
    width = int.from_bytes(png[16:20], "big") if png else 0
    return _Shown(
        caption=piece.caption,
        picture=_address("image/png", png) if png else "",
        width=width * max(1, min(_ENLARGED, _WIDE // width)) if width else 0,
        sound=_address("audio/wav", wav) if wav else "",
        text=getattr(piece, "text", None),
    )


def pieces_html(pieces: Sequence[Piece], *, title: str = "", saved: tuple[str, bytes] | None = None) -> str:
    """Pictures, players and texts; ``saved`` is the name and the content of a file to download."""
    download = (saved[0], _address("application/octet-stream", saved[1])) if saved else None
    return part("pieces.html", title=title, pieces=[_shown(piece) for piece in pieces], download=download)


def samples_html(stage: Stage, samples: Samples, *, title: str = "", download: bool = False) -> str:
    """Samples as their domain shows them."""
    saved = _saved(stage, samples) if download else None
    return pieces_html(stage.run.domain.render(samples), title=title, saved=saved)


def _saved(stage: Stage, samples: Samples) -> tuple[str, bytes] | None:
    """The name and the content of the file that the domain writes for a sample; None where it writes none, or a large one."""
    writes = stage.run.domain.writes
    if not writes:
        return None
    with tempfile.TemporaryDirectory(prefix="polygan-demo-") as folder:
        path = Path(folder) / f"made{writes[0]}"
        try:
            stage.run.domain.write_file(iter([samples]), path)
            data = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
        except (PolyganError, OSError):
            return None
    return (path.name, data) if data else None


def error_html(line: str) -> str:
    """A line that says what went wrong."""
    return part("error.html", line=line)


def hint_html(line: str) -> str:
    """A line that says what to do."""
    return part("hint.html", line=line)


def head_html(run: Run) -> str:
    """The title of the page."""
    source = _short(str(run.settings.data.source)) if _is_run(run) else ""
    return part("head.html", name=run.folder.name, recipe=run.settings.recipe, step=run.step, source=source)


def about_html(run: Run) -> str:
    """What the run scored, its data and its settings, as the run's folder tells them."""
    rows: list[tuple[str, str]] = [("recipe", run.settings.recipe), ("step", f"{run.step:,}")]
    scores, settings = Markup(""), ""
    if _is_run(run):
        records = polygan.read_log(run.folder / "log.jsonl")
        scores = polygan.score_table(records)
        licence = polygan.licence_of(run.settings)
        rows += [("data", _short(str(run.settings.data.source)))]
        rows += [("licence of the data", licence)] if licence else []
        rows += _counts(run.folder)
        seconds = [s for r in records if isinstance(s := r.get("seconds"), int | float)]
        rows += [("seconds of training", f"{seconds[-1]:,.0f}")] if seconds else []
        rows += [("batch size", f"{run.settings.run.batch_size:,}"), ("seed", str(run.settings.run.seed))]
        settings = _settings(run)
    classes = [str(name) for name in run.recipe.info.get("classes") or ()]
    if classes:
        more = f" and {len(classes) - 24:,} more" if len(classes) > 24 else ""
        rows.append((f"{len(classes):,} classes", ", ".join(classes[:24]) + more))
    return part("about.html", rows=rows, scores=scores, settings=settings)


def _is_run(run: Run) -> bool:
    """Whether a run was opened, and no exported model, which knows its recipe and its step alone."""
    return (run.folder / "data.json").is_file()


def _counts(folder: Path) -> list[tuple[str, str]]:
    try:
        facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        return [("samples", f"{facts['count']:,}, of which {facts['held_out']:,} were held out")]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _settings(run: Run) -> str:
    """The settings as YAML lines ``name: value``, without places on this machine."""
    lines: list[str] = []

    def add(values: dict[str, Any], prefix: str) -> None:
        for name, value in values.items():
            if isinstance(value, dict):
                add(value, f"{prefix}{name}.")
            elif prefix or name not in ("runs", "cache"):
                lines.append(f"{prefix}{name}: {json.dumps(_places(value), ensure_ascii=False, default=str)}")

    saved = polygan.parse_yaml(run.settings.yaml())
    add(saved if isinstance(saved, dict) else {}, "")
    return "\n".join(lines)


def _places(value: Any) -> Any:
    if isinstance(value, list):
        return [_places(entry) for entry in value]
    return _short(value) if isinstance(value, str) else value


def _short(text: str) -> str:
    """A path reduced to its last part; other text as it is."""
    is_path = text.startswith(("/", "~", "..", "./")) or (len(text) > 2 and text[1] == ":" and text[2] in "/\\")
    return text.replace("\\", "/").rstrip("/").rpartition("/")[2] if is_path else text
