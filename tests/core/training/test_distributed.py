"""Two processes train as one process does with the whole batch, and wait for each other where one works alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from polygan.training.distributed import World

sys.path.insert(0, str(Path(__file__).parents[2]))
from worlds import launch

WORKER = Path(__file__).with_name("world_worker.py")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    return launch(WORKER, {size: folder / f"{size}.safetensors" for size in (1, 2)})


@pytest.mark.parametrize(("kind", "tolerance"), [("f64", 1e-12), ("f32", 1e-6)])
def test_two_processes_equal_one_with_the_whole_batch(worlds, kind, tolerance):
    compared = set()
    for name, value in worlds[1].items():
        case, dtype, *_ = name.split("/")
        if dtype == kind:
            difference = (value - worlds[2][name]).abs().max().item()
            assert difference <= tolerance, f"{name}: {difference}"
            compared.add(case)
    assert compared == {"hinge-inline-r1", "lazy-r1", "critic-steps", "policy-gradient", "adam-minimax"}


def test_training_moved_the_parameters_at_all(worlds):
    a = worlds[1]["adam-minimax/f64/discriminator.0.weight"]
    b = worlds[1]["lazy-r1/f64/discriminator.0.weight"]
    assert not torch.equal(a, b)


def test_batch_norm_statistics_are_averaged_over_processes(worlds):
    one, two = (worlds[s]["batch-norm/1.running_mean"] for s in (1, 2))
    assert torch.isfinite(two).all()
    # Means of halves average to the mean of the whole; the generators differ a little, for batch norm saw halves.
    assert (one - two).abs().max() < 0.05
    assert one.abs().max() > 0.01


def test_one_process_needs_no_group():
    world = World()
    tensor = torch.ones(3)
    world.average([tensor])
    world.barrier()
    assert world.share("x") == "x"
    assert torch.equal(tensor, torch.ones(3))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_others_wait_for_the_first_longer_than_a_collective_may_take():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    code = (
        "import os, sys, time\nfrom polygan.training.distributed import world_from_environment\n"
        "pid = os.fork()\n"
        "os.environ.update(RANK=str(int(pid == 0)), LOCAL_RANK='0', WORLD_SIZE='2')\n"
        "with world_from_environment('cpu', 2) as (world, _):\n"
        "    with world.first_goes_first():\n        time.sleep(3 * world.first)\n"
        "    time.sleep(3 * world.first)\n    world.follow('later')\n"
        "    assert world.share('first' if world.first else 'second') == 'first'\n"
        "sys.exit(os.waitpid(pid, 0)[1] != 0 if pid else 0)\n"
    )
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_no_private_name_of_torch_is_needed_to_be_several():
    """Two processes of a torch whose module of process groups has no name that begins with an underscore to offer."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    code = (
        "import os, sys, torch.distributed.distributed_c10d as c10d\n"
        "del c10d._get_default_store\n"
        "from polygan.training.distributed import world_from_environment\n"
        "pid = os.fork()\n"
        "os.environ.update(RANK=str(int(pid == 0)), LOCAL_RANK='0', WORLD_SIZE='2')\n"
        "with world_from_environment('cpu', 20) as (world, _):\n"
        "    with world.first_goes_first():\n        pass\n"
        "    world.follow('later')\n"
        "    assert world.share(world.rank) == 0\n"
        "sys.exit(os.waitpid(pid, 0)[1] != 0 if pid else 0)\n"
    )
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_nccl_averages():
    code = (
        "import torch\nfrom polygan.training.distributed import world_from_environment\n"
        "with world_from_environment('cuda', 60) as (w, d):\n"
        "    t = torch.full((3,), float(w.rank), device=d); w.average([t]); assert t.tolist() == [0.5] * 3\n"
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--no-python",
    ]
    subprocess.run([*command, sys.executable, "-c", code], check=True, timeout=120)
