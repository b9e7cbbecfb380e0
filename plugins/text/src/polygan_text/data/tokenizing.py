"""Tokenizers: of words, characters or byte pairs, trained on the data, or given by the user."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from polygan import ConfigError, DataError, did_you_mean

from ..pretrained.folders import cached
from .facts import SPECIAL, UNK
from .scripts import survey, without_spaces
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .scripts import Survey
    from .settings import TextSettings

KINDS = ("auto", "word", "char", "bpe")
_MOST = 256 << 20
"""Bytes of a file above which it is no tokenizer."""
_NAMES = ("data.json", "tokenizer.json")
"""What a run's folder and a folder of Hugging Face call the file."""
_CUTTING = {"word": "words and marks", "char": "characters", "bpe": "byte pairs"}


class Cut(NamedTuple):
    """How texts are cut into tokens."""

    vocabulary: Vocabulary
    words: str
    """What the tokens are, in words."""
    key: str
    """Another string for another way of cutting."""
    given: bool
    """Whether the tokenizer is the user's own."""
    unspaced: str
    """Why words cannot be told by their spaces; empty where they can, and for a tokenizer of the user's."""


def tokenizer_for(settings: TextSettings, texts: Callable[[], Iterable[str]]) -> Cut:
    """The tokenizer that the settings name, trained on the texts unless it is the user's own."""
    name = settings.tokenizer
    if name not in KINDS:
        found = given_tokenizer(name)
        digest = hashlib.blake2b(found.text.encode(), digest_size=16).hexdigest()
        return Cut(found, f"from {name}", f"given {digest}", True, "")
    unspaced = without_spaces(texts())
    kind = name if name != "auto" else "char" if unspaced else "word"
    why = f", because {unspaced}" if name == "auto" and unspaced else ""
    trained = train_tokenizer(kind, texts, settings.vocabulary, settings.min_count)
    return Cut(Vocabulary(trained.to_str()), f"{_CUTTING[kind]}{why}", kind, False, unspaced)


def train_tokenizer(kind: str, texts: Callable[[], Iterable[str]], vocabulary: int, min_count: int) -> Tokenizer:
    """A tokenizer with at most ``vocabulary`` tokens, `SPECIAL` among them, each seen ``min_count`` times in the texts.

    ``word``: words and marks, a word with the space before it, so that decoding gives the text back (runs of white space
    become one space, line breaks stay); ``char``: characters as a reader sees them, so that an emoji of a family is one;
    ``bpe``: pairs of bytes, which can write every text. What a text holds is text, also ``<s>``. Raises DataError for a
    vocabulary of one token: there is nothing to learn.
    """
    found = survey(texts())
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL[UNK]))
        if kind == "word":
            _cut_into_words(tokenizer, found)
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\X" if found.clusters else r"[\s\S]"), "isolated")
            tokenizer.decoder = decoders.Fuse()
    tokenizer.train_from_iterator(texts(), _trainer(kind, vocabulary, min_count))
    tokenizer.encode_special_tokens = True
    if tokenizer.get_vocab_size() < len(SPECIAL) + 2:
        known = [t for t in tokenizer.get_vocab() if t not in SPECIAL]
        raise DataError(
            f"the text has a vocabulary of {len(known)} token(s) ({', '.join(map(repr, known)) or 'none'}); there is nothing to "
            "learn: give other text, --data.tokenizer char, or a smaller --data.min_count"
        )
    return tokenizer


def _trainer(kind: str, vocabulary: int, min_count: int) -> trainers.BpeTrainer | trainers.WordLevelTrainer:
    options = {"vocab_size": vocabulary, "show_progress": False, "special_tokens": list(SPECIAL)}
    if kind == "bpe":
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        return trainers.BpeTrainer(min_frequency=min_count, initial_alphabet=alphabet, **options)
    return trainers.WordLevelTrainer(min_frequency=min_count, **options)


def _cut_into_words(tokenizer: Tokenizer, found: Survey) -> None:
    """Words with the space before them, single marks, and line breaks, each a token.

    Texts without line breaks and joined characters get the shorter rules, which are the rules of older runs.
    """
    white = [normalizers.Replace(Regex(r"\s+"), " ")]
    if found.breaks:
        white = [normalizers.Replace("\n", " \n "), normalizers.Replace(Regex(r"[^\S\n]+"), " ")]
    tokenizer.normalizer = normalizers.Sequence([*white, normalizers.Strip(), normalizers.Prepend(" ")])
    space = found.space
    word, mark = rf"[\w&&[^{space}]]+", rf"[^\w{space}]"
    if found.clusters:  # a joiner of width 0 belongs to its word, and a joined emoji is one mark
        word, mark = rf"[\w&&[^{space}]][\w\x{{200C}}\x{{200D}}&&[^{space}]]*", rf"(?!{space})\X"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=space, prepend_scheme="never", split=False),
            pre_tokenizers.Split(Regex(rf"{space}?{word}|{space}?{mark}|{space}"), "isolated"),
        ]
    )
    spaces = decoders.Metaspace(replacement=space, prepend_scheme="always")
    breaks = decoders.Replace(Regex(r" ?\n ?"), "\n")
    tokenizer.decoder = decoders.Sequence([spaces, decoders.Fuse(), breaks]) if found.breaks else spaces


def given_tokenizer(name: str) -> Vocabulary:
    """The tokenizer at a path: a run's folder, an exported model, a tokenizer.json or its folder."""
    path = Path(name).expanduser()
    if not path.exists():
        path = cached(name) or path  # an id of the Hub
    if path.is_dir():
        path = next((path / n for n in _NAMES if (path / n).is_file()), path)
    elif path.suffix == ".safetensors":
        path = path.with_suffix(".json")  # an exported model's facts
    if path.is_dir():
        raise ConfigError(
            f"data.tokenizer = {name!r}: the folder holds neither {' nor '.join(_NAMES)}; name the folder of a text run, or a tokenizer.json"
        )
    if not path.is_file():
        raise ConfigError(
            f"data.tokenizer = {name!r}{did_you_mean(name, KINDS)}: known are {', '.join(KINDS)}, and there is no such file or folder in "
            f"{Path.cwd()}"
        )
    try:
        return Vocabulary(_content(path))
    except DataError as error:
        raise DataError(f"data.tokenizer = {name!r}: {path} {error}") from None


def _content(path: Path) -> str:
    """The JSON of the tokenizer within a file. Raises DataError, without the file's name, for another file."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}); name another file") from None
    if len(data) > _MOST:
        raise DataError(f"has more than {_MOST >> 20} MB and is no tokenizer; name another file")
    try:
        text = data.decode("utf-8-sig")
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not JSON ({error}); name a tokenizer.json") from None
    info = facts.get("info") if isinstance(facts, dict) else None
    if not isinstance(info, dict):
        return text
    if not isinstance(found := info.get("tokenizer"), str):
        raise DataError("belongs to a run without a tokenizer; name a run that was trained on text")
    return found
