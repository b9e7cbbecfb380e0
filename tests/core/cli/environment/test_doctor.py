"""The doctor tells what works, what is missing and what to type; nobody is recognised by the answer."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from dreaming import run

import polygan.training.distributed as devices_of
from polygan.cli.environment import doctor, machine
from polygan.plugins import Catalogue
from polygan.plugins.discovery import PluginStatus


@pytest.fixture
def alone(monkeypatch):
    """Leave out packages whose import takes seconds."""
    monkeypatch.setattr(doctor, "_COMPANIONS", ())


def status(name="x", **more):
    return PluginStatus(name, name, f"polygan-{name}", "1.0", **{"status": "loaded", **more})


def with_plugins(*plugins):
    catalogue = Catalogue()
    catalogue.plugins += plugins
    return catalogue


def test_it_tells_versions_devices_plugins_and_cache_as_tables_and_as_json(alone, dreams, capsys):
    out = run(capsys, "doctor", "--plugin", dreams).out
    for word in (
        "torch",
        torch.__version__,
        "numpy",
        "cpu",
        "fp32",
        "threads: 1",
        "cache: ",
        "dreams",
        "polygan works here",
    ):
        assert word in out
    found = json.loads(run(capsys, "doctor", "--json", "--plugin", dreams).out)
    assert found["works"] is True
    assert found["devices"][0]["name"] == "cpu"
    assert found["devices"][0]["precisions"]["fp32"] == "works"
    assert found["threads"] == torch.get_num_threads()
    assert {"name": "dreams", "distribution": "", "version": "", "status": "loaded", "reason": ""} in found["plugins"]


def test_a_torch_that_does_not_import_is_an_answer_with_exit_code_1(alone, monkeypatch, dreams, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    out = run(capsys, "doctor", "--plugin", dreams, code=1).out
    assert "fault: torch does not import (ModuleNotFoundError: " in out
    assert 'pip install --force-reinstall "torch' in out
    assert out.endswith("polygan does not work here\n")
    assert "cache: " in out


def test_extras_that_lack_a_package_come_with_the_line_that_brings_them(alone, distributions, capsys):
    distributions("polygan-x", requires=["nobody-has-this>=3; extra == 'rare'", "and-not-this; extra == 'rare'"])
    found = doctor.examine(with_plugins(status()))
    row = {
        "extra": "polygan-x[rare]",
        "lacks": "nobody-has-this>=3, and-not-this",
        "type": 'pip install "polygan-x[rare]"',
    }
    assert found.missing == [row]
    assert found.works
    doctor.show(found, as_json=False)
    assert 'nobody-has-this>=3, and-not-this  pip install "polygan-x[rare]"' in capsys.readouterr().out


def test_a_version_that_does_not_fit_is_a_fault_with_its_remedy(alone, distributions):
    distributions("polygan-x", requires=["torch<1"])
    found = doctor.examine(with_plugins(status()))
    assert (
        found.faults[0]
        == f'polygan-x needs torch<1 ({torch.__version__.partition("+")[0]} is installed): pip install "torch<1"'
    )
    assert found.works  # other plugins may


def test_a_requirement_of_the_core_that_is_missing_means_that_polygan_cannot_work(alone, distributions):
    distributions("polygan", requires=["nobody-has-this"])
    found = doctor.examine(Catalogue())
    assert found.faults[0] == 'polygan needs nobody-has-this: pip install "nobody-has-this"'
    assert not found.works


def test_a_companion_that_does_not_load_with_this_torch_is_named_with_both_versions(
    distributions, monkeypatch, tmp_path
):
    (tmp_path / "twin_of_torch.py").write_text("raise OSError('undefined symbol: c10')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(doctor, "_COMPANIONS", ("twin_of_torch",))
    distributions("twin_of_torch", "2.11")
    distributions("polygan-x", requires=["torch<99"])
    found = doctor.examine(with_plugins(status()))
    assert found.faults[0] == (
        f"twin_of_torch 2.11 does not load with torch {found.versions['torch']} (OSError: undefined symbol: c10): "
        'pip install --upgrade "torch<99" twin_of_torch'
    )


def test_plugins_that_failed_and_an_empty_catalogue_are_faults_that_leave_the_exit_code(alone):
    found = doctor.examine(with_plugins(status(status="failed", reason="no module 'b': correct it")))
    assert found.faults[0] == "plugin 'x' failed to load: no module 'b': correct it"
    assert found.faults[1].startswith("no recipe, because no plugin brings one: pip install ")
    assert found.works


def test_the_names_of_user_and_machine_and_the_home_folder_are_left_out(alone, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.getpass, "getuser", lambda: "zelda")
    monkeypatch.setattr(doctor.platform, "node", lambda: "triforce.example.org")
    monkeypatch.setenv("HOME", str(tmp_path / "zelda"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "zelda"))
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "zelda" / "cache"))
    reason = f"ValueError at {tmp_path}/zelda/a.py:1, /scratch/zelda/b.py, on triforce: mend zelda-plugin"
    found = doctor.examine(with_plugins(status(status="failed", reason=reason)))
    text = json.dumps(vars(found), default=vars)
    assert "triforce" not in text
    assert found.cache["folder"].replace("\\", "/") == "~/cache"
    assert "~/a.py:1, /scratch/USER/b.py, on HOST: mend zelda-plugin" in found.faults[0]


def test_an_unknown_user_hides_nothing_and_ends_nothing(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(doctor.getpass, "getuser", nobody)
    monkeypatch.setattr(doctor.platform, "node", lambda: "")
    monkeypatch.setattr(doctor.os.path, "expanduser", lambda path: path)
    assert doctor._secrets() == {}


def test_a_cache_that_cannot_be_found_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "polygan.data.cache.folders", SimpleNamespace())
    cache = doctor._cache()
    assert cache["reason"].startswith("ImportError: ")
    assert doctor._cache_line(cache).startswith("unknown (ImportError")


def test_an_accelerator_that_polygan_does_not_serve_is_shown_as_such(monkeypatch):
    monkeypatch.setattr(devices_of, "available", lambda: ["cpu"])
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("xpu"))
    last = machine.devices()[-1]
    assert (last.name, last.served, last.trains, last.what) == ("xpu", False, False, "polygan does not train on it")


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_an_accelerator_that_polygan_serves_is_not_listed_twice(kind, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device(kind))
    assert devices_of.unserved() == []


def test_a_precision_that_fails_is_told_by_its_error(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no kernel for bf16\nmore lines")

    monkeypatch.setattr(torch, "autocast", refuse)
    assert machine._tried(torch.device("cpu"), "bf16") == "RuntimeError: no kernel for bf16 more lines"


def test_an_emulated_precision_is_told_apart(monkeypatch):
    monkeypatch.setattr(devices_of, "is_emulated", lambda precision, device: precision == "fp16")
    assert machine._tried(torch.device("cpu"), "fp32") == "works"
    assert machine._tried(torch.device("cpu"), "fp16") == "emulated"


def test_devices_that_cannot_train_mean_that_polygan_does_not_work(alone, monkeypatch):
    broken = machine.Device("cpu", "", dict.fromkeys(machine.PRECISIONS, "RuntimeError: illegal instruction"))
    monkeypatch.setattr(doctor, "devices", lambda: [broken])
    found = doctor.examine(Catalogue())
    assert "device cpu trains in no precision (RuntimeError: illegal instruction): use another --device" in found.faults
    assert not found.works
