"""The command line with the text plugin: train through all phases, resume, generate, evaluate, report; bad input in one line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from survival import command as polygan

pytestmark = pytest.mark.e2e

SMALL = ["--batch_size", "16", "--model.mle_steps", "30", "--model.pretrain_steps", "10", "--model.check_every", "10",
         "--model.hidden_dim", "16", "--model.discriminator_steps", "1", "--data.size", "400", "--log_every", "10"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("text")
    data = ["--data", "grammar", "--data.label_column", "mood"]
    polygan("train", "text/seqgan", *data, "--steps", "50", "--name", "r", *SMALL, cwd=cwd)
    return cwd


def test_a_run_passes_through_its_phases_and_reports(run):
    records = [json.loads(line) for line in (run / "runs/r/log.jsonl").read_text().splitlines()]
    values = [r["values"] for r in records if r["event"] == "logged"]
    assert "mle/nll" in values[0]
    assert "d_pretrain/real" in values[3]
    assert {"g/policy", "g/reward", "d/r_t", "teach/nll", "held_out/nll"} <= values[4].keys()
    assert values[2]["mle/nll"] < values[0]["mle/nll"]
    page = (run / "runs/r/report.html").read_text()
    assert "statement" in page
    assert "</s>" not in page


def test_samples_are_reproducible_files(run):
    asked = ["--label", "question", "--temperature", "0.5"]
    for name in ("a", "b"):
        polygan("generate", "runs/r", "-n", "20", "--seed", "3", *asked, "--out", f"{name}.txt", cwd=run)
    assert (run / "a.txt").read_text() == (run / "b.txt").read_text()
    lines = (run / "a.txt").read_text().splitlines()
    assert len(lines) == 20
    assert all(line.startswith("question\t") for line in lines)
    polygan("generate", "runs/r", "-n", "5", "--prefix", "the old", "--out", "c.txt", cwd=run)
    assert all(line.partition("\t")[2].startswith("the old") for line in (run / "c.txt").read_text().splitlines())


def test_given_beginnings_are_continued_one_a_line(run, monkeypatch):
    """From a file and from standard input: the same texts, none for a blank line."""
    (run / "prefixes.txt").write_text("the old dog\n\n   \nthe cat\nin the garden, the")
    polygan("generate", "runs/r", "--input", "prefixes.txt", "--label", "statement", "--out", "out.txt", cwd=run)
    lines = (run / "out.txt").read_text().splitlines()
    assert [line.partition("\t")[0] for line in lines] == ["statement"] * 3
    begins = ("the old dog", "the cat", "in the garden, the")
    assert all(line.partition("\t")[2].startswith(b) for line, b in zip(lines, begins, strict=True))
    monkeypatch.setattr("sys.stdin", io.StringIO((run / "prefixes.txt").read_text()))
    done = polygan("generate", "runs/r", "--input", "-", "--label", "statement", cwd=run)
    assert done.stdout.splitlines() == lines
    polygan("generate", "runs/r", "--input", "prefixes.txt", "--out", "made", cwd=run)
    assert len((run / "made/prefixes.txt").read_text().splitlines()) == 3


def test_a_folder_with_a_bad_file_gives_the_others(run):
    (run / "in/deep").mkdir(parents=True)
    (run / "in/a.txt").write_text("the cat\n")
    (run / "in/deep/b.txt").write_bytes(b"the dog\nstra\xdfe\n")
    (run / "in/c.txt").write_text(" \n\n")
    done = polygan("generate", "runs/r", "--input", "in", "--out", "from-in", cwd=run, code=1)
    assert "b.txt line 2: is not UTF-8" in done.stderr
    assert "c.txt holds no sample" in done.stderr
    assert "2 of 3 files of in could not be converted" in done.stderr.splitlines()[-1]
    assert [p.name for p in (run / "from-in").rglob("[!.]*") if p.is_file()] == ["a.txt"]


def test_scores_and_the_sweep_reach_the_report(run):
    done = polygan("evaluate", "runs/r", "--samples", "100", "--json", cwd=run)
    names = {s["name"] for s in json.loads(done.stdout)}
    assert {"text/nll-held-out", "text/bleu-4", "text/self-bleu-4", "text/grammatical"} <= names
    assert "text/nll-oracle was left out" in done.stderr
    page = (run / "runs/r/report.html").read_text()
    assert "text/temperature-sweep" in page
    assert "maximum likelihood" in page
    assert page.count("<figure class=plot><figcaption><b>text/temperature-sweep</b>") == 1


def test_a_start_from_a_run_needs_the_tokenizer_of_the_run(run):
    rows = ["the dog sees a zebra near the old barn and the house,statement", "does the zebra sleep?,question"]
    (run / "words.csv").write_text("\n".join(["text,mood", *rows * 100]))
    data = ["--data", "words.csv", "--data.label_column", "mood", "--data.max_length", "13"]
    small = [*SMALL[: SMALL.index("--data.size")], *data, "--steps", "1"]
    words = ["train", "text/seqgan", *small, "--init_from", "runs/r", "--name", "later"]
    done = polygan(*words, cwd=run, code=1)
    assert "the tokenizers differ" in done.stderr
    assert not (run / "runs/later").exists()
    done = polygan(*words, "--data.tokenizer", "runs/r", cwd=run)
    assert "init_from runs/r: loaded generator" in done.stderr


def test_resume_goes_on(run):
    polygan("resume", "runs/r", "--steps", "60", cwd=run)
    assert (run / "runs/r/checkpoints/step-00000060").is_dir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate", "runs/r", "--prefix", "the zebra"], "'zebra' is not in the vocabulary"),
        (
            ["generate", "runs/r", "--input", "zebra.txt", "--out", "z.txt"],
            "line 3: 'the zebra flies': 'zebra', 'flies' are not in",
        ),
        (["generate", "runs/r", "--input", "latin.txt", "--out", "z.txt"], "latin.txt line 1: is not UTF-8"),
        (["generate", "runs/r", "--temperature", "0"], "temperature = 0.0 is too small; use more than 0"),
        (["generate", "runs/r", "--label", "order"], "no such class"),
        (["train", "text/seqgan", "--data", "empty.txt"], "holds no text"),
        (["train", "text/seqgan", "--data", "grammar", "--model.rollout", "3"], "did you mean --model.rollouts?"),
        (
            ["train", "text/seqgan", "--data", "grammar", "--data.size", "100", "--steps", "5"],
            "turn 'held_out' needs the stream 'held_out'; this run has train",
        ),
    ],
)
def test_bad_input_is_one_line(run, words, message):
    (run / "empty.txt").write_text("")
    (run / "zebra.txt").write_text("the dog\n\nthe zebra flies\n")
    (run / "latin.txt").write_bytes("straße".encode("latin-1"))
    done = polygan(*words, cwd=run, code=1 if "holds" in message or "UTF-8" in message else 2)
    assert not (run / "z.txt").exists()
    last = done.stderr.strip().splitlines()[-1]
    assert message in last
    assert "Traceback" not in done.stderr
