"""A server that speaks the hub's protocol, for folders of this machine, with the faults that servers have.

    python scripts/peers/hub_server.py FOLDER … [--latency 0.03] [--token T] [--faults JSON] [--log FILE]

Each FOLDER is served as the model `test/NAME`: listings (`/api/models/…`), files by ranges
(`/test/NAME/resolve/REVISION/FILE`), large ones by a redirect with a signature that expires to a second
origin, which stands for a CDN. `/plain/NAME/FILE` is a server that lists nothing. The first line of
standard output has both origins; huggingface_hub itself downloads from it in scripts/interop_checks.
"""

import argparse
import hashlib
import json
import os
import random
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# What the hub keeps in large storage and sends from elsewhere.
LARGE = (".safetensors", ".gguf", ".bin", "tokenizer.json", ".model")
# Larger files are made of holes, and hashing them would take hours.
MOST_HASHED = 1 << 30


class Faults:
    """What goes wrong, by a seed.

    cut: the share of large answers whose connection breaks in the middle; busy: the share of
    requests answered by 429; broken: by 500; retry_after: what 429 asks for; expire: answers after
    which what was signed before is refused; short: a file whose answers are shorter than they say;
    moved: answers of files after which the repository has another commit; resized: the same for
    another size; swapped: offset from which a large file has another ETag; slow: bytes a second; plain: the server ignores
    ranges; downgrade: redirects lead to http; loop: redirects lead to themselves.
    """

    def __init__(self, settings):
        self.settings = settings
        self.random = random.Random(settings.get("seed", 1))
        self.lock = threading.Lock()
        self.files = 0
        self.signed = 0
        self.rows = {}

    def chance(self, name, request):
        """Whether a request meets a fault; of those that pass not more than two in a row, so that what
        is tried again often enough gets through."""
        share = self.settings.get(name, 0)
        with self.lock:
            if self.random.random() >= share or share < 1 and self.rows.get(request, 0) == 2:
                return False
            self.rows[request] = self.rows.get(request, 0) + 1
            return True

    def passed(self, request):
        """Notes that a request was answered as it should be."""
        with self.lock:
            self.rows.pop(request, None)

    def count(self):
        with self.lock:
            self.files += 1
            return self.files

    def has(self, name, count):
        return name in self.settings and count > self.settings[name]


class Model:
    """A folder as a repository with one commit."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.names = sorted(
            str(path.relative_to(folder)) for path in self.folder.rglob("*") if path.is_file())
        facts = [(name, (self.folder / name).stat().st_size) for name in self.names]
        self.commit = hashlib.sha1(repr(facts).encode()).hexdigest()
        self.lock = threading.Lock()
        self.tags = {}

    def path(self, name):
        return self.folder / name if name in self.names else None

    def is_large(self, name):
        return name.endswith(LARGE)

    def tag(self, name):
        with self.lock:
            if name not in self.tags:
                path = self.folder / name
                size = path.stat().st_size
                if not self.is_large(name):
                    data = path.read_bytes()
                    value = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
                elif size > MOST_HASHED:
                    value = hashlib.sha256(f"{name} {size}".encode()).hexdigest()
                else:
                    value = hashlib.sha256(path.read_bytes()).hexdigest()
                self.tags[name] = value
            return self.tags[name]

    def tree(self):
        """The listing that huggingface_hub goes by."""
        files = []
        for name in self.names:
            size = (self.folder / name).stat().st_size
            entry = {"type": "file", "path": name, "size": size, "oid": hashlib.sha1(name.encode()).hexdigest()}
            if self.is_large(name):
                entry["lfs"] = {"oid": self.tag(name), "size": size, "pointerSize": 134}
            files.append(entry)
        return files

    def listing(self, blobs):
        files = []
        for name in self.names:
            entry = {"rfilename": name}
            if blobs:
                size = (self.folder / name).stat().st_size
                entry |= {"size": size, "blobId": hashlib.sha1(name.encode()).hexdigest()}
                if self.is_large(name):
                    entry["lfs"] = {"sha256": self.tag(name), "size": size, "pointerSize": 134}
            files.append(entry)
        return {"_id": "0", "id": f"test/{self.folder.name}", "modelId": f"test/{self.folder.name}",
                "sha": self.commit, "private": False, "gated": False, "disabled": False,
                "downloads": 0, "likes": 0, "tags": [], "siblings": files}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, handler, state, is_cdn):
        self.state, self.is_cdn = state, is_cdn
        super().__init__(address, handler)

    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def handle_error(self, request, client_address):
        pass  # who goes away in the middle says so otherwise


class State:
    def __init__(self, arguments):
        self.models = {Path(folder).name: Model(folder) for folder in arguments.folders}
        self.latency, self.token = arguments.latency, arguments.token
        self.faults = Faults(json.loads(arguments.faults))
        self.log_file = open(arguments.log, "w", buffering=1) if arguments.log else None
        self.lock = threading.Lock()
        self.hub = self.cdn = ""

    def log(self, **facts):
        if self.log_file:
            with self.lock:
                self.log_file.write(json.dumps(facts) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        # A connection takes a way there and back before its first request.
        time.sleep(self.server.state.latency)

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        state = self.server.state
        time.sleep(state.latency)
        parts = urllib.parse.urlsplit(self.path)
        place = urllib.parse.unquote(parts.path)
        query = urllib.parse.parse_qs(parts.query)
        authorization = self.headers.get("Authorization")
        self.facts = dict(
            origin="cdn" if self.server.is_cdn else "hub", method=self.command, path=place,
            range=self.headers.get("Range"), authorization=authorization)
        faults = state.faults
        request = self.wanted = (self.facts["origin"], place, self.facts["range"])
        if faults.chance("busy", request):
            return self.status(429, {"Retry-After": str(faults.settings.get("retry_after", 1))})
        if faults.chance("broken", request):
            return self.status(500)
        if self.server.is_cdn:
            return self.blob(place, query)
        if state.token and authorization != f"Bearer {state.token}":
            return self.status(401, {"X-Error-Code": "RepoNotFound"})
        if match := re.fullmatch(r"/api/models/test/([^/]+)(?:/revision/([^/]+))?", place):
            return self.model(*match.groups(), "blobs" in query)
        if match := re.fullmatch(r"/api/models/test/([^/]+)/tree/([^/]+)", place):
            model = state.models.get(match[1])
            if model and match[2] in ("main", model.commit):
                body = json.dumps(model.tree()).encode()
                return self.status(200, {"Content-Type": "application/json"}, body)
        if match := re.fullmatch(r"/test/([^/]+)/resolve/([^/]+)/(.+)", place):
            return self.resolve(*match.groups())
        if match := re.fullmatch(r"/plain/([^/]+)/(.+)", place):
            model = state.models.get(match[1])
            path = model and model.path(match[2])
            if not path:
                return self.status(404)
            return self.file(model, match[2], {"ETag": f'"{model.tag(match[2])}"'})
        return self.status(404, {"X-Error-Code": "RepoNotFound"})

    def model(self, name, revision, blobs):
        model = self.server.state.models.get(name)
        if not model:
            return self.status(404, {"X-Error-Code": "RepoNotFound"})
        if revision not in (None, "main", model.commit):
            return self.status(404, {"X-Error-Code": "RevisionNotFound"})
        body = json.dumps(model.listing(blobs)).encode()
        self.status(200, {"Content-Type": "application/json"}, body)

    def resolve(self, name, revision, file):
        state = self.server.state
        model = state.models.get(name)
        if not model or revision not in ("main", model.commit):
            return self.status(404, {"X-Error-Code": "RevisionNotFound" if model else "RepoNotFound"})
        path = model.path(file)
        if not path:
            return self.status(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": model.commit})
        count = state.faults.count()
        commit = "0" * 40 if state.faults.has("moved", count) else model.commit
        fields = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        tag = f'"{model.tag(file)}"'
        if not model.is_large(file):
            return self.file(model, file, fields | {"ETag": tag})
        state.faults.signed += 1
        target = state.cdn
        if "downgrade" in state.faults.settings:
            target = target.replace("https", "http")
        location = f"{target}/{name}/{urllib.parse.quote(file)}?signature={state.faults.signed}"
        if "loop" in state.faults.settings:
            location = self.path
        state.faults.passed(self.wanted)
        self.status(302, fields | {
            "X-Linked-Size": str(path.stat().st_size), "X-Linked-ETag": tag, "ETag": tag,
            "Location": location})

    def blob(self, place, query):
        state = self.server.state
        name, file = place[1:].split("/", 1)
        model = state.models[name]
        count = state.faults.count()
        if state.faults.has("expire", count):
            # All that was signed up to now, once.
            state.faults.settings["expired"] = state.faults.signed
            del state.faults.settings["expire"]
        if int(query["signature"][0]) <= state.faults.settings.get("expired", 0):
            return self.status(403)
        asked = re.match(r"bytes=(\d+)", self.headers.get("Range") or "")
        swapped = asked and int(asked[1]) >= state.faults.settings.get("swapped", 1 << 60)
        tag = "other" if swapped else model.tag(file)
        self.file(model, file, {"ETag": f'"{tag}"', "Accept-Ranges": "bytes"}, count)

    def file(self, model, name, fields, count=0):
        """A file, or the part of it that is asked for."""
        faults = self.server.state.faults
        path = model.folder / name
        size = path.stat().st_size
        start, end, status = 0, size, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked and "plain" not in faults.settings:
            start = int(asked[1])
            end = min(size, int(asked[2]) + 1 if asked[2] else size)
            if start >= size:
                return self.status(416, fields | {"Content-Range": f"bytes */{size}"})
            total = size + 1 if faults.has("resized", count) else size
            status, fields = 206, fields | {"Content-Range": f"bytes {start}-{end - 1}/{total}"}
        length = end - start
        fields = fields | {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
        self.head(status, fields)
        self.facts |= dict(status=status, bytes=0)
        if self.command == "HEAD":
            return self.server.state.log(**self.facts)
        if faults.settings.get("short") == name:
            length = max(0, length - 1)
        elif length > 1000 and faults.chance("cut", self.wanted):
            length = random.Random(start).randrange(length)
        else:
            faults.passed(self.wanted)
        sent = self.send(path, start, length, faults.settings.get("slow"))
        self.facts["bytes"] = sent
        self.server.state.log(**self.facts)
        if sent < end - start:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def send(self, path, start, length, slow):
        sent = 0
        self.wfile.flush()
        try:
            with open(path, "rb") as file:
                file.seek(start)
                if not slow and not isinstance(self.connection, ssl.SSLSocket):
                    while sent < length:
                        now = os.sendfile(
                            self.connection.fileno(), file.fileno(), start + sent, length - sent)
                        if now == 0:
                            break
                        sent += now
                    return sent
                while sent < length:
                    piece = file.read(min(length - sent, slow // 10 if slow else 1 << 18))
                    self.wfile.write(piece)
                    sent += len(piece)
                    if slow:
                        time.sleep(0.1)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        return sent

    def head(self, status, fields):
        self.send_response(status)
        if "Date" not in fields:
            self.send_header("X-Date", formatdate())
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()

    def status(self, status, fields={}, body=b""):
        self.facts |= dict(status=status, bytes=len(body))
        self.server.state.log(**self.facts)
        self.head(status, dict(fields) | {"Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--latency", type=float, default=0)
    parser.add_argument("--token")
    parser.add_argument("--faults", default="{}")
    parser.add_argument("--log")
    parser.add_argument("--certificate", help="a file with a key and a certificate: https")
    arguments = parser.parse_args()
    state = State(arguments)
    servers = [Server(("127.0.0.1", 0), Handler, state, is_cdn) for is_cdn in (False, True)]
    scheme = "http"
    if arguments.certificate:
        scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate)
        for server in servers:
            server.socket = context.wrap_socket(server.socket, server_side=True)
    # Another host to whoever asks, though the same machine.
    state.hub = f"{scheme}://127.0.0.1:{servers[0].server_address[1]}"
    state.cdn = f"{scheme}://localhost:{servers[1].server_address[1]}"
    threading.Thread(target=servers[1].serve_forever, daemon=True).start()
    print(json.dumps({"hub": state.hub, "cdn": state.cdn,
                      "commits": {name: model.commit for name, model in state.models.items()}}),
          flush=True)
    try:
        servers[0].serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
