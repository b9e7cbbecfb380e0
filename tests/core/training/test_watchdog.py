"""The watchdog ends a process that hangs, shows its stacks, and waits while it is paused."""

from __future__ import annotations

import subprocess
import sys


def test_the_watchdog_ends_a_hung_process_with_its_stacks():
    code = (
        "import time\nfrom polygan.training.watchdog import Watchdog\n"
        "def stuck_here():\n    time.sleep(60)\nwith Watchdog(0.4):\n    stuck_here()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 70
    assert "no iteration finished" in done.stderr
    assert "stuck_here" in done.stderr


def test_a_paused_watchdog_waits():
    code = (
        "import time\nfrom polygan.training.watchdog import Watchdog\n"
        "with Watchdog(0.4) as watchdog, watchdog.paused():\n    time.sleep(1.5)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_watchdog_does_not_wait_for_a_log_that_hangs():
    code = (
        "import logging, time\nfrom polygan.training import watchdog\nwatchdog._PATIENCE = 0.2\n"
        "class Stuck(logging.Handler):\n    def emit(self, record):\n        time.sleep(60)\n"
        "logging.getLogger('polygan').addHandler(Stuck())\n"
        "with watchdog.Watchdog(0.4):\n    time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 70
    assert "most recent call first" in done.stderr
