"""The page's own files, read once: nothing outside of them can be asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
LOGIN_PAGE, WRONG_PAGE = "login.html", "login-wrong.html"
"""The second is the first with its sentence for a wrong token shown: the login page has no script."""


class Assets:
    def __init__(self, folder: Path = STATIC) -> None:
        self._files = {
            path.name: (path.read_bytes(), KINDS[path.suffix]) for path in folder.iterdir() if path.suffix in KINDS
        }
        login, kind = self._files[LOGIN_PAGE]
        self._files[WRONG_PAGE] = login.replace(b'role="alert" hidden', b'role="alert"'), kind
        self._tags = {name: f'"{hashlib.sha256(data).hexdigest()[:20]}"' for name, (data, _) in self._files.items()}

    async def static(self, request: Request) -> Response:
        return self.answer(request, str(request.path_params["name"]))

    def answer(self, request: Request, name: str, status: int = 200) -> Response:
        if name not in self._files:
            return Response("not here\n", 404, media_type="text/plain")
        data, kind = self._files[name]
        headers = {"ETag": self._tags[name]}
        if status == 200 and request.headers.get("if-none-match") == self._tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(data, status, headers, media_type=kind)
