"""Processes that `killing` kills: forks of this process, so that torch is imported once, and two processes under torchrun."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import time
from pathlib import Path

import survival

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "100")
SHARED = (
    "torch",
    "torchaudio",
    "matplotlib",
    "numpy",
    "polygan",
    "polygan_audio",
    "polygan_image",
    "polygan_text",
    "scipy",
)


class Forked:
    """A fork of this process that plays one command of `polygan`."""

    def __init__(self, words, log):
        self.code = None
        self.pid = os.fork()
        if self.pid:
            return
        code = 99
        try:
            with open(log, "a") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            from polygan.cli import command_line as cli

            cli.main([*survival.PLUGIN, *map(str, words)])
        except SystemExit as end:
            code = end.code or 0
        finally:
            with contextlib.suppress(Exception):
                Path("modules.txt").write_text("\n".join(sys.modules))
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def poll(self, *, wait=False):
        """The exit code (negative: a signal), or None while the process runs."""
        if self.code is None:
            ended, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if ended else None
        return self.code

    def kill(self, rng):
        """Kill the process. Whether it was killed, rather than ended by itself just before."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return self.poll(wait=True) == -signal.SIGKILL


class Launched:
    """`polygan` under torchrun with two processes."""

    def __init__(self, words, log):
        with open(log, "a") as file:
            self.process = survival.start(*words, launcher=TORCHRUN, stdout=file, stderr=file, start_new_session=True)

    def poll(self, *, wait=False):
        """The exit code, or None while the launcher runs."""
        return self.process.wait() if wait else self.process.poll()

    def ranks(self):
        """The processes that train."""
        with contextlib.suppress(OSError, ValueError):
            pid = self.process.pid
            children = [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            return [c for c in children if b"polygan" in Path(f"/proc/{c}/cmdline").read_bytes()]
        return []

    def kill(self, rng):
        """Kill one rank, which torchrun restarts, or the launcher with its ranks. Whether anything was killed."""
        ranks = self.ranks()
        if ranks and rng.random() < 0.5:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(ranks), signal.SIGKILL)
                return True
        if self.poll() is not None:
            return False
        for pid in (self.process.pid, *ranks, *self.ranks()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + 60
        while any(Path(f"/proc/{r}").exists() for r in ranks) and time.monotonic() < end:  # they release the run's lock
            time.sleep(0.01)
        return True


def share_imports():
    """Import what the last fork has imported, so that later forks need not."""
    for name in Path("modules.txt").read_text().split():
        if name.split(".")[0] in SHARED and name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
