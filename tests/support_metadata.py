"""A thin instance metadata service, version 2: there is none outside of a cloud."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeMetadata:
    """`documents` by path below latest/meta-data/; `status` is that of each answer to who asks for a token."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.tokens = 0
        self.status = 200

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its address."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                assert self.path == "/latest/api/token"
                assert int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
                fake.tokens += 1
                self.answer(fake.status, f"token-{fake.tokens}")

            def do_GET(self) -> None:
                text = fake.documents.get(self.path.removeprefix("/latest/meta-data/"))
                if self.headers.get("X-aws-ec2-metadata-token") != f"token-{fake.tokens}":
                    self.answer(401, "")
                else:
                    self.answer(404 if text is None else 200, text or "")

            def answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
