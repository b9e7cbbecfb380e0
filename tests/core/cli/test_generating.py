"""`polygan generate`: where samples go, and what is refused before any are made."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from toy_runs import command, train

import polygan

pytestmark = pytest.mark.usefixtures("toys")
MIRROR = Path(__file__).parents[2] / "mirror_gan.py"


@pytest.fixture
def run():
    return train(steps=1)


def rows(path):
    return len(Path(path).read_text().splitlines())


def test_the_run_s_own_folder_holds_the_newest_samples_alone(run, capsys):
    for n in (8, 3):
        out = command("generate", run.folder, "-n", n, capsys=capsys).out
        assert out == f"{n} samples: {run.folder / 'generated/points.csv'}\n"
        assert rows(run.folder / "generated/points.csv") == n
    (run.folder / "generated/older.csv").write_text("1,2\n")
    message = command("generate", run.folder, code=2, capsys=capsys).err
    assert "generated holds a file that polygan did not write there (e.g. older.csv)" in message
    assert "name a new folder with --out, or move the other files away" in message
    assert rows(run.folder / "generated/points.csv") == 3


@pytest.mark.parametrize("out", ["walk.mp4", "x.onnx", "out/x.m4a"])
def test_an_unknown_suffix_is_refused_before_work(run, out, capsys, monkeypatch):
    monkeypatch.setattr(type(run.recipe), "generate", lambda *_: pytest.fail("samples were made"))
    message = command("generate", run.folder, "--out", out, code=2, capsys=capsys).err
    assert f"{out}: domain 'points' writes .csv, .npy; use one of these suffixes, or name a folder" in message
    assert not Path(out).exists()


def test_a_slash_at_the_end_names_a_folder(run, capsys):
    command("generate", run.folder, "-n", 2, "--out", "samples.v2/", capsys=capsys)
    assert rows("samples.v2/points.csv") == 2


def test_a_dash_writes_lines_to_standard_output(run, capsys, monkeypatch):
    out = command("generate", run.folder, "-n", 3, "--out", "-", capsys=capsys).out
    assert len(out.splitlines()) == 3
    assert not Path("-").exists()
    monkeypatch.setattr(type(run.domain), "lines", polygan.Domain.lines)
    monkeypatch.setattr(type(run.recipe), "generate", lambda *_: pytest.fail("samples were made"))
    message = command("generate", run.folder, "--out", "-", code=2, capsys=capsys).err
    assert "domain 'points' has no textual form; name a file or a folder with --out" in message


class Pipe(io.BytesIO):
    """Standard output of bytes."""

    terminal = False

    def isatty(self):
        return self.terminal

    @property
    def buffer(self):
        return self


@pytest.fixture
def pipe(run, monkeypatch):
    """Run a command whose standard output takes bytes; the domain writes the format, then the number of samples of each piece."""

    def pour(self, pieces, stream, format):
        stream.write(f"{format or 'usual'}:".encode())
        for piece in pieces:
            stream.write(bytes([len(piece)]))

    monkeypatch.setattr(type(run.domain), "pour", pour)

    def written(*words, terminal=False, code=0):
        stream = Pipe()
        stream.terminal = terminal
        with monkeypatch.context() as patched:  # pytest gives each phase of a test a standard output of its own
            patched.setattr(sys, "stdout", stream)
            command("generate", *words, "--out", "-", code=code)
        return stream.getvalue()

    return written


def test_a_domain_of_bytes_writes_to_standard_output_as_pieces_come(run, pipe, monkeypatch):
    assert pipe(run.folder, "-n", 3) == b"usual:\x03"
    np.save("twenty.npy", np.zeros((20, 2)))
    kind = type(run.recipe)
    monkeypatch.setattr(kind, "given", "points")
    monkeypatch.setattr(kind, "generate", lambda self, networks, request: polygan.Samples(request.given.data))
    assert pipe(run.folder, "--input", "twenty.npy") == b"usual:\x10\x04"
    assert pipe(run.folder, "--input", "twenty.npy", "--format", "raw") == b"raw:\x10\x04"


def test_a_terminal_gets_no_bytes(run, pipe, capsys, monkeypatch):
    monkeypatch.setattr(type(run.recipe), "generate", lambda *_: pytest.fail("samples were made"))
    assert pipe(run.folder, terminal=True, code=2) == b""
    assert "standard output is a terminal, and domain 'points' writes bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--seed", "-1"), "seed = -1 is not a whole number in [0, 2^63)"),
        (("--seed", 2**64), "use another seed"),
        (("-n", 0), "n = 0 samples cannot be generated; ask for a whole number from 1"),
        (("-n", 10**16), "do not fit into the memory"),
        (("--format", "npy"), "--format is for files that are made from --input"),
    ],
)
def test_what_cannot_be_made_is_one_clear_line(run, words, message, capsys):
    out = command("generate", run.folder, *words, code=2, capsys=capsys)
    assert message in out.err
    assert len(out.err.splitlines()) == 1
    assert not (run.folder / "generated").exists()


def test_files_made_from_an_input_do_not_mix_with_samples_from_noise(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(MIRROR.parent))
    polygan.plugins.set_catalogue(polygan.plugins.load_catalogue(files=[MIRROR.with_name("toy_gan.py"), MIRROR]))
    run = polygan.train("points/mirror", "ring", quiet=True, steps=1, hang_timeout=0, name="given")
    np.save("a.npy", np.ones((2, 2), "float32"))
    words = ("--plugin", MIRROR, "generate", run.folder)
    command(*words, "-n", 2, capsys=capsys)
    out = command(*words, "--input", "a.npy", capsys=capsys).out
    assert out == f"1 file: {run.folder / 'converted/a.csv'}\n"
    command(*words, "-n", 3, capsys=capsys)
    assert rows(run.folder / "generated/points.csv") == 3
    assert rows(run.folder / "converted/a.csv") == 2
    for refused in ("a.m4a", "a.mp3"):
        message = command(*words, "--input", "a.npy", "--out", refused, code=2, capsys=capsys).err
        assert f"{refused}: domain 'points' writes .csv, .npy" in message
        assert not Path(refused).exists()
    monkeypatch.setattr(sys, "stdin", io.StringIO("1 2\n"))
    assert "writes .csv, .npy" in command(*words, "--input", "-", "--out", "x.txt", code=2, capsys=capsys).err
    assert command(*words, "--input", "a.npy", "--out", "-", capsys=capsys).out == "-1 -1\n-1 -1\n"
    message = command(*words, "--input", "a.npy", "--out", "b.npy", "--format", "csv", code=2, capsys=capsys).err
    assert "b.npy ends in .npy, and format = 'csv'; leave --format out" in message
    Path("in").mkdir()
    assert (
        "is a folder, and --out - takes one file"
        in command(*words, "--input", "in", "--out", "-", code=2, capsys=capsys).err
    )


def test_a_text_is_a_line_of_input(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(MIRROR.parent))
    polygan.plugins.set_catalogue(polygan.plugins.load_catalogue(files=[MIRROR.with_name("toy_gan.py"), MIRROR]))
    run = polygan.train("points/mirror", "ring", quiet=True, steps=1, hang_timeout=0, name="given")
    words = ("--plugin", MIRROR, "generate", run.folder, "--text", "1 2")
    assert command(*words, capsys=capsys).out == "-1 -2\n"
    assert command(*words, "--out", "x.csv", capsys=capsys).out == "x.csv\n"
    assert rows("x.csv") == 1
    for other in ("--input", "--format"):
        message = command(*words, other, "npy", code=2, capsys=capsys).err
        assert f"--text is the input, and {other} is for files; leave {other} out" in message
    monkeypatch.setattr(type(run.domain), "lines", polygan.Domain.lines)
    assert command(*words, capsys=capsys).out == f"{run.folder / 'converted/samples.csv'}\n"
    assert "name a file or a folder with --out" in command(*words, "--out", "-", code=2, capsys=capsys).err
    monkeypatch.setattr(type(run.domain), "read_text", polygan.Domain.read_text)
    assert "has no textual form" in command(*words, code=2, capsys=capsys).err


def test_a_string_is_a_text_for_domains_of_texts_and_else_a_path(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(MIRROR.parent))
    polygan.plugins.set_catalogue(polygan.plugins.load_catalogue(files=[MIRROR.with_name("toy_gan.py"), MIRROR]))
    run = polygan.train("points/mirror", "ring", quiet=True, steps=1, hang_timeout=0, name="given")
    np.save("a.npy", np.ones((2, 2), "float32"))
    assert len(run.generate(given="a.npy")) == 2
    kind = type(run.domain)
    monkeypatch.setattr(kind, "is_text", True)
    monkeypatch.setattr(kind, "take", lambda self, value, info: next(self.read_text([value], info)))
    assert run.generate(given="3 4").data.tolist() == [[-3, -4]]
    assert len(run.generate(given=Path("a.npy"))) == 2
