"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): small matrices learn, and the pretrained weights stay as they are."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from polygan import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

MARK = ".lora_"
"""What the names of adapters' parameters hold, and no others."""
_SCALE = 2  # alpha / rank: how strongly an adapter of any rank acts


def add_adapters(model: Any, rank: int) -> None:
    """Put an adapter of ``rank`` beside every linear layer of attention and MLP, and freeze everything else.

    At first an adapter changes nothing: its second matrix is 0. Raises ConfigError without the package peft.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ConfigError(
            f'model.lora = {rank} needs the package peft: pip install "polygan-text[lora]", or leave --model.lora out'
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GPT-2 keeps its matrices transposed, which peft mentions and handles
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=_SCALE * rank, target_modules="all-linear"), model)


def merged(model: Any) -> dict[str, Tensor]:
    """The model's state as if the adapters had been weights: names and shapes of the model without adapters."""
    found = {
        name.replace(".base_layer.", "."): tensor.detach().cpu()
        for name, tensor in model.state_dict().items()
        if MARK not in name
    }
    for name, module in model.named_modules():
        if hasattr(module, "get_delta_weight"):
            weight = f"{name}.weight"
            found[weight] = found[weight] + module.get_delta_weight("default").detach().cpu()
    return found
