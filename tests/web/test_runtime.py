"""onnxruntime-web: brought once, checked, kept; found where the user says; refused with one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small_registry import CODE, WASM, archive

from polygan import CheckpointError, ConfigError
from polygan_web import runtime


def kept(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_the_files_are_brought_once_and_kept(registry, tmp_path):
    assert runtime.runtime_files() == registry.files
    assert runtime.runtime_files() == registry.files
    assert registry.asked == 1
    assert kept(tmp_path) == sorted(registry.files)


def test_a_damaged_cache_is_brought_again(registry, tmp_path):
    runtime.runtime_files()
    (wasm,) = (tmp_path / "cache").rglob("*.wasm")
    wasm.write_bytes(WASM[:-1])
    assert runtime.runtime_files() == registry.files
    assert registry.asked == 2
    assert wasm.read_bytes() == WASM


def test_another_archive_is_refused_and_not_kept(registry, tmp_path):
    registry.body = archive({**registry.files, "ort.wasm.bundle.min.mjs": CODE + b"steal();"})
    with pytest.raises(
        CheckpointError, match=r"sent something else .*SHA-512 differs.*POLYGAN_ONNXRUNTIME_WEB"
    ) as error:
        runtime.runtime_files()
    assert "\n" not in str(error.value)
    assert kept(tmp_path) == []


@pytest.mark.parametrize("status", [404, 500])
def test_a_registry_that_refuses_is_one_line(registry, status, tmp_path):
    registry.status = status
    with pytest.raises(CheckpointError, match=r"cannot be reached .*POLYGAN_ONNXRUNTIME_WEB"):
        runtime.runtime_files()
    assert kept(tmp_path) == []


def test_without_a_network_the_remedy_is_said(registry, monkeypatch):
    monkeypatch.setattr(runtime, "ADDRESS", "http://127.0.0.1:1/ort.tgz")
    with pytest.raises(CheckpointError, match=r"cannot be reached \(.*refused\): try again, or bring onnxruntime-web"):
        runtime.runtime_files()


def test_a_cache_that_cannot_be_written_is_no_fault(registry, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "file"))
    assert runtime.runtime_files() == registry.files


@pytest.mark.parametrize("inner", ["", "dist", "package/dist"])
def test_a_folder_that_the_user_names_is_taken(registry, tmp_path, monkeypatch, inner):
    folder = tmp_path / "node_modules/onnxruntime-web"
    (folder / inner).mkdir(parents=True)
    (folder / inner / "ort.wasm.bundle.min.mjs").write_bytes(b"mine")
    (folder / inner / "ort-wasm-simd-threaded.wasm").write_bytes(b"my wasm")
    monkeypatch.setenv(runtime.PLACE, str(folder))
    assert [*runtime.runtime_files().values()] == [b"mine", b"my wasm"]
    assert registry.asked == 0


def test_an_archive_that_the_user_names_is_taken(registry, tmp_path, monkeypatch):
    (tmp_path / "ort.tgz").write_bytes(registry.body)
    monkeypatch.setenv(runtime.PLACE, str(tmp_path / "ort.tgz"))
    assert runtime.runtime_files() == registry.files
    assert registry.asked == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no archive", r"is no archive of npm .*name the \.tgz"),
        (archive({"ort-wasm-simd-threaded.wasm": WASM}), r"has no package/dist/ort\.wasm\.bundle\.min\.mjs"),
        (archive({"ort.wasm.bundle.min.mjs": CODE}, top="../"), r"has no package/dist/ort\.wasm\.bundle\.min\.mjs"),
    ],
)
def test_an_archive_of_something_else_is_refused(registry, tmp_path, monkeypatch, body, message):
    (tmp_path / "ort.tgz").write_bytes(body)
    monkeypatch.setenv(runtime.PLACE, str(tmp_path / "ort.tgz"))
    with pytest.raises(ConfigError, match=message):
        runtime.runtime_files()


def test_a_folder_without_the_files_is_refused(registry, tmp_path, monkeypatch):
    monkeypatch.setenv(runtime.PLACE, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"nowhere has no ort\.wasm\.bundle\.min\.mjs and ort-wasm.*name the folder"):
        runtime.runtime_files()


def test_the_licence_and_the_notices_are_those_of_onnx_runtime():
    found = runtime.licences()
    assert b"MIT License" in found["LICENSE"]
    assert b"Microsoft Corporation" in found["LICENSE"]
    assert len(found["ThirdPartyNotices.txt"]) > 10_000
