"""Voice conversion is held to `polygan.testing`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import FRONT, RATE, SMALL, voice

from polygan.testing import Case, parametrize_with_checks
from polygan_audio.data import files


def two_speakers(folder):
    """Folders of two speakers, one of them with transcripts."""
    for speaker, pitch in (("ann", 200.0), ("bob", 110.0)):
        place = folder / speaker / "wavs"
        place.mkdir(parents=True)
        for i in range(14):
            files.write(place / f"{i:02d}.wav", voice(pitch + 2 * i, 1500 + 90 * i, i), RATE)
        lines = "".join(f"{i:02d}|{'ha' * (1 + i % 3)}, {i}\n" for i in range(14))
        (folder / speaker / "metadata.csv").write_text(lines, encoding="utf-8")
    return {"source": str(folder), "segment": 0, "speakers": "folders"}


CASE = Case("audio/voice-conversion", two_speakers, SMALL, settings={"batch_size": 4})
assert FRONT.items() <= SMALL.items()


@parametrize_with_checks([CASE])
def test_contract(check):
    check()
