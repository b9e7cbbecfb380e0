"""A page that rewrites texts: its script cuts, joins and searches as polygan_text does in Python; run by Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from little_graphs import step

import polygan_web
from polygan import ConfigError
from polygan_text.data.tokenizing import train_tokenizer
from polygan_text.data.vocabulary import Vocabulary
from polygan_text.rewriting.beams import search
from polygan_web import rewriting
from polygan_web.export import export

tokenizers = pytest.importorskip("tokenizers")
SCRIPT = Path(polygan_web.__file__).parent / "page" / "tokens.js"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node.js")
CUT = """
const tokenizer = polygan.tokenizer(given.facts);
const copied = (ids) => ids.map((id, j) => (id === 2 ? given.facts.vocabulary + j : id));
answer(given.texts.map((text) => {
  const { ids, pieces } = tokenizer.encode(text);
  return { ids, copied: tokenizer.decode(copied(ids), pieces), plain: tokenizer.decode(ids) };
}));
"""
SEARCH = """
const step = async (place, last, rows) => last.map((token) => given.table[place][token]);
polygan.search(step, { beams: given.beams, length: given.table.length, start: 0, end: 1, banned: 2 }).then(answer);
"""
CORPUS = ["the cat sat on the mat.", 'a dog isn\'t here, (said Ann) "well"', "numbers 12 and 3.5! naïve café"]
TEXTS = [
    "the cat — sat<s>on \u00a0the (mat) 12²½ </s>",
    "  leading  and\ttabs\nnew line  ",
    "Zebra isn't “here” a_b 日本。 😀👨‍👩‍👧 e\u0301",
    "",
    "x" * 20 + " well-known/and",
    "<b>constructor</b> __proto__ \x07",
]


def run(script, **given):
    code = f"globalThis.polygan = {{}}; require(process.argv[1]); const answer = (x) => console.log(JSON.stringify(x)); const given = JSON.parse(require('fs').readFileSync(0)); {script}"
    ran = subprocess.run(
        [str(NODE), "-e", code, str(SCRIPT)], input=json.dumps(given), capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def facts(vocabulary):
    """What the export of a policy says of its tokenizer."""
    known = {"tokenizer": vocabulary.text, "words": vocabulary.names(), "shift": vocabulary.shift, "unknown": 2}
    return {**known, "start": 0, "end": 1, "vocabulary": vocabulary.size}


@needs_node
@pytest.mark.parametrize("more", [[], ["família 👨‍👩‍👧 e\u0301", "x\ny z"]], ids=["plain", "clusters and breaks"])
@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_texts_are_cut_and_joined_as_in_python(kind, more):
    vocabulary = Vocabulary(train_tokenizer(kind, lambda: [*CORPUS, *more], 300, 1).to_str())
    known = facts(vocabulary)
    found = run(CUT, facts={**known, "cutting": rewriting.cutting(known)}, texts=TEXTS)
    rows = vocabulary.encode(TEXTS)
    assert [each["ids"] for each in found] == rows
    assert any(2 in row for row in rows) == (kind != "bpe")
    pieces = [vocabulary.pieces(t, e) for t, e in zip(TEXTS, vocabulary.encodings(TEXTS), strict=True)]
    copied = [[vocabulary.size + j if i == 2 else i for j, i in enumerate(row)] for row in rows]
    assert [each["copied"] for each in found] == vocabulary.decode(copied, pieces)
    assert [each["plain"] for each in found] == vocabulary.decode(rows)


@pytest.mark.parametrize(
    "own",
    [
        tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>")),
        tokenizers.Tokenizer(tokenizers.models.Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0)),
    ],
)
def test_another_tokenizer_is_refused_in_one_line(own):
    own.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    with pytest.raises(ConfigError, match=r"--data\.tokenizer word, char or bpe.*use --format onnx") as error:
        rewriting.cutting(facts(Vocabulary(own.to_str())))
    assert "\n" not in str(error.value)


class Sampler:
    """Log-probabilities (L, V, V) by place and last token, as a policy gives them."""

    def __init__(self, table):
        self.table = table

    def start(self, n):
        return torch.zeros(n, dtype=torch.long), torch.zeros(n, dtype=torch.long)

    def logits(self, state):
        return self.table[state[0], state[1]]

    def advance(self, state, word):
        return state[0] + 1, word


@needs_node
@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize("seed", range(6))
def test_the_search_finds_what_python_finds(beams, seed):
    draw = torch.Generator().manual_seed(seed)
    table = (2 * torch.randn(7, 9, 9, generator=draw)).log_softmax(2)
    (wanted,) = search(Sampler(table), 1, 7, beams, 1, 2).tolist()
    found = run(SEARCH, table=table.tolist(), beams=beams)
    ended = wanted[: wanted.index(1) + 1] if 1 in wanted else wanted
    assert found == ended


def test_an_encoder_and_a_step_of_something_else_are_refused(registry, tmp_path):
    files = [step(tmp_path / f"m-{part}.onnx", [[0.0] * 4] * 4, {"length": 5}) for part in rewriting.PARTS]
    with pytest.raises(ConfigError, match="no page shows this encoder and step: use --format onnx"):
        export(SimpleNamespace(info={}), files, tmp_path / "page")
    assert not (tmp_path / "page").exists()
    assert registry.asked == 0
