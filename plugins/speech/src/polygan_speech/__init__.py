"""Speech for polygan: speech from text, and one voice from another.

Only data stands here: `polygan list` imports this module and must not import torch.
"""

from __future__ import annotations

from polygan import hookimpl

POLYGAN_API = 2
