"""A registry of npm on the loopback address, with a package onnxruntime-web of a few bytes."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading

CODE = b"/*!\n * ONNX Runtime Web v9.8.7\n */\nexport const Tensor = 1;\n"
WASM = b"\0asm" + bytes(range(256)) * 8


def archive(files, top="package/dist/"):
    """A .tgz of files by name."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


class Registry:
    """What the registry sends: ``body``, with ``status``; ``asked`` counts requests."""

    def __init__(self):
        self.files = {"ort.wasm.bundle.min.mjs": CODE, "ort-wasm-simd-threaded.wasm": WASM}
        self.body, self.status, self.asked = archive(self.files), 200, 0
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                registry.asked += 1
                self.send_response(registry.status)
                self.end_headers()
                self.wfile.write(registry.body)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/ort.tgz"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
