"""The container's health check asks the page where the configuration puts it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ferd.healthcheck import main, page_address


class Page(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"no camera works\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("text", "environ", "address"),
    [
        ("", {}, None),
        ("[web]\nenabled = false", {}, None),
        ("[web]\nenabled = true", {}, ("127.0.0.1", 8322)),
        ('[web]\nenabled = true\nbind = "0.0.0.0"\nport = 9000', {}, ("127.0.0.1", 9000)),
        ('[web]\nenabled = true\nbind = "::"', {}, ("::1", 8322)),
        ("\ufeff[web]\nenabled = true", {"FERD_WEB__ENABLED": "no"}, None),
        ("", {"FERD_WEB__ENABLED": "yes", "FERD_WEB__PORT": "81", "FERD_WEB__BIND": "192.0.2.1"}, ("192.0.2.1", 81)),
    ],
)
def test_the_address_is_the_configured_one(
    tmp_path: Path, text: str, environ: dict[str, str], address: tuple[str, int] | None
) -> None:
    file = tmp_path / "ferd.toml"
    file.write_text(text, encoding="utf-8")
    assert page_address(file, environ) == address


def test_without_a_file_the_variables_count(tmp_path: Path) -> None:
    assert page_address(tmp_path / "none", {"FERD_WEB__ENABLED": "1"}) == ("127.0.0.1", 8322)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_answer_of_the_page_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    server = HTTPServer(("127.0.0.1", 0), type("Answer", (Page,), {"status": status}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    environ = {"FERD_WEB__ENABLED": "true", "FERD_WEB__PORT": str(server.server_port)}
    try:
        assert main([str(tmp_path / "none")], environ) == code
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert capsys.readouterr().out == "no camera works\n"


def test_a_page_that_does_not_answer_and_a_page_that_is_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ferd.toml"
    file.write_text("[web]\nenabled = true\nport = 1\n")
    assert main([str(file)], {}) == 1
    file.write_text("[web\n")
    assert main([str(file)], {}) == 1
    file.write_text("")
    assert main([str(file)], {}) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("[web] is off")
