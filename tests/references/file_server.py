"""A file server on this machine that misbehaves as told."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server has, how it goes wrong, and what it was asked.

    ``breaks``: after how many bytes each answer ends, the first one first; when it is empty answers are whole.
    ``statuses``: error statuses that come before anything else.
    """

    content: bytes
    etag: str | None = '"one"'
    last_modified: str | None = None
    ranges: bool = True
    if_range: bool = True
    breaks: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str | None] = field(default_factory=dict)
    after_break: object = None  # called when an answer was cut
    pause_s: float = 0.0
    shift: int = 0  # ranges begin that much later than asked
    asked: list[dict] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        served = self.server.served
        served.asked.append({"path": self.path, **dict(self.headers)})
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.server.redirects[self.path])
            self.end_headers()
            return
        if served.statuses:
            self.send_error(served.statuses.pop(0))
            return
        first, content = self._first(served), served.content
        if first >= len(content):
            self.send_error(416)
            return
        body = content[first:]
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(body)),
            "ETag": served.etag,
            "Last-Modified": served.last_modified,
        }
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        self.send_response(206 if first else 200)
        for name, value in {**headers, **served.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        cut = served.breaks.pop(0) if served.breaks else len(body)
        threading.Event().wait(served.pause_s)
        self.wfile.write(body[:cut])
        if cut < len(body):
            if served.after_break:
                served.after_break()
            self.close_connection = True

    def _first(self, served: Served) -> int:
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if asked is None or not served.ranges:
            return 0
        if served.if_range and condition not in (served.etag, served.last_modified):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-")) + served.shift

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(served: Served):
    """The server's address, and its redirects: a dictionary from ``/to/...`` to where that leads."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.served, server.redirects = served, {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.redirects
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
