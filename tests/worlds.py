"""Starts the processes of a gloo group, each running one worker script."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from safetensors.torch import load_file


def launch(worker, size, out):
    """The tensors that ``worker OUT`` wrote to ``out`` when ``size`` processes ran it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(worker), str(out)],
            env={**common, "RANK": str(r), "LOCAL_RANK": str(r), "WORLD_SIZE": str(size)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for r in range(size)
    ]
    for p in processes:
        _, err = p.communicate(timeout=240)
        assert p.returncode == 0, err
    return load_file(out)
