"""Sources of text, tokenizers, files and their bad input."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pytest
import torch

from polygan import ConfigError, DataError, Passage, Samples
from polygan.data import build_store, split_store
from polygan_text import datasets, domain, grammar
from polygan_text.data_settings import MadeUpSettings, OracleSettings, TextSettings
from polygan_text.domain import TextDomain
from polygan_text.tokenizing import OPEN, decode, encode_prefix, encode_prefixes

DOMAIN = TextDomain()
LINES = [
    f"the {a} {b} sees the {c}."
    for a in ("old", "small", "brown")
    for b in ("dog", "cat")
    for c in ("bird", "house", "river")
]


@pytest.fixture
def source(tmp_path):
    def make(content, name="lines.txt", **settings):
        path = tmp_path / name
        data = content if isinstance(content, bytes) else "\n".join(content).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        options = TextSettings(source=str(path), cache=str(tmp_path / "cache"), **settings)
        return DOMAIN.open(options), options

    return make


def texts(opened):
    made, options = opened
    splits = split_store(build_store(made, options, progress=False), options.held_out)
    return {name: DOMAIN.real(s, np.sort(s.rows)).data for name, s in splits.items() if len(s)}, made.info


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz"])
def test_text_comes_back_from_its_tokens(source, tokenizer, name):
    lines = ["Ein  Hund, der bellt.", "it's 3.5 o'clock (at last)!", "春眠不觉晓", "naïve — “quoted” 🙂", "a_b c-d"]
    got, info = texts(source(lines, name, tokenizer=tokenizer, held_out=0.0))
    expected = [" ".join(line.split()) for line in lines] if tokenizer == "word" else lines
    assert sorted(got["train"]) == sorted(expected)
    assert info["eos"] == 1
    assert info["unknown"] == 0


def test_lines_end_as_they_like_and_empty_ones_are_no_samples(source):
    got, _ = texts(source(b"\xef\xbb\xbfone two\r\n\r\n  \nthree four\rfive\nlast one", held_out=0.0))
    assert sorted(got["train"]) == ["last one", "one two", "three four five"]


def test_the_tokenizer_sees_the_training_split_alone(source):
    lines = [f"common w{i}" for i in range(50)]
    made, options = source(lines, held_out=0.4)
    splits = split_store(build_store(made, options, progress=False), options.held_out)
    assert len(splits["held_out"]) == 20
    for name, split in splits.items():
        unknown = sum("<unk>" in t for t in DOMAIN.real(split, split.rows).data)
        assert unknown == (20 if name == "held_out" else 0)


def test_a_test_file_is_what_is_held_out(source, tmp_path):
    """Its classes are those of the training file by name, its words teach the tokenizer nothing, and its state is in the key."""
    test = tmp_path / "exam.tsv"
    test.write_text("mood\ttext\nsad\tsome zebras weep\ngood\tsome dogs bark")
    made, options = source(
        b"text,mood\nsome cats sleep,good\nsome dogs weep,bad", "a.csv", label_column="mood", test=str(test)
    )
    splits = split_store(build_store(made, options, progress=False), options.held_out)
    shown = {name: DOMAIN.real(split, np.sort(split.rows)) for name, split in splits.items()}
    assert shown["train"].data == ["some cats sleep", "some dogs weep"]
    assert shown["held_out"].data == ["some<unk> weep", "some dogs<unk>"]
    assert made.info["classes"] == ["good", "bad", "sad"]
    assert shown["held_out"].labels.tolist() == [2, 0]
    assert [made.name(i) for i in (1, 2)] == ["a.csv line 3", "exam.tsv line 2"]
    test.write_text("text\tmood\nother words\tsad")
    assert DOMAIN.open(options).fingerprint() != made.fingerprint()


def test_a_test_file_that_cannot_be(source, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"data.test = 'nowhere.txt': there is no such file"):
        source(LINES, test="nowhere.txt")
    with pytest.raises(DataError, match="empty holds no text"):
        source(LINES, test=str(tmp_path / "empty"))
    for made_up in (datasets.oracle, datasets.grammar):
        with pytest.raises(ConfigError, match="a set that is made up holds out a share"):
            made_up(OracleSettings(test="exam.txt"))


def test_the_split_does_not_depend_on_what_is_dropped(source):
    lines = [f"w{i} " + "x " * (30 if i % 3 == 0 else 2) for i in range(60)]
    settings = {"tokenizer": "char", "held_out": 0.5, "max_length": 20}
    cut, info = texts(source(lines, **settings))
    dropped, less = texts(source(lines, too_long="drop", **settings))
    assert info["too_long"] == "20 cut"
    assert less["too_long"] == "20 dropped"
    for name in cut:
        short = [t for t in cut[name] if len(t) < 19]
        assert sorted(short) == sorted(dropped[name])


def test_long_texts_are_cut_to_the_limit_with_their_end(source):
    made, _ = source(["a b c d e f g", "a b"], max_length=4, held_out=0.0)
    rows = [made.decode(i)["tokens"].tolist() for i in range(2)]
    assert made.info["length"] == 4
    assert all(row[-1] == 1 for row in rows)
    assert decode(torch.tensor(rows), made.info) == ["a b c", "a b"]


def test_rare_words_are_unknown_and_the_vocabulary_is_bounded(source):
    lines = [*["a b c"] * 5, "a rare word"]
    made, _ = source(lines, min_count=2, held_out=0.0)
    assert made.info["vocabulary"] == 6
    assert made.info["unknown"] == pytest.approx(2 / 18, abs=1e-5)
    made, _ = source(lines, vocabulary=5, held_out=0.0)
    assert made.info["vocabulary"] == 5


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_columns_and_classes(source, kind):
    rows = [("good, film", "pos"), ("bad\nfilm", "neg"), ("fine film", "pos")]
    if kind == "jsonl":
        content = [json.dumps({"review": t, "mood": m}) for t, m in rows]
    else:
        mark = "," if kind == "csv" else "\t"
        content = [f"review{mark}mood", *(f'"{t}"{mark}{m}' for t, m in rows)]
    made, options = source(content, f"reviews.{kind}", column="review", label_column="mood", held_out=0.0)
    assert made.info["classes"] == ["pos", "neg"]
    store = build_store(made, options, progress=False)
    samples = DOMAIN.real(split_store(store, 0.0)["train"], np.arange(3))
    assert samples.data == ["good, film", "bad film", "fine film"]
    assert samples.labels.tolist() == [0, 1, 0]


def test_a_folder_of_files(tmp_path):
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/a.txt").write_text("one two\nthree")
    (tmp_path / "data/deep/b.txt.gz").write_bytes(gzip.compress(b"\nfour five\n"))
    (tmp_path / "data/picture.png").write_bytes(b"\x89PNG")
    made = DOMAIN.open(TextSettings(source=str(tmp_path / "data"), held_out=0.0))
    assert [made.name(i) for i in range(3)] == ["a.txt line 1", "a.txt line 2", "deep/b.txt.gz line 2"]


def test_another_state_of_the_file_or_the_settings_is_another_store(source, tmp_path):
    keys = {source(LINES)[0].fingerprint()}
    keys.add(source(LINES, tokenizer="char")[0].fingerprint())
    keys.add(source(LINES, max_length=5)[0].fingerprint())
    keys.add(source(LINES, held_out=0.2)[0].fingerprint())
    keys.add(source([*LINES, "more"])[0].fingerprint())
    assert len(keys) == 5


# Bad input


@pytest.mark.parametrize(
    ("content", "name", "settings", "message"),
    [
        (b"", "empty.txt", {}, "holds no text"),
        (b"\n \n\t\n", "blank.txt", {}, "holds no text"),
        (b"abc\0def", "binary.txt", {}, "is a binary file"),
        ("zwei".encode("utf-16"), "wide.txt", {}, "is UTF-16.*convert it"),
        (b"same\nsame\nsame", "one.txt", {}, r"vocabulary of 1 token\(s\)"),
        (b"a b c d\nb c d e", "long.txt", {"max_length": 2, "too_long": "drop", "held_out": 0.0}, "more than 1 tokens"),
        (b"text\nhello", "a.csv", {"column": "txt"}, r"line 2 has no column 'txt' \(did you mean 'text'\?\)"),
        (b'{"text": 1}\n{"other": 2}', "a.jsonl", {}, "line 2 has no column 'text'; it has other"),
        (b'{"text": 1}\nnonsense', "a.jsonl", {}, "line 2 is not JSON"),
        (b"[1]", "a.jsonl", {}, "line 1 holds no object"),
        (b"text\nabc\nd\xff", "a.csv", {}, "line 3 is not UTF-8"),
        (b"a b\nb a", "plain.txt", {"label_column": "mood"}, "has no column 'mood'"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(source, content, name, settings, message):
    with pytest.raises(DataError, match=message):
        source(content, name, **settings)


def test_a_broken_archive(source, tmp_path):
    source(LINES, "a.txt.gz")
    path = tmp_path / "a.txt.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.txt\.gz cannot be read"):
        DOMAIN.open(TextSettings(source=str(path)))


def test_a_line_of_another_encoding_is_named_and_counted(source):
    content = b"\n".join([*[line.encode() for line in LINES], "stra\xdfe".encode("latin-1"), b"the end"])
    made, options = source(content)
    store = build_store(made, options, progress=False)
    assert len(store) == len(LINES) + 1
    assert store.bad == [f"lines.txt line {len(LINES) + 1}: is not UTF-8 (byte 0xdf at 5); convert the file"]
    with pytest.raises(DataError, match=r"1 of 20 samples .* cannot be read, more than data.max_bad = 0.01"):
        build_store(made, TextSettings(source=options.source, cache=options.cache, max_bad=0.01), progress=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": 4}, "data.vocabulary = 4 is too small"),
        ({"max_length": 1}, "data.max_length = 1"),
        ({"tokenizer": "words"}, "known are word, char, bpe"),
        ({"too_long": "keep"}, "known are cut, drop"),
        ({"min_count": 0}, "data.min_count"),
        ({"size": 1}, "data.size"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        MadeUpSettings(**settings)


# Prefixes, files, report


def test_a_prefix_becomes_tokens_or_says_which_words_are_unknown(source):
    made, _ = source(LINES, held_out=0.0)
    ids = encode_prefix("the old dog", made.info)
    assert decode(torch.tensor([ids]), made.info) == ["the old dog"]
    with pytest.raises(ConfigError, match=r"'zebra', 'flies' are not in the vocabulary of \d+ tokens"):
        encode_prefix("the zebra flies", made.info)
    with pytest.raises(ConfigError, match=r"^line 3: 'the zebra': 'zebra' is not in the vocabulary"):
        encode_prefixes(["the old", "the zebra"], ["1", "3"], made.info)
    assert encode_prefixes(["the old dog", "", "the"], (), made.info).tolist() == [
        ids,
        [OPEN] * 3,
        [ids[0], OPEN, OPEN],
    ]
    with pytest.raises(ConfigError, match="at most 8"):
        encode_prefix("the old dog sees the bird the river.", made.info)


def test_files_have_a_text_a_line_and_its_class(tmp_path):
    samples = Samples(["one\ntwo", "three"], DOMAIN, torch.tensor([1, 0]), ("a", "b"))
    assert DOMAIN.write(samples, tmp_path / "deep/out.txt") == [tmp_path / "deep/out.txt"]
    assert (tmp_path / "deep/out.txt").read_text() == "b\tone two\na\tthree\n"
    assert DOMAIN.write(Samples(["x"], DOMAIN), tmp_path / "folder") == [tmp_path / "folder/samples.txt"]
    with pytest.raises(ConfigError, match=r"out\.png: text is written as \.txt"):
        DOMAIN.write(samples, tmp_path / "out.png")


def test_files_of_a_user_are_read_line_by_line(tmp_path, monkeypatch):
    monkeypatch.setattr(domain, "ROWS", 2)
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone two\r\n\r\n  \nthree four\n five")
    pieces = list(DOMAIN.read(tmp_path / "a.txt", {}))
    assert [p.data for p in pieces] == [["one two", "three four"], [" five"]]
    assert [list(p.names) for p in pieces] == [["1", "4"], ["5"]]
    given = list(DOMAIN.read_text(["\ufeffone two\r\n", "\n", "three four\n", " five"], {}))
    assert [p.data for p in given] == [p.data for p in pieces]
    assert [list(p.names) for p in given] == [["1", "3"], ["4"]]


def test_a_file_of_a_user_is_read_only_as_far_as_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(domain, "ROWS", 1)
    (tmp_path / "a.txt").write_bytes(b"good\nalso good\nstra\xdfe\n")
    pieces = DOMAIN.read(tmp_path / "a.txt", {})
    assert [next(pieces).data, next(pieces).data] == [["good"], ["also good"]]
    with pytest.raises(DataError, match=r"a\.txt line 3: is not UTF-8 \(byte 0xdf at 5\)"):
        next(pieces)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text\nhello", r"a\.csv is no plain text; save the beginnings one a line as \.txt"),
        ("a.txt.gz", b"x", "is no plain text"),
        ("a.txt", b"ab\0c", "is a binary file"),
        ("a.txt", b"x" * ((1 << 20) + 9), "line 1: has more than 1,048,576 bytes"),
    ],
)
def test_files_of_a_user_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(DOMAIN.read(tmp_path / name, {}))


def test_standard_input_that_is_no_utf8_is_said():
    for lines in (["fine\n", "stra\udcdfe\n"], io.TextIOWrapper(io.BytesIO(b"stra\xdfe\n"), "utf-8")):
        with pytest.raises(DataError, match=r"the input is not UTF-8 near line \d; convert it"):
            list(DOMAIN.read_text(lines, {}))


def test_pieces_are_written_as_they_come(tmp_path):
    def pieces():
        yield Samples(["one\ntwo"], DOMAIN, torch.tensor([1]), ("a", "b"))
        raise DataError("the end of it")

    with pytest.raises(DataError, match="the end of it"):
        DOMAIN.write_file(pieces(), tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "b\tone two\n"


def test_a_report_shows_passages():
    samples = Samples(["<b>x</b>", "y"], DOMAIN, torch.tensor([1, 0]), ("a", "b"))
    assert DOMAIN.render(samples) == [Passage("<b>x</b>", "b"), Passage("y", "a")]


def test_features_tell_equal_from_unlike_texts():
    tokens = torch.tensor([[3, 4, 5, 1, 1], [3, 4, 5, 1, 1], [6, 7, 8, 9, 1], [3, 4, 9, 1, 1]])
    f = DOMAIN.features(Samples([""] * 4, DOMAIN, extra={"tokens": tokens}))
    gaps = torch.cdist(f, f)
    assert gaps[0, 1] == 0
    assert gaps[0, 2] == pytest.approx(2**0.5, abs=1e-5)
    assert 0.3 < gaps[0, 3] < 1.3


# Sets that are made up


def test_the_grammar_writes_what_it_says_as_often_as_it_says():
    rng = np.random.default_rng(0)
    written = [grammar.write_sentence(rng) for _ in range(3000)]
    values = [grammar.log_likelihood(*w) for w in written]
    assert np.isfinite(values).all()
    words = {text for text, _ in written}
    assert len(words) > 1900
    # The most likely questions: frequency against exp(log-likelihood), within four standard errors.
    for text in ("does the dog sleep?", "where does the dog sleep?"):
        p = np.exp(grammar.log_likelihood(text))
        many = [grammar.write_sentence(rng)[0] for _ in range(20_000)]
        assert abs(many.count(text) / 20_000 - p) < 4 * (p / 20_000) ** 0.5
    for wrong in ("the dog sleep.", "does the dog sleeps?", "the dog", "", "the zebra sleeps."):
        assert grammar.log_likelihood(wrong) == -np.inf
    assert grammar.log_likelihood("does the dog sleep?", 0) == -np.inf


def test_every_rule_s_chances_sum_to_one():
    assert all(sum(p for p, _ in rule) == pytest.approx(1) for rule in grammar.RULES.values())


def test_the_set_grammar_with_and_without_classes(tmp_path):
    options = MadeUpSettings(source="grammar", size=300, label_column="mood", cache=str(tmp_path))
    made = datasets.grammar(options)
    store = build_store(made, options, progress=False)
    samples = DOMAIN.real(split_store(store, 0.1)["train"], np.arange(50))
    assert all(t.endswith("?") == (c == 1) for t, c in zip(samples.data, samples.labels.tolist(), strict=True))
    assert all(
        grammar.log_likelihood(t, c) > -np.inf for t, c in zip(samples.data, samples.labels.tolist(), strict=True)
    )
    assert datasets.grammar(MadeUpSettings(source="grammar", size=300)).info["classes"] == []
    with pytest.raises(ConfigError, match="the column 'mood' alone"):
        datasets.grammar(MadeUpSettings(label_column="tone"))


def test_a_row_without_a_text_is_skipped_and_half_a_character_is_counted(source):
    rows, _ = texts(source(b'{"text": "a b"}\n{"text": null}\n{"text": "b a"}', "a.jsonl", held_out=0.0))
    assert sorted(rows["train"]) == ["a b", "b a"]
    broken = b"\n".join([b'{"text": "a b"}'] * 19 + [b'{"text": "a \\ud83d"}'])
    made, options = source(broken, "b.jsonl", held_out=0.0)
    store = build_store(made, options, progress=False)
    assert (len(store), len(store.bad)) == (19, 1)
    assert "b.jsonl" in store.bad[0]
    with pytest.raises(DataError, match="line 3 has no value for 'kind'"):
        source(b"text,kind\na b,x\nc d", "c.csv", label_column="kind")


def test_json_that_is_not_read_by_the_line_is_refused(source):
    for name in ("a.json", "a.json.gz"):
        with pytest.raises(DataError, match=r"call the file \.jsonl"):
            source(b'[{"text": "a b"}]', name)


def test_the_oracle_s_sequences_are_the_same_each_time_and_its_own(tmp_path):
    from polygan_text.oracle import oracle_of

    options = OracleSettings(source="oracle", size=700, vocabulary=50, max_length=8, cache=str(tmp_path))
    made, again = datasets.oracle(options), datasets.oracle(options)
    rows = np.stack([made.decode(i)["tokens"] for i in range(700)])
    assert np.array_equal(rows[::-1], np.stack([again.decode(i)["tokens"] for i in reversed(range(700))]))
    other = datasets.oracle(OracleSettings(size=700, vocabulary=50, max_length=8, oracle_seed=1))
    assert not np.array_equal(rows[:20], np.stack([other.decode(i)["tokens"] for i in range(20)]))
    oracle = oracle_of(made.info)
    tokens = torch.from_numpy(rows).long()
    nats = -float(oracle.log_probabilities(tokens).mean())
    shuffled = -float(oracle.log_probabilities(tokens[:, torch.randperm(8)]).mean())
    assert nats < shuffled - 0.5
    store = build_store(made, options, progress=False)
    assert np.array_equal(store.gather("tokens", np.arange(700)).numpy(), rows)


def oracle_file(path, **changes):
    from safetensors.torch import save_file

    tensors = {
        "emb.weight": torch.randn(20, 4), "lstm.weight_ih_l0": torch.randn(12, 4), "lstm.weight_hh_l0": torch.randn(12, 3),
        "lstm.bias_ih_l0": torch.randn(12), "lstm.bias_hh_l0": torch.zeros(12), "out.weight": torch.randn(20, 3),
        "out.bias": torch.randn(20),
    } | changes  # fmt: skip
    save_file({k: v for k, v in tensors.items() if v is not None}, path)
    return str(path)


def test_an_oracle_from_a_file(tmp_path):
    from polygan_text.oracle import oracle_of

    file = oracle_file(tmp_path / "oracle.safetensors")
    made = datasets.oracle(OracleSettings(oracle=file, size=10))
    assert made.info["vocabulary"] == 20
    assert made.decode(0)["tokens"].shape == (20,)
    assert oracle_of(made.info).vocabulary == 20
    oracle_file(tmp_path / "oracle.safetensors")
    with pytest.raises(DataError, match="has changed since"):
        oracle_of(made.info)


def test_an_oracle_is_read_where_it_was_named_last(tmp_path):
    from polygan_text.oracle import oracle_of

    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    oracle_file(first)
    for path in (first, second):
        if path == second:
            first.rename(second)
        options = OracleSettings(source="oracle", oracle=str(path), size=10, cache=str(tmp_path / "cache"))
        store = build_store(datasets.oracle(options), options, progress=False)
    assert oracle_of(store.info).vocabulary == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out.bias": None}, "lacks out.bias; it has emb.weight"),
        ({"out.weight": torch.zeros(20, 4)}, r"out.weight is \(20, 4\), .* must be \(20, 3\)"),
        ({"lstm.bias_ih_l0": torch.zeros(16)}, r"lstm.bias_ih_l0 is \(16,\), .* must be \(12,\)"),
        ({"emb.weight": torch.zeros(20)}, "are no matrices"),
    ],
)
def test_an_oracle_of_wrong_shapes(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        datasets.oracle(OracleSettings(oracle=oracle_file(tmp_path / "o.safetensors", **changes)))


def test_an_oracle_that_is_no_file(tmp_path):
    (tmp_path / "o.safetensors").write_bytes(b"nonsense")
    for path in (tmp_path / "o.safetensors", tmp_path / "absent.safetensors"):
        with pytest.raises(DataError, match=r"oracle .* is not a readable \.safetensors file"):
            datasets.oracle(OracleSettings(oracle=str(path)))
