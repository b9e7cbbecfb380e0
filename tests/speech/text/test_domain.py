"""The domain of sentences: files, lines, strings; and the texts of what a recipe is given."""

from __future__ import annotations

import pytest
import torch

from polygan import ConfigError, DataError, DataSettings, Samples
from polygan_speech.text.domain import SentenceDomain
from polygan_speech.text.given import texts_of

DOMAIN = SentenceDomain()


def test_a_file_holds_a_text_a_line_and_empty_lines_are_named(tmp_path, capsys):
    file = tmp_path / "lines.txt"
    file.write_bytes("\ufeffOne.\r\n\r\n  Two.  \n\t\n".encode())
    found = [*DOMAIN.read(file, {})]
    assert [(s.data, s.names) for s in found] == [(["One."], ["1"]), (["Two."], ["3"])]
    assert f"{file}: empty lines are left out: 2, 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"), [(b"\n \n", "holds no text to speak"), (b"\xff\xfe\xfa", "UTF-8"), (None, "is no file")]
)
def test_files_without_text_are_refused(tmp_path, content, message):
    file = tmp_path / "lines.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        [*DOMAIN.read(file, {})]


def test_strings_are_texts():
    assert DOMAIN.take("Hello.", {}).data == ["Hello."]
    assert DOMAIN.take(["a", "b"], {}).data == ["a", "b"]
    for wrong in ([], 3, ["a", 2]):
        with pytest.raises(ConfigError, match="is no text"):
            DOMAIN.take(wrong, {})
    with pytest.raises(ConfigError, match="given text 1 of 2 is empty"):
        DOMAIN.take(["a", " "], {})


def test_nothing_is_trained_on_sentences():
    with pytest.raises(DataError, match="recordings with transcripts"):
        DOMAIN.open(DataSettings(source="x"))


def test_texts_of_sentences_and_of_recordings():
    assert texts_of(Samples(["a", "b"])) == ["a", "b"]
    assert texts_of(Samples([torch.zeros(3)], extra={"text": ["hi"]})) == ["hi"]
    with pytest.raises(ConfigError, match="no text to speak"):
        texts_of(Samples([torch.zeros(3)]))
