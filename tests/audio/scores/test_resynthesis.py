"""What metrics compare: made once an evaluation, bounded, and refused where there is none."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_evaluations import SPEC, Speaker, Vocoder, by_name, conversion, evaluation, noisy, voice

from polygan import ConfigError, DataError, Samples
from polygan_audio.scores import metrics, recordings, resynthesis, speech


def test_a_resynthesis_is_made_once_and_recordings_once_a_run(monkeypatch):
    count = []
    monkeypatch.setattr(
        recordings, "griffin_lim", lambda spec, mel, length: count.append(length) or torch.zeros(length)
    )
    e = evaluation()
    metrics.mel_distance(e)
    metrics.stft_distance(e)
    assert (e.recipe.calls, e.domain.asked, len(count)) == (1, 2, 2)
    later = evaluation(lambda c: noisy(c, 0.1), clips=e.domain.clips, kept=e.kept)  # the next evaluation of the run
    assert by_name(metrics.mel_distance(later))["audio/mel-distance"].value > 0.1
    assert (later.recipe.calls, later.domain.asked, len(count)) == (1, 0, 2)
    changed = evaluation(mel=replace(SPEC, fmax=4000.0), kept=e.kept)
    metrics.mel_distance(changed)
    assert (changed.domain.asked, len(count)) == (2, 4)


def test_recordings_are_bounded_and_short_ones_are_left_out(monkeypatch):
    clips = [voice(0.05), *(voice(0.5, seed=i) for i in range(5))]
    monkeypatch.setattr(recordings, "MOST_SECONDS", 1.2)
    found = resynthesis.recordings_of(evaluation(clips=clips, rows=np.array([3, 0, 1, 2, 4, 5])), SPEC)
    assert found.short == 1
    assert [c is clips[i] for c, i in zip(found.clips, (3, 1), strict=True)] == [True, True]
    assert found.samples.origins == ["3.wav", "1.wav"]
    assert len(resynthesis.recordings_of(evaluation(clips=clips, samples=1, rows=np.array([3, 1])), SPEC).clips) == 1
    monkeypatch.setattr(recordings, "MOST_SECONDS", 0.1)
    assert len(resynthesis.recordings_of(evaluation(clips=clips), SPEC).clips) == 1
    with pytest.raises(DataError, match="of 1 held-out clips none has the 2048 samples"):
        metrics.mel_distance(evaluation(clips=clips[:1]))
    with pytest.raises(DataError, match="of 0 held-out clips"):
        metrics.mel_distance(evaluation(clips=[]))


def test_recipes_that_are_no_vocoders_or_break_the_protocol_are_told():
    e = evaluation()
    e.recipe = SimpleNamespace(domain="audio", given=None, mel=SPEC)
    with pytest.raises(DataError, match="for vocoders"):
        metrics.mel_distance(e)
    e.recipe = SimpleNamespace(domain="audio", given="audio")
    with pytest.raises(DataError, match="for vocoders"):
        metrics.mcd(e)
    with pytest.raises(ConfigError, match="keep the order, the number and the lengths"):
        metrics.mel_distance(evaluation(lambda clip: clip[:-1]))


IN_TIME = (metrics.mel_distance, metrics.stft_distance, metrics.mcd, metrics.stoi, metrics.pesq)


def test_scores_that_compare_in_time_say_with_one_line_why_they_are_left_out():
    e = evaluation(recipe=Speaker, text=["One.", "Two."])
    reasons = set()
    for metric in IN_TIME:
        with pytest.raises(
            DataError, match="Speaker makes does not keep the time of a recording; take audio/speaker"
        ) as error:
            metric(e)
        reasons.add(str(error.value))
    assert len(reasons) == 1  # all share a line when scores are computed
    assert "\n" not in reasons.pop()
    assert e.recipe.calls == 0


def test_clips_that_do_not_keep_the_time_may_have_any_length():
    e = evaluation(lambda clip: clip[:100], recipe=Speaker, text=["One.", "Two."])
    made = resynthesis.Resynthesis.of(e)
    assert [len(clip) for clip in made.fakes] == [2048, 2048]  # silence behind them
    assert made.start is None
    assert made.others().keys() == {"griffin-lim"}
    e = evaluation(recipe=Speaker, text=["One.", "Two."])
    e.recipe.generate = lambda networks, request: Samples(request.given.data[:1], extra={})
    with pytest.raises(ConfigError, match=r"keep the order and the number$"):
        resynthesis.Resynthesis.of(e)


def test_clips_without_a_transcript_are_left_out_where_speech_is_made_from_text():
    e = evaluation(recipe=Speaker, text=["One.", " "])
    made = resynthesis.Resynthesis.of(e)
    assert (len(made.fakes), made.recordings.untold, made.recordings.texts) == (1, 1, ["One."])
    assert "1 clip had no transcript" in speech.duration(e)[0].note
    with pytest.raises(DataError, match=r"of 2 held-out clips none has a transcript; give metadata\.csv"):
        speech.duration(evaluation(recipe=Speaker, text=["", ""]))


def test_an_untrained_vocoder_has_a_row_of_its_own_made_once_a_run():
    class Priored(Vocoder):
        @staticmethod
        def start(clip):
            return noisy(clip, 0.1)

    e = evaluation(clips=[voice(0.3), voice(0.3, seed=1)], recipe=Priored)
    found = by_name(metrics.mel_distance(e))
    expected = by_name(metrics.mel_distance(evaluation(Priored.start, e.domain.clips)))["audio/mel-distance"].value
    assert found["audio/mel-distance-of-start"].value == pytest.approx(expected)
    assert found["audio/mel-distance"].value == 0 < expected
    assert e.recipe.calls == 2
    later = evaluation(clips=e.domain.clips, kept=e.kept, recipe=Priored)
    again = by_name(metrics.mel_distance(later))
    assert again["audio/mel-distance-of-start"].value == found["audio/mel-distance-of-start"].value
    assert later.recipe.calls == 1


def test_an_untrained_vocoder_that_cannot_be_judged_hides_no_other_row():
    class Silent(Vocoder):
        @staticmethod
        def start(clip):
            return torch.full_like(clip, torch.nan)

    found = by_name(speech.duration(evaluation(clips=[voice(0.3)], recipe=Silent)))
    assert found.keys() == {"audio/duration", "audio/duration-of-griffin-lim"}


def test_the_row_of_the_start_has_the_networks_that_the_run_began_with():
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from small_vocoders import small_vocos

    recipe = small_vocos(prior="none", period_weight=0.0)
    torch.manual_seed(0)
    begun, other = recipe.networks(), recipe.networks()
    e = evaluation(clips=[voice(0.2)])
    e.recipe, e.networks, e.start = recipe, begun, lambda: begun
    made = resynthesis.Resynthesis.of(e)
    assert torch.equal(made.start[0], made.fakes[0])
    e = evaluation(clips=[voice(0.2)])
    e.recipe, e.networks, e.start = recipe, begun, lambda: other
    made = resynthesis.Resynthesis.of(e)
    assert not torch.equal(made.start[0], made.fakes[0])


@pytest.mark.parametrize("start", [None, lambda: None])
def test_what_no_run_began_with_has_no_row(start):
    class Priored(Vocoder):
        @staticmethod
        def start(clip):
            return noisy(clip, 0.1)

    e = evaluation(clips=[voice(0.3)], recipe=Priored)
    assert len(metrics.mel_distance(e)) == 3
    e = evaluation(clips=[voice(0.3)], recipe=Priored)
    e.start = start
    assert by_name(metrics.mel_distance(e)).keys() == {"audio/mel-distance", "audio/mel-distance-of-griffin-lim"}


def test_words_say_what_the_run_began_with():
    class Better(Vocoder):
        @staticmethod
        def start(clip):
            return clip

    e = evaluation(lambda clip: noisy(clip, 0.3), recipe=Better)
    assert "than the untrained networks (" in by_name(metrics.mel_distance(e))["audio/mel-distance"].trouble
    e = evaluation(lambda clip: noisy(clip, 0.3), recipe=Better)
    e.started_from = "v1.safetensors"
    found = by_name(metrics.mel_distance(e))
    words = "the networks of v1.safetensors, which the run began with"
    assert f"than {words} (" in found["audio/mel-distance"].trouble
    assert found["audio/mel-distance-of-start"].note.endswith(f"; {words}")
    assert words not in found["audio/mel-distance"].note + found["audio/mel-distance-of-griffin-lim"].note


def test_a_converter_is_given_one_voice_and_compared_with_the_other():
    clips = [voice(0.3, seed=i) for i in range(5)]
    made = resynthesis.Resynthesis.of(conversion(lambda clip: clip, clips, "abaab"))
    assert made.converted
    assert [c is clips[i] for c, i in zip(made.recordings.clips, (0, 2, 3), strict=True)] == [True] * 3
    assert [c is clips[i] for c, i in zip(made.target.clips, (1, 4), strict=True)] == [True] * 2
    assert made.speakers is None
