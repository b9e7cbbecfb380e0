"""Starts the processes of a gloo group, each running one worker script.

As a script (``python worlds.py WORKER SIZE=OUT...``) it imports the worker once, with all that training imports late, and forks the
ranks of each group.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import traceback

import torch
from safetensors.torch import load_file


def launch(worker, outs):
    """By size of the group, the tensors that ``worker OUT`` wrote to ``outs[size]`` when that many processes ran it."""
    words = [f"{size}={out}" for size, out in outs.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, str(worker), *words], env=environment, capture_output=True, text=True, timeout=480
    )
    assert done.returncode == 0, done.stderr
    return {size: load_file(out) for size, out in outs.items()}


def rank(main, out):
    """Fork a process that plays one rank; its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    # As the command line, a rank leaves by os._exit: gloo's teardown now and then aborts a process.
    torch.distributed.destroy_process_group = lambda *_: None
    try:
        main(out)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(worker, words):
    spec = importlib.util.spec_from_file_location("world_worker", worker)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    import torch._dynamo  # noqa: F401 - which the first optimizer imports

    failed = []
    for word in words:
        size, _, out = word.partition("=")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=size)
        processes = []
        for r in range(int(size)):
            os.environ.update(RANK=str(r), LOCAL_RANK=str(r))
            processes.append(rank(module.main, out))
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in processes]
        failed += [f"of {size} processes, rank {r} ended with {code}" for r, code in enumerate(codes) if code]
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
