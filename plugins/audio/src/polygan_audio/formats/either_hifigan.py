"""HiFi-GAN weights of the official code or of transformers, told apart by whether a file or a folder is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .hifigan import import_hifigan
from .speecht5 import import_speecht5

if TYPE_CHECKING:
    from pathlib import Path

    from polygan import ImportedWeights


def import_either(path: Path) -> ImportedWeights:
    """`import_hifigan` of a file, `import_speecht5` of a folder."""
    return import_speecht5(path) if path.is_dir() else import_hifigan(path)
