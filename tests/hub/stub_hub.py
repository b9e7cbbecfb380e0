"""A small Hub on the loopback address: it speaks what huggingface_hub needs to make, fill, list and download repositories."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_right_token_of_the_stub"


class StubHub:
    """Repositories in memory. ``cut`` and ``corrupt`` hold names of files that arrive broken; ``cut`` counts how often."""

    def __init__(self):
        self.repos = {}  # name: {"private": bool, "commits": [(sha, {path: bytes})]}
        self.lfs, self.requests, self.tokens = {}, [], []
        self.cut, self.corrupt = {}, set()
        self.commit_status = 0  # what a commit is answered with; 0: it is done
        handler = type("Handler", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def make(self, name, files, private=False):
        """A repository with one commit, or one more commit; returns the commit."""
        repo = self.repos.setdefault(name, {"private": private, "commits": []})
        sha = hashlib.sha1(f"{name} {len(repo['commits'])}".encode()).hexdigest()
        repo["commits"].append((sha, dict(files)))
        return sha

    def files(self, name, revision="main"):
        """The files of a revision; None where there is no such revision."""
        for sha, files in reversed(self.repos[name]["commits"]):
            if revision in ("main", sha):
                return sha, files
        return None


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: StubHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        headers = {"Content-Length": str(len(data)), **{k.replace("_", "-"): v for k, v in headers.items()}}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def begin(self):
        """The path; None after a refusal of the token."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        self.hub.tokens.append(token)
        self.known = token == TOKEN
        if token and not self.known:
            self.body()
            self.answer(401, X_Error_Message="Invalid credentials in Authorization header")
            return None
        return path

    def do_GET(self):
        path = self.begin()
        if path is None:
            return
        if path.startswith("/api/models/"):
            name, _, revision = path[len("/api/models/") :].partition("/revision/")
            self.info(name, revision or "main")
        elif "/resolve/" in path:
            name, _, rest = path[1:].partition("/resolve/")
            self.file(name.removeprefix("datasets/"), *rest.split("/", 1))
        elif path.startswith("/api/datasets/") and "/tree/" in path:
            name, _, place = path[len("/api/datasets/") :].partition("/tree/")
            self.tree(name, *(place + "/").split("/", 1))
        elif path.startswith("/api/datasets/"):
            name, _, revision = path[len("/api/datasets/") :].partition("/revision/")
            self.info(name, revision or "main")
        else:
            self.answer(404)

    do_HEAD = do_GET

    def found(self, name, revision):
        repo = self.hub.repos.get(name)
        if repo is None or (repo["private"] and not self.known):
            self.answer(404 if self.known else 401, X_Error_Code="RepoNotFound")
            return None
        if repo.get("gated"):
            self.answer(403, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
            return None
        files = self.hub.files(name, revision)
        if files is None:
            self.answer(404, X_Error_Code="RevisionNotFound")
        return files

    def info(self, name, revision):
        if not (found := self.found(name, revision)):
            return
        sha, files = found
        siblings = []
        for path, data in files.items():
            blob = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
            siblings.append({"rfilename": path, "size": len(data), "blobId": blob})
            if path.endswith(".safetensors"):
                lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
                siblings[-1]["lfs"] = lfs
        repo = self.hub.repos[name]
        self.answer(200, {"id": name, "sha": sha, "private": repo["private"], "tags": [], "siblings": siblings})

    def tree(self, name, revision, folder):
        """The files and folders in one folder of a data set."""
        if not (found := self.found(name, revision)):
            return
        folder = folder.rstrip("/") + "/" if folder.rstrip("/") else ""
        below = {path.removeprefix(folder): len(data) for path, data in found[1].items() if path.startswith(folder)}
        folders = sorted({path.partition("/")[0] for path in below if "/" in path})
        listed = [{"type": "directory", "path": folder + name, "oid": "b" * 40} for name in folders]
        for path, size in below.items():
            if "/" not in path:
                listed.append({"type": "file", "path": folder + path, "size": size, "oid": "a" * 40})
        self.answer(200 if listed else 404, listed, **({} if listed else {"X_Error_Code": "EntryNotFound"}))

    def file(self, name, revision, path):
        if not (found := self.found(name, revision)):
            return
        sha, files = found
        if path not in files:
            self.answer(404, X_Error_Code="EntryNotFound")
            return
        data = files[path]
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X_Repo_Commit": sha, "Accept_Ranges": "bytes"}
        if self.command == "GET" and path in self.hub.corrupt:
            data = data[:-1] + bytes([data[-1] ^ 1])
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        status = 206 if begin else 200
        if self.command == "GET" and self.hub.cut.get(path, 0):
            self.hub.cut[path] -= 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(data) - begin))
            self.end_headers()
            if begin == 0:
                self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        if begin:
            headers["Content_Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self.answer(status, data[begin:], **headers)

    def do_POST(self):
        path = self.begin()
        if path is None:
            return
        body = self.body()
        if path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif not self.known:
            self.answer(401, X_Error_Code="RepoNotFound")
        elif path == "/api/repos/create":
            made = json.loads(body)
            name = f"{made.get('organization') or 'me'}/{made['name']}"
            status = 409 if name in self.hub.repos else 200
            if status == 200:
                self.hub.make(name, {".gitattributes": b""}, made.get("visibility") == "private")
            self.answer(status, {"url": f"{self.hub.url}/{name}"})
        elif "/preupload/" in path:
            modes = [
                {"path": f["path"], "uploadMode": self.mode(f["path"]), "shouldIgnore": False, "oid": None}
                for f in json.loads(body)["files"]
            ]
            self.answer(200, {"files": modes})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**o, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{o['oid']}"}}}
                for o in json.loads(body)["objects"]
            ]
            self.answer(200, {"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            self.commit(path[len("/api/models/") :].partition("/commit/")[0], body)
        else:
            self.answer(404)

    @staticmethod
    def mode(path):
        return "lfs" if path.endswith(".safetensors") else "regular"

    def do_PUT(self):
        self.hub.requests.append(("PUT", self.path))
        data = self.body()
        self.hub.lfs[self.path.rpartition("/")[2]] = data
        self.answer(200 if hashlib.sha256(data).hexdigest() in self.path else 400)

    def commit(self, name, body):
        lines = [json.loads(line) for line in body.splitlines()]
        sha, files = self.hub.files(name)
        if self.hub.commit_status:
            self.answer(self.hub.commit_status, {"error": "no"})
            return
        if lines[0]["value"].get("parentCommit") not in (None, sha):
            self.answer(412, {"error": "parent"})
            return
        files = dict(files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.lfs[value["oid"]]
            else:
                del files[value["path"]]
        made = self.hub.make(name, files)
        self.answer(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{made}", "commitOid": made})
