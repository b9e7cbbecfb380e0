"""The format ``web``: one folder with a page that runs a generator in the browser.

Only data stands here: `polygan list` imports this module and must import neither torch nor onnxruntime.
"""

from __future__ import annotations

from polygan import FormatSpec, hookimpl

POLYGAN_API = 2


@hookimpl
def polygan_formats() -> list[FormatSpec]:
    summary = "a folder with a page that makes samples in the browser, without a server"
    speaks = "a folder with a page that speaks in the browser, without a server"
    target, options = "polygan_web.export:export", "polygan_web.settings:Speech"
    return [
        FormatSpec("*", "web", "export", target, summary, made_from="onnx"),
        FormatSpec(
            "audio/wavegan", "web", "export", target, summary, made_from="onnx", settings="polygan_web.settings:Sounds"
        ),
        FormatSpec("audio/tacotron2", "web", "export", target, speaks, made_from="onnx", settings=options),
        FormatSpec(
            "image/stylegan", "web", "export", target, summary, made_from="onnx", settings="polygan_web.settings:Styled"
        ),
    ]
