"""Which languages a setting names, and which of them a speaker speaks."""

from __future__ import annotations

import pytest

from polygan import ConfigError
from polygan_speech.text.languages import Languages


@pytest.mark.parametrize(
    ("setting", "speakers", "known", "numbers"),
    [
        ("en", (), ("en",), (0,)),
        ("", ("ann", "bob"), ("",), (0, 0)),
        ("en,en", ("ann", "bob"), ("en",), (0, 0)),
        ("it, en,it", ("ann", "bob", "cid"), ("en", "it"), (1, 0, 1)),
    ],
)
def test_a_setting_names_one_language_or_one_for_each_speaker(setting, speakers, known, numbers):
    found = Languages(setting, speakers)
    assert (found.known, found.of_speakers, len(found)) == (known, numbers, len(known))
    assert [found.of(i) for i in range(len(speakers))] == [known[n] for n in numbers[: len(speakers)]]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "en,it,de",
            "names 3 languages for 2 speakers; name one language for all, or one for each in this order: ann, bob",
        ),
        ("en,", "names 1 languages for 2 speakers"),
        ("en,xx", r"'xx': no numbers are known.*The speakers in order are ann, bob$"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_with_the_speakers_in_order(setting, message):
    with pytest.raises(ConfigError, match=message) as error:
        Languages(setting, ("ann", "bob"))
    assert "\n" not in str(error.value)


def test_one_voice_speaks_one_language():
    with pytest.raises(
        ConfigError, match=r"names 2 languages for 1 speaker; name one language for all, e\.g\. --model.language"
    ):
        Languages("en,it", ())


def test_a_language_that_a_model_does_not_read_is_refused_with_those_that_it_reads():
    found = Languages("en,it", ("ann", "bob"))
    assert found.number("it") == 1
    with pytest.raises(ConfigError, match=r"'de': this model does not read.*use --language with one of en, it"):
        found.number("de")
    with pytest.raises(ConfigError, match="leave --language out"):
        Languages("", ()).number("en")
