"""Importing plugins: local files, output, slow plugins, plugins that import torch."""

from __future__ import annotations

import re
import sys
import threading
import time

import pytest

from polygan import PluginError
from polygan.plugins import importing, load_catalogue


def test_what_a_plugin_prints_goes_to_stderr(site, capsys):
    loud = site.GOOD.replace("return [DomainSpec", "print('in a hook')\n    return [DomainSpec")
    module = site.install("music", "print('at import')\n" + loud)
    (site.root / f"{module}_impl.py").write_text("print('at use')\n" + site.IMPL)
    catalogue = load_catalogue()
    catalogue.resolve(catalogue.recipe("music/band"))
    print("after")
    assert capsys.readouterr() == ("after\n", "at import\nin a hook\nat use\n")


@pytest.mark.parametrize("naps", [True, False])
def test_a_plugin_that_is_still_being_loaded_is_named_meanwhile(site, capsys, monkeypatch, naps):
    """The plugin itself waits until stderr names it, so that a line that comes afterwards is too late."""
    monkeypatch.setattr(importing, "PATIENCE", 0.05 if naps else 30)
    named = threading.Event()
    stderr = sys.stderr

    class Seen:
        def write(self, text):
            stderr.write(text)
            if "still being loaded" in text:
                named.set()

        def flush(self):
            stderr.flush()

    monkeypatch.setattr(sys, "stderr", Seen())
    monkeypatch.setattr(sys, "named", named, raising=False)
    wait = "import sys\nassert sys.named.wait(20)\n" if naps else ""
    site.install("slow", wait + site.GOOD, version="3")
    status = site.only(load_catalogue())
    assert status.status == "loaded"
    line = (
        "plugin 'slow' (slow 3): still being loaded after 0.05 s; if it hangs, leave it out with --no-plugin 'slow'\n"
    )
    assert capsys.readouterr().err == (line if naps else "")
    assert ("s to load: do less at import" in status.reason) == naps


def test_a_plugin_that_fails_in_time_is_not_called_slow(site, capsys, monkeypatch):
    monkeypatch.setattr(importing, "PATIENCE", 0.1)
    site.install("broken", "raise ValueError")
    load_catalogue()
    time.sleep(0.3)
    assert capsys.readouterr().err == ""


def test_a_local_file_may_import_torch_and_has_more_time(site, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    code = site.HEAD + site.GOOD.replace("MODULE_impl", "slow_gan")
    path = tmp_path / "slow_gan.py"
    path.write_text(f"import sys, time\nsys.modules['torch'] = sys\ntime.sleep(0.3)\n{code}")
    monkeypatch.setattr(importing, "PATIENCE", 0.2)
    assert site.only(load_catalogue(files=[path])).reason == ""
    assert capsys.readouterr().err == ""
    del sys.modules["slow_gan"]
    monkeypatch.setattr(importing, "PATIENCE", 0.01)
    assert re.fullmatch(r"took 0\.\d s to load: do less at import", site.only(load_catalogue(files=[path])).reason)
    line = f"plugin 'slow_gan' ({path}): still being loaded after 0.1 s; if it hangs, leave its --plugin out\n"
    assert capsys.readouterr().err == line


def test_the_plugin_that_imports_torch_is_told_so_and_no_other(site, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    other = site.GOOD.replace("music", "noise").replace("hits", "booms")
    site.install("amusic", site.GOOD)
    site.install("heavy", "import sys\nsys.modules['torch'] = sys\n" + other)
    site.install("tail", other.replace("noise", "tail").replace("booms", "ends"))
    reasons = [status.reason for status in load_catalogue().plugins]
    text = "imports torch, for which every command now waits: import it in the modules of the specs' targets"
    assert reasons == ["", text, ""]


def test_a_local_file_is_a_plugin(site, my_gan):
    catalogue = load_catalogue(files=[my_gan, str(my_gan)])  # the same file twice is one plugin
    status = site.only(catalogue)
    assert (status.name, status.module, status.distribution, status.status) == ("my_gan", str(my_gan), "", "loaded")
    assert str(status) == f"plugin 'my_gan' ({my_gan})"
    band = catalogue.resolve(catalogue.recipe("music/band"))
    assert band is sys.modules["my_gan"].Band
    again = load_catalogue(files=[my_gan])
    assert again.resolve(again.recipe("music/band")) is band  # one class a process


def test_a_local_file_may_share_the_name_of_an_entry_point(site, my_gan):
    site.install("my_gan", site.GOOD.replace("music", "noise").replace("hits", "booms"))
    assert [p.name for p in load_catalogue(files=[my_gan]).plugins] == ["my_gan", "my_gan.py"]


def test_a_local_file_found_on_the_path_is_no_clash(site, my_gan, monkeypatch):
    monkeypatch.syspath_prepend(str(my_gan.parent))
    assert site.only(load_catalogue(files=[my_gan])).status == "loaded"


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("gone_gan.py", None, "missing: name a Python file"),
        ("bad_gan.py", "def (:", r"SyntaxError: .* at .*bad_gan.py:1: correct the file"),
        ("bad_gan.py", "1 / 0", r"ZeroDivisionError: division by zero at .*bad_gan.py:1: correct the file"),
        ("bad_gan.py", "import no_such_thing", "pip install no_such_thing"),
        ("bad_gan.py", "x = 1", "implements no hook"),
        ("json.py", "x = 1", r"another module 'json' \(.*json/__init__.py\): rename the file"),
        ("colorsys.py", "x = 1", r"another module 'colorsys' \(.*colorsys.py\): rename the file"),
        ("sys.py", "x = 1", "another module 'sys' .*: rename the file"),
        ("my-gan.py", "x = 1", "call it something like my_gan.py"),
        ("my.gan.py", "x = 1", "call it something like my_gan.py"),
        ("__init__.py", "x = 1", "install it if it is a package"),
        ("my_gan.txt", "x = 1", "call it something like my_gan.py"),
    ],
)
def test_a_local_file_that_fails_raises_at_once(site, tmp_path, name, code, expected):
    path = tmp_path / name
    if code is not None:
        path.write_text(code)
    before = dict(sys.modules)
    with pytest.raises(PluginError, match=expected) as raised:
        load_catalogue(files=[path], strict=False)
    assert str(raised.value).startswith(f"plugin {path.stem!r} ({path}): ")
    assert "\n" not in str(raised.value)
    assert sys.modules.get(path.stem) is before.get(path.stem)


def test_a_folder_and_two_files_of_one_name_are_refused(site, my_gan, tmp_path):
    with pytest.raises(PluginError, match="it is a folder: name a Python file"):
        load_catalogue(files=[tmp_path])
    other = tmp_path / "sub" / "my_gan.py"
    other.parent.mkdir()
    other.write_text(my_gan.read_text())
    with pytest.raises(PluginError, match=r"another module 'my_gan' \(.*my_gan.py\): rename the file"):
        load_catalogue(files=[my_gan, other])
