"""One thread a test process; no test may write to the user's cache or find the user's plugins settings."""

from __future__ import annotations

import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

# A shell ignores SIGINT in background jobs and nohup ignores SIGHUP. Processes that the tests start would inherit that.
for _signal in (signal.SIGINT, *(getattr(signal, name) for name in ("SIGHUP", "SIGQUIT") if hasattr(signal, name))):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.default_int_handler if _signal == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data():
    """Finds a folder of a large data set, in $POLYGAN_SHARED_DATA or else ../shared/data; skips the test where it is absent."""
    root = Path(os.environ.get("POLYGAN_SHARED_DATA") or Path(__file__).parents[2] / "shared/data")

    def find(name):
        if not (root / name).is_dir():
            pytest.skip(f"{root / name} is absent; name the folder of data sets in POLYGAN_SHARED_DATA")
        return root / name

    return find


@pytest.fixture(autouse=True)
def _messages_on_stderr():
    """As a user sees them: pytest configures the logging of its process, which polygan would otherwise leave the lines to."""
    from polygan.messages import shown_on_stderr

    with shown_on_stderr():
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("POLYGAN_PLUGINS", "POLYGAN_STRICT"):
        monkeypatch.delenv(name, raising=False)
