"""The facts of a page that takes a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polygan import ConfigError

from .graphs import MOST_CLASSES

if TYPE_CHECKING:
    from .graphs import Graph

_NEEDED = ("sample_rate", "hop_length", "context", "least")
_OF_VOICES = ("speakers", "pitch_mean", "pitch_deviation")


def is_recording(graph: Graph) -> bool:
    """Whether a graph makes sound of a recording, and shows the mel in between."""
    taken = {*graph.inputs}
    known = {"recording"} <= taken <= {"recording", "speaker", "voice", "noise"}
    return known and ("speaker" in taken) == ("voice" in taken) and [*graph.outputs[:2]] == ["waveform", "mel"]


def facts_of(graph: Graph) -> dict[str, Any]:
    """What a page that takes a recording does with the graph, as JSON. ConfigError where the file does not say how recordings are cut."""
    facts, converts = graph.facts, "speaker" in graph.inputs
    if missing := [name for name in (*_NEEDED, *(_OF_VOICES if converts else ())) if name not in facts]:
        raise ConfigError(
            f"the ONNX file does not say its {missing[0]}, so no page can hand it a recording: export the run again"
        )
    speakers = list(map(str, facts["speakers"])) if converts else []
    if len(speakers) > MOST_CLASSES:
        raise ConfigError(f"a page lists at most {MOST_CLASSES:,} voices, and the run has {len(speakers):,}")
    voices = zip(facts["pitch_mean"], facts["pitch_deviation"], strict=True) if converts else ()
    return {
        "kind": "recording",
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "rate": int(facts["sample_rate"]),
        "hop": int(facts["hop_length"]),
        "context": int(facts["context"]),
        "least": int(facts["least"]),
        "speakers": speakers,
        "voices": [[round(float(x), 5) for x in voice] for voice in voices],
        "vocoder": str(facts.get("vocoder", "")),
    }
