"""What is pushed comes back to the bit, by every way that a name goes, and a run that starts from it knows the commit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from toy_runs import assert_same, command, state, train

import polygan
import polygan_hub


def test_push_pull_and_generate_give_the_same_samples(run, hub):
    pinned = polygan_hub.push(run, "me/toy")
    path = polygan_hub.pull("me/toy", out="here/toy")
    assert path == Path("here/toy/model.safetensors")
    assert pinned == f"me/toy@{hub.files('me/toy')[0]}"
    before, after = polygan.load(run), polygan.load(path)
    assert torch.equal(before.generate(9, seed=3).data, after.generate(9, seed=3).data)
    assert_same(state(before), state(polygan.load("hf:me/toy")))
    assert sorted(p.relative_to("here/toy").as_posix() for p in Path("here/toy").rglob("*")) == [
        "README.md",
        "config.yaml",
        "model.json",
        "model.safetensors",
        "scores.json",
    ]
    assert ".gitattributes" in hub.files("me/toy")[1]
    assert not list(Path("here").glob(".*"))


def test_the_commands_push_pull_and_generate_take_names(run, hub, capsys):
    out = command("push", run, "me/toy", "--step", 2, capsys=capsys).out
    assert out == f"hf:me/toy@{hub.files('me/toy')[0]}\n"
    out = command("pull", "me/toy", capsys=capsys).out
    assert polygan.load(out.strip()).step == 2
    command("generate", "hf:me/toy", "-n", 4, "--out", "made.npy", "--device", "cpu", capsys=capsys)
    command("generate", run, "-n", 4, "--step", 2, "--out", "ours.npy", "--device", "cpu", capsys=capsys)
    assert Path("made.npy").read_bytes() == Path("ours.npy").read_bytes()
    command("generate", "hf:me/toy", "-n", 4, capsys=capsys)
    assert Path("toy/generated/points.csv").is_file()


def test_a_run_that_starts_from_a_name_writes_the_commit_and_starts_from_those_networks(run, hub):
    sha = polygan_hub.push(run, "me/toy").partition("@")[2]
    made = train(steps=1, batch_size=8, init_from="hf:me/toy", name="next")
    assert yaml.safe_load(Path("runs/next/config.yaml").read_text())["init_from"] == f"hf:me/toy@{sha}"
    hub.repos.clear()  # the owner removes the model: what was fetched is enough to repeat the run
    again = train(steps=1, batch_size=8, init_from=f"hf:me/toy@{sha}", name="again")
    assert_same(state(made), state(again))
    fresh = train(steps=1, batch_size=8, name="fresh")
    assert any(not torch.equal(a, b) for a, b in zip(state(made).values(), state(fresh).values(), strict=True))
    begun = polygan.load("runs/next")._whole_job().evaluation({}, torch.device("cpu")).start()
    source = polygan.load(f"hf:me/toy@{sha}").networks
    assert_same(
        *({f"{n}.{k}": t for n, m in each.items() for k, t in m.state_dict().items()} for each in (begun, source))
    )
    polygan.resume("runs/next", steps=2, quiet=True)


def test_a_second_push_is_a_new_revision_and_the_old_one_stays_there(run, hub):
    first = polygan_hub.push(run, "me/toy", step=2)
    second = polygan_hub.push(run, "me/toy")
    assert first != second
    assert [polygan.load(f"hf:{name}").step for name in (first, second, "me/toy")] == [2, 4, 4]
    assert polygan_hub.pull("me/toy", revision=first.partition("@")[2]).name.endswith(f"{first[-40:]}.safetensors")
    count = len(hub.requests)
    polygan.load(f"hf:{first}")
    assert len(hub.requests) == count  # a commit that is in the cache needs no network


def test_what_is_fetched_lies_in_the_cache_and_goes_with_it(run, capsys):
    polygan_hub.push(run, "me/toy")
    path = polygan_hub.pull("hf:me/toy")
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert "me/toy" in command("cache", capsys=capsys).out
    command("cache", "--clear", capsys=capsys)
    assert not path.exists()


def test_private_repositories_are_made_private_and_a_public_one_is_refused(run, hub):
    polygan_hub.push(run, "me/secret", private=True)
    assert hub.repos["me/secret"]["private"]
    polygan_hub.push(run, "me/toy")
    with pytest.raises(polygan.ConfigError, match="public already"):
        polygan_hub.push(run, "me/toy", private=True)


def test_a_repository_that_holds_something_else_is_not_overwritten(run, hub):
    sha = hub.make("me/bert", {"README.md": b"mine", "model.safetensors": b"mine"})
    with pytest.raises(polygan.ConfigError, match="holds something else"):
        polygan_hub.push(run, "me/bert")
    assert hub.files("me/bert") == (sha, {"README.md": b"mine", "model.safetensors": b"mine"})


def test_samples_of_an_earlier_push_go_and_other_files_stay(run, hub):
    polygan_hub.push(run, "me/toy")
    files = {**hub.files("me/toy")[1], "samples/999.png": b"old", "notes.txt": b"mine"}
    hub.make("me/toy", files)
    polygan_hub.push(run, "me/toy")
    assert "samples/999.png" not in hub.files("me/toy")[1]
    assert hub.files("me/toy")[1]["notes.txt"] == b"mine"


def test_the_facts_beside_the_model_are_those_within_it(run):
    polygan_hub.push(run, "me/toy")
    folder = polygan_hub.pull("me/toy", out="toy").parent
    assert json.loads((folder / "model.json").read_text())["step"] == 4
    (folder / "model.json").unlink()
    assert polygan.load(folder / "model.safetensors").step == 4


def test_help_imports_neither_torch_nor_the_library_of_the_hub():
    code = "import sys, polygan_hub; from polygan.plugins import load_catalogue; c = load_catalogue(allow=['hub']); "
    code += "print(sorted(c.commands), {'torch', 'huggingface_hub', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['pull', 'push'] set()"
