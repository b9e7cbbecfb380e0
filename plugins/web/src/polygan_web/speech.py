"""The facts of a page that speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polygan import ConfigError

if TYPE_CHECKING:
    from .graphs import Graph

_NEEDED = ("sample_rate", "reading", "semitones", "longest_text", "pause", "most_frames", "hop_length")
_TAKEN = {"ids", "pace", "pitch", "speaker", "language", "noise"}


def is_speech(graph: Graph) -> bool:
    """Whether a graph makes sound of the numbers of a sentence."""
    return "ids" in graph.inputs and {*graph.inputs} <= _TAKEN and [*graph.outputs] == ["waveform", "mel"]


def facts_of(graph: Graph) -> dict[str, Any]:
    """What a page that speaks does with the graph, as JSON. ConfigError where the file does not say how a text is read."""
    facts = graph.facts
    if missing := [name for name in _NEEDED if name not in facts]:
        raise ConfigError(
            f"the ONNX file does not say its {missing[0]}, so no page can speak with it: export the run again"
        )
    speakers = list(map(str, facts.get("speakers", ()))) if "speaker" in graph.inputs else []
    return {
        "kind": "speech",
        "inputs": list(graph.inputs),
        "rate": int(facts["sample_rate"]),
        "hop": int(facts["hop_length"]),
        "noise": int(facts["most_frames"]) * int(facts["hop_length"]) if "noise" in graph.inputs else 0,
        "end": facts.get("end"),
        "speakers": speakers,
        "ofSpeakers": [int(n) for n in facts.get("language_of_speakers", [0])],
        "semitones": [float(n) for n in facts["semitones"]],
        "most": int(facts["longest_text"]),
        "pause": float(facts["pause"]),
        "vocoder": str(facts.get("vocoder", "")),
        "reading": facts["reading"],
    }
