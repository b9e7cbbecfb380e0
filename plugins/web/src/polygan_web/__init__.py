"""The format ``web``: one folder with a page that runs a generator in the browser.

Only data stands here: `polygan list` imports this module and must import neither torch nor onnxruntime.
"""

from __future__ import annotations

from polygan import FormatSpec, hookimpl

POLYGAN_API = 2
_VOCODERS = ("hifigan", "vocos", "parallel-wavegan", "griffin-lim")


@hookimpl
def polygan_formats() -> list[FormatSpec]:
    summary = "a folder with a page that makes samples in the browser, without a server"
    speaks = "a folder with a page that speaks in the browser, without a server"
    takes = "a folder with a page that takes a recording in the browser, without a server"
    target, options = "polygan_web.export:export", "polygan_web.settings"
    own = {
        "image/stylegan": (summary, "Styled"),
        "audio/wavegan": (summary, "Sounds"),
        "audio/tacotron2": (speaks, "Speech"),
        "audio/voice-conversion": (takes, "Conversion"),
        **{f"audio/{name}": (takes, "Resynthesis") for name in _VOCODERS},
    }
    return [
        FormatSpec("*", "web", "export", target, summary, made_from="onnx"),
        *(
            FormatSpec(recipe, "web", "export", target, said, made_from="onnx", settings=f"{options}:{name}")
            for recipe, (said, name) in own.items()
        ),
    ]
