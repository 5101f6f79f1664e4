"""The page's API described as OpenAPI 3.1, made from the table of its endpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ferd import __version__

Handler = Callable[[Request], Awaitable[Response]]
ERRORS = {
    400: "The request is wrong; `error` says what would be right.",
    401: "The token is asked for.",
    403: "From another site's page.",
    404: "No such camera.",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``body``: JSON Schema of the request's body; ``query``: of each parameter. ``kind``: what is answered."""

    method: str
    path: str
    handler: Handler
    summary: str
    body: dict[str, Any] | None = None
    query: dict[str, dict[str, Any]] = field(default_factory=dict)
    kind: str = "application/json"
    status: int = 200
    more: tuple[int, ...] = ()
    names: dict[str, dict[str, Any]] = field(default_factory=dict)


def describe(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ferd's page",
            "version": __version__,
            "description": "What the page uses. Live pictures and readings come over a WebSocket at /api/live: see "
            "docs/page.md. Where a token is asked for, send it as Authorization: Bearer.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
            },
        },
        "security": [{}, {"token": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    content = {endpoint.kind: {"schema": {"type": "object" if endpoint.kind == "application/json" else "string"}}}
    answers: dict[str, Any] = {str(endpoint.status): {"description": endpoint.summary, "content": content}}
    errors = {401, *endpoint.more, *([400, 403, 415] if endpoint.body is not None else [])}
    for status in sorted(errors):
        answers[str(status)] = {
            "description": ERRORS.get(status, "What is wrong stands in `error`."),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    parameters = [
        {"name": name, "in": place, "required": place == "path", "schema": schema}
        for place, given in (("path", endpoint.names), ("query", endpoint.query))
        for name, schema in given.items()
    ]
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__.strip("_"),
        "summary": endpoint.summary,
        "responses": answers,
    }
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": endpoint.body}}}
    return operation
