"""From published weights to a voice of one's own: the commands on the first page of the README, played small."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent / "formats"))
from small_generators import SMALL, made

import polygan
from polygan.cli import command_line as cli
from polygan.plugins import set_catalogue
from polygan_audio.data import files
from polygan_audio.hifigan import Config, HiFiGAN
from polygan_audio.streaming import stream

RATE = 22_050
SMALLER = {"segment_size": 4096, "fmax": 7000}
QUICK = [
    "--model.discriminator_width",
    "8",
    "--model.scales",
    "none",
    "--batch_size",
    "2",
    "--precision",
    "fp32",
    "--hang_timeout",
    "0",
]


def official(generator):
    state = {k: v for k, v in generator.state_dict().items() if k != "mel_spec"}
    return {f"module.{k.replace('parametrizations.weight.original0', 'weight_g').replace('parametrizations.weight.original1', 'weight_v')}": v
            for k, v in state.items()}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Official weights, saved from several GPUs, and recordings at another rate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYGAN_PLUGINS", "audio")
    (tmp_path / "recordings").mkdir()
    for i in range(4):
        time = torch.arange(12_000) / 16_000
        files.write(
            tmp_path / f"recordings/{'<i>' if i == 3 else ''}{i}.wav",
            0.3 * torch.sin(2 * torch.pi * (200 + 40 * i) * time),
            16_000,
        )
    torch.save({"generator": official(made())}, "g_00000010")
    Path("config.json").write_text(json.dumps(SMALL | SMALLER))
    set_catalogue(None)
    yield tmp_path
    set_catalogue(None)


def command(*words, code=0):
    with pytest.raises(SystemExit) as end:
        cli.main([*map(str, words)])
    assert (end.value.code or 0) == code


def test_import_listen_evaluate_fine_tune(here, capsys):
    command("import", "audio/hifigan", "g_00000010", "--out", "vocoder.safetensors")
    command("generate", "vocoder.safetensors", "--input", "recordings/0.wav", "--encoding", "pcm24", "--out", "made")
    assert soundfile.info("made/0.wav").samplerate == RATE
    assert soundfile.info("made/0.wav").subtype == "PCM_24"
    capsys.readouterr()
    command("evaluate", "vocoder.safetensors", "--data", "recordings", "--metrics", "audio/mel-distance", "--json")
    scores = {score["name"]: score for score in json.loads(capsys.readouterr().out)}
    assert {*scores} >= {"audio/mel-distance", "audio/mel-distance-of-griffin-lim"}
    assert scores["audio/mel-distance"]["value"] > scores["audio/mel-distance-of-griffin-lim"]["value"]
    words = ["train", "audio/hifigan", "--data", "recordings", "--init_from", "vocoder.safetensors", *QUICK]
    command(*words, "--name", "mine", "--model.discriminator_warmup", 1, "--steps", 2)
    err = capsys.readouterr().err
    assert (
        "init_from vocoder.safetensors: took over --data.sample_rate 22050, --data.segment 4096, --model.n_fft 1024"
        in err
    )
    for said in (
        "--model.fmax 7000",
        "--model.channels 16",
        "--model.upsample_rates 8 8 4",
        "--data.sample_rate 22050",
    ):
        assert said in err
    mine, given = polygan.load("runs/mine"), polygan.load("vocoder.safetensors")
    assert mine.recipe.mel == given.recipe.mel
    assert mine.settings.data.segment == 4096
    moved = [
        not torch.equal(a, b)
        for a, b in zip(mine.networks["generator"].parameters(), given.networks["generator"].parameters(), strict=True)
    ]
    assert all(moved)
    page = Path("runs/mine/report.html").read_text()
    resting = ["--name", "resting", "--model.discriminator_warmup", 1, "--steps", 1, "--data.held_out", 0.5]
    command(*words, *resting, "--metrics", "audio/mel-distance")
    capsys.readouterr()
    command("evaluate", "runs/resting", "--json")  # the generator has rested: the start is the published network
    scores = {score["name"]: score["value"] for score in json.loads(capsys.readouterr().out)}
    assert scores["audio/mel-distance-of-start"] == pytest.approx(scores["audio/mel-distance"], rel=1e-6)
    for said in ("1 made", "1 recorded", "1 Griffin-Lim from its mel, no training"):
        assert said in page
    assert {*re.findall(r"\d (made|recorded|Griffin-Lim)[^<]* – &lt;i&gt;3\.wav – ", page)} == {
        "made",
        "recorded",
        "Griffin-Lim",
    }
    assert "<i>3" not in page
    shown = "".join(path.read_text() for path in Path("runs/mine/samples").glob("step-*/pieces.json"))
    assert "wav –" not in shown  # what people publish does not name the files of the data
    pieces = [*stream(mine, mine.recipe.mel(0.1 * torch.randn(RATE)).split(7, 1), latency="low")]
    assert len(torch.cat(pieces)) == RATE // 256 * 256
    assert len(pieces) > 3


def test_sound_goes_to_standard_output(here, monkeypatch):
    """As a WAV of unknown length or as bare samples, the same as in a file."""
    command("import", "audio/hifigan", "g_00000010", "--out", "vocoder.safetensors")
    command("generate", "vocoder.safetensors", "--input", "recordings/0.wav", "--out", "made/0.wav")

    class Pipe(io.BytesIO):
        buffer = property(lambda self: self)

    written = {}
    for how in ("wav", "raw"):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", Pipe())
            words = ["--input", "recordings/0.wav", "--out", "-", "--format", how, "--latency", "low"]
            command("generate", "vocoder.safetensors", *words)
            written[how] = sys.stdout.getvalue()
    assert written["wav"][:4] == b"RIFF"
    assert written["wav"][44:] == written["raw"]
    expected, _ = soundfile.read("made/0.wav", dtype="int16")
    found = torch.frombuffer(bytearray(written["raw"]), dtype=torch.int16)
    assert len(found) == len(expected)
    assert (found.int() - torch.from_numpy(expected).int()).abs().max() <= 1


def test_a_setting_against_the_weights_is_refused_with_both_values(here, capsys):
    command("import", "audio/hifigan", "g_00000010", "--out", "vocoder.safetensors")
    start = ["train", "audio/hifigan", "--data", "recordings", "--init_from", "vocoder.safetensors", *QUICK]
    for name, there, asked in (
        ("model.variant", "v2", "v3"),
        ("model.mel", "hifigan", "tacotron2"),
        ("model.fmax", "7000", "8000"),
        ("data.sample_rate", "22050", "24000"),
        ("model.channels", "16", "32"),
    ):
        capsys.readouterr()
        command(*start, f"--{name}", asked, code=2)
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert f"--{name} {there}" in err.partition("and this run has")[0]
        assert f"--{name} {asked}" in err.partition("and this run has")[2]
        assert not Path("runs").exists()


def test_another_variant_is_another_network():
    """A V1 hands on its variant, not the channels that it brings."""
    config = Config(variant="v1", channels=512, upsample_rates=(8, 8, 2, 2), upsample_kernels=(16, 16, 4, 4))
    found = HiFiGAN.inherited(config, {"sample_rate": RATE, "segment": 8192})
    assert found["model.variant"] == "v1"
    assert (found["model.channels"], found["model.upsample_rates"], found["model.upsample_kernels"]) == (0, (), ())
    assert found["data.sample_rate"] == RATE
    assert found["model.fmax"] == 8000
