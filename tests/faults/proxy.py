"""A tracking server with moods: an HTTP proxy before a real one, which passes, fails, hangs, refuses or cuts."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOODS = ("pass", "500", "hang", "refuse", "cut")


class Proxy(ThreadingHTTPServer):
    """Listens on `port`; `mood` says what becomes of a request.

    ``pass``: it is answered. ``500``: it is not passed on. ``hang``: no answer until the mood changes. ``refuse``: the
    connection is closed at once. ``cut``: it is passed on and carried out, but the answer is lost on the way back, so
    that whoever asked must ask again.
    """

    daemon_threads = True

    def __init__(self, to: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.to, self.port = to, self.server_address[1]
        self.met: Counter[str] = Counter()
        self._mood, self._changed = "pass", threading.Event()

    @property
    def mood(self) -> str:
        """What becomes of requests now."""
        return self._mood

    @mood.setter
    def mood(self, mood: str) -> None:
        self._mood = mood
        self._changed.set()
        self._changed = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are what it is for."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        proxy = self.server
        mood, changed = proxy.mood, proxy._changed
        proxy.met[mood] += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if mood == "hang":
            changed.wait(60)
        if mood in ("hang", "refuse"):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if mood == "500":
            self._answer(500, {}, b"")
            return
        link = http.client.HTTPConnection("127.0.0.1", proxy.to, timeout=60)
        link.request(self.command, self.path, body, dict(self.headers))
        found = link.getresponse()
        answer = found.read()
        link.close()
        if mood == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._answer(found.status, dict(found.getheaders()), answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (the names are the library's)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def before(port: int) -> Iterator[Proxy]:
    """A proxy before the server on `port`."""
    with Proxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.mood = "refuse"
            proxy.shutdown()
