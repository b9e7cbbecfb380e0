"""Speech from text is held to `polygan.testing`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from small_speech import SMALL, corpus

from polygan.testing import Case, parametrize_with_checks


def voices(folder):
    corpus(folder, ("abcab", "deed", "bead", "cab 1") * 4, speakers=("ann", "bob"))
    return {"source": str(folder), "segment": 0, "speakers": "folders"}


def one_voice(folder):
    return {"source": str(corpus(folder, ("abcab", "deed", "bead", "cab 1") * 6)), "segment": 0}


TWO = {**SMALL, "language": "en,it"}
CASES = [
    Case("audio/tacotron2", data, model, settings={"batch_size": 4})
    for data, model in ((one_voice, SMALL), (voices, TWO))
]


@parametrize_with_checks(CASES)
def test_contract(check):
    check()
