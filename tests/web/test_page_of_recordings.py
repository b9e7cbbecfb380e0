"""Recordings in Chromium: what the page decodes, resamples and plays is what torch makes of the same samples."""

from __future__ import annotations

import struct
import sys
import wave
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from acting import drawn, pixels

sys.path.insert(0, str(Path(__file__).parent))
import small_sounds
from small_sounds import MEL, NAMES, RATE, spoken

from polygan_audio import vocoding
from polygan_speech.conversion.making import Converter

pytestmark = pytest.mark.slow


def write_wav(path, sound, rate=RATE):
    """A WAV file of 16 bits of samples (T,) or (T, channels)."""
    sound = np.asarray(sound, np.float32).reshape(len(sound), -1)
    with wave.open(str(path), "wb") as file:
        file.setparams((sound.shape[1], 2, rate, 0, "NONE", ""))
        file.writeframes((sound * 32767).round().astype(np.int16).tobytes())
    return path


def samples(page, what):
    return torch.tensor(page.evaluate(f"[...polygan.state.{what}]"))


def taken(page, path, **names):
    """Hand the page a file, wait for the made sound, and return the samples that the page decoded."""
    drawn(page, lambda: page.set_input_files("#file", path), **names)
    return samples(page, "recording.samples")


def downloaded(page):
    with page.expect_download() as download:
        page.click("#save")
    with wave.open(str(download.value.path())) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (RATE, 1, 2)
        found = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    return download.value.suggested_filename, found / 32767


def remade(generator, given, noise=None):
    """What torch makes of a recording (T,)."""
    whole = F.pad(given, (0, -len(given) % 64))[None]
    beside = [] if noise is None else [F.pad(noise, (0, -len(given) % 64))[None]]
    with torch.no_grad():
        return generator(MEL(whole), *beside)[0, : len(given)].clamp(-1, 1)


def test_a_file_is_made_again_and_saved_as_torch_makes_it(opened, tmp_path):
    generator = small_sounds.vocoder()
    page = opened(small_sounds.resynthesis(tmp_path / "v", generator))
    given = taken(page, write_wav(tmp_path / "my voice.wav", spoken(1.3)))
    np.testing.assert_allclose(given, spoken(1.3), atol=1e-4)
    wanted = remade(generator, given)
    np.testing.assert_allclose(samples(page, "made"), wanted, atol=1e-4)
    assert wanted.std() > 1e-3
    assert page.inner_text("#caption") == "my voice.wav"
    for canvas in ("#recorded", "#stage", "#mel", "#made-mel"):
        assert len(np.unique(pixels(page, canvas).reshape(-1, 4), axis=0)) > 1, canvas
    page.click("#play-recording")
    page.click("#play")
    name, saved = downloaded(page)
    assert name == "audio-vocos-made.wav"
    np.testing.assert_allclose(saved, wanted, atol=1e-4)


def test_a_long_recording_is_taken_in_pieces_without_seams_up_to_30_seconds(opened, tmp_path):
    generator = small_sounds.noisy_vocoder()
    page = opened(small_sounds.resynthesis(tmp_path / "v", generator))
    given = taken(page, write_wav(tmp_path / "long.wav", spoken(31)))
    assert len(given) == 30 * RATE
    assert page.inner_text("#left-out") == "Only the first 30 s of 31.0 s are taken."
    noise = torch.tensor(page.evaluate(f"[...polygan.parts.normals(1, 0, {len(given)})]"))
    np.testing.assert_allclose(samples(page, "made"), remade(generator, given, noise), atol=1e-4)
    short = taken(page, write_wav(tmp_path / "short.wav", spoken(0.01)))
    assert len(short) == MEL.pad + 1  # silence follows
    assert page.locator("#left-out").is_hidden()


def test_channels_become_one_at_the_rate_of_the_run(opened, tmp_path):
    page = opened(small_sounds.resynthesis(tmp_path / "v", small_sounds.vocoder()))
    one = spoken(0.5, rate=32_000)
    unlike = 0.4 * one.flip(0)
    given = taken(page, write_wav(tmp_path / "stereo.wav", torch.stack([one, unlike], 1), 32_000))
    assert len(given) == RATE // 2
    import torchaudio

    mean = torchaudio.functional.resample((one + unlike) / 2, 32_000, RATE)
    assert (given - mean)[200:-200].square().mean().sqrt() < 0.01 * mean.square().mean().sqrt()
    given = taken(page, write_wav(tmp_path / "against.wav", torch.stack([spoken(0.5), -0.9 * spoken(0.5)], 1)))
    np.testing.assert_allclose(given, spoken(0.5), atol=1e-4)  # the louder one


@pytest.fixture
def converting(monkeypatch):
    """A voice conversion, and a vocoder in the place of the one that a run names."""
    vocoder = small_sounds.vocoder()
    monkeypatch.setattr(vocoding, "network", lambda *_: vocoder)
    return *small_sounds.voices(), vocoder


def test_a_recording_speaks_in_the_voice_that_is_chosen(opened, tmp_path, converting):
    recipe, generator, vocoder = converting
    file = small_sounds.conversion(tmp_path / "c", recipe, generator, "small")
    page = opened(file)
    assert page.locator(".chip").all_inner_texts() == NAMES
    given = taken(page, write_wav(tmp_path / "a.wav", spoken(1)))

    def same(source, speaker):
        whole = F.pad(given, (0, -len(given) % 64))
        mel = torch.cat([*Converter(generator, source, speaker).stream([whole])], 1)[None]
        with torch.no_grad():
            wanted = vocoder(mel)[0, : len(given)].clamp(-1, 1)
        made = samples(page, "made")
        assert (made - wanted).abs().max() < 1e-3
        return made

    first = same(-1, 0)
    drawn(page, lambda: page.get_by_role("button", name=NAMES[1]).click())
    second = same(-1, 1)
    drawn(page, lambda: page.select_option("#source", "2"))
    third = same(2, 1)
    assert (first - second).std() > 0.1 * first.std()
    assert samples(page, "taken").tolist() == pytest.approx([small_sounds.PITCHES[2], 0.2], abs=1e-4)
    name, saved = downloaded(page)
    assert name.endswith("-b-bob-b-.wav")
    np.testing.assert_allclose(saved, third, atol=1e-4)


def test_later_pieces_speak_as_the_first_told(opened, tmp_path, converting):
    """512 frames tell whose pitch it is; the ONNX file, told the same, makes the whole in one."""
    file = small_sounds.conversion(tmp_path / "c", *converting[:2], "small")
    page = opened(file)
    higher = torch.cat([spoken(6, pitch=140.0), spoken(6, pitch=180.0)])
    given = taken(page, write_wav(tmp_path / "a.wav", higher))
    voice = samples(page, "taken")
    session = onnxruntime.InferenceSession(file)
    inputs = {"recording": given[None].numpy(), "speaker": np.array([0]), "voice": voice.numpy()}
    whole = session.run(["waveform"], inputs)[0][0]
    np.testing.assert_allclose(samples(page, "made"), whole, atol=1e-3)
    assert float(voice[0]) < np.log(160)


def test_of_many_speakers_a_search_finds_the_one(opened, tmp_path):
    names = [f"speaker {i}" for i in range(60)]
    page = opened(small_sounds.conversion(tmp_path / "c", *small_sounds.voices(names), "griffin-lim"))
    page.fill("input[type=search]", "r 57")
    assert page.locator(".chip").all_inner_texts() == ["speaker 0", "speaker 57"]
    page.get_by_role("button", name="speaker 57").click()
    assert page.evaluate("polygan.state.speaker") == 57
    assert "metallic" in page.inner_text("main")


def floats(path, values):
    """A WAV file of 32-bit floats."""
    data = np.asarray(values, "<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, RATE, 4 * RATE, 4, 32, b"data", len(data))  # fmt: skip
    path.write_bytes(head + data)
    return path


def test_what_cannot_be_taken_is_one_line_and_the_page_goes_on(opened, tmp_path):
    page = opened(small_sounds.resynthesis(tmp_path / "v", small_sounds.vocoder()))
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    write_wav(tmp_path / "silent.wav", torch.zeros(4000))
    floats(tmp_path / "nan.wav", [0.1, np.nan, 0.2] * 500)
    for name, line in (
        ("text.wav", "text.wav is no sound that this browser can read."),
        ("empty.wav", "empty.wav is empty."),
        ("silent.wav", "silent.wav is silent."),
        ("nan.wav", "nan.wav holds samples that are no numbers."),
    ):
        page.set_input_files("#file", tmp_path / name)
        page.wait_for_function("(line) => document.querySelector('#status.fault')?.textContent === line", arg=line)
    loud = taken(page, floats(tmp_path / "loud.wav", 3 * spoken(0.3)))
    assert loud.abs().max() == pytest.approx(1, abs=1e-3)
    assert page.locator("#status.fault").count() == 0
    assert samples(page, "made").isfinite().all()


def test_files_are_dropped_and_pasted(opened, tmp_path):
    page = opened(small_sounds.resynthesis(tmp_path / "v", small_sounds.vocoder()))
    data = [*write_wav(tmp_path / "a.wav", spoken(0.4)).read_bytes()]
    hand_over = """([kind, bytes]) => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], `${kind}.wav`, { type: "audio/wav" }));
        const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
        document.body.dispatchEvent(event); }"""
    for kind in ("drop", "paste"):
        drawn(page, lambda kind=kind: page.evaluate(hand_over, [kind, data]))
        assert page.inner_text("#caption") == f"{kind}.wav"
        np.testing.assert_allclose(samples(page, "recording.samples"), spoken(0.4), atol=1e-4)


def test_the_microphone_is_recorded_where_it_is_allowed(opened, tmp_path):
    page = opened(small_sounds.resynthesis(tmp_path / "v", small_sounds.vocoder()))
    page.click("#record")  # nobody has allowed it
    page.wait_for_selector("#status.fault")
    assert page.inner_text("#status") == (
        "The microphone was refused: allow it beside the browser's address line, or open a file."
    )
    page.context.grant_permissions(["microphone"])

    def record():
        page.click("#record")
        page.get_by_text("Stop recording").wait_for()
        page.wait_for_function("() => /Recording: [1-9]/.test(document.querySelector('#status').textContent)")
        page.get_by_text("Stop recording").click()

    drawn(page, record)
    given = samples(page, "recording.samples")
    assert 0.8 * RATE < len(given) < 8 * RATE
    assert given.abs().max() > 0.01  # the device beeps
    assert len(samples(page, "made")) == len(given)
    assert page.inner_text("#record") == "Record"
