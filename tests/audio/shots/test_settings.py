"""Which class the options of generation ask for."""

from __future__ import annotations

import pytest

from polygan import ConfigError
from polygan_audio.shots.settings import Config, Sampling, class_asked

NOTES = ("A3", "C3", "C4")
MIDI = (57, 48, 60)


def test_a_class_is_asked_for_by_name_number_or_pitch():
    assert class_asked(Sampling(), NOTES, MIDI) is None
    assert class_asked(Sampling(label="C3"), NOTES, MIDI) == 1
    assert class_asked(Sampling(label=2), NOTES, MIDI) == 2
    for pitch in (60, "60", "C4", "midi60"):
        assert class_asked(Sampling(pitch=pitch), NOTES, MIDI) == 2


@pytest.mark.parametrize(
    ("options", "classes", "notes", "message"),
    [
        (
            {"pitch": 61},
            NOTES,
            MIDI,
            r"pitch = 61 is no note of this run; there are 3 notes from C3 \(48\) to C4 \(60\)",
        ),
        ({"pitch": "H"}, NOTES, MIDI, "pitch = H is no note of this run"),
        ({"pitch": 60, "label": "C4"}, NOTES, MIDI, "both name the class; leave one of them out"),
        ({"pitch": 60}, ("kick", "snare"), (), "the classes of this run are no notes; use --label"),
        ({"pitch": 60}, (), (), "train with labels that are notes"),
        ({"label": "kik"}, ("kick", "snare"), (), "no such class.*kick"),
    ],
)
def test_what_the_run_has_not_is_refused(options, classes, notes, message):
    with pytest.raises(ConfigError, match=message):
        class_asked(Sampling(**options), classes, notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "model.width = 0 is too small.*64 is the paper's"),
        ({"spectra": (8,)}, "model.spectra"),
        ({"phase_shuffle": 3}, r"model.phase_shuffle = 3 is outside \[0, 2\]"),
        ({"loss": "hinge"}, "model.loss = 'hinge' is unknown.*non-saturating, wgan-gp"),
        ({"generator": "mel"}, "model.generator = 'mel' is unknown.*waveform, spectrogram"),
    ],
)
def test_settings_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Config(**options)
