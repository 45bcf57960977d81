"""The console: pages for people, served as they are. They hold no data: they ask the API, with the key of whoever looks."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import azure.durable_functions as df
import azure.functions as func

import rowpost
from rowpost.app import App

_FOLDER = Path(rowpost.__file__).parent / "console"
_START = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    # Only what this app serves is loaded, no text can become markup or a script, and no other page may show this one.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class _File(NamedTuple):
    content: bytes
    etag: str


def blueprint(app: App) -> df.Blueprint:
    """The function that serves the pages; without functions if ``[api] console`` is off."""
    functions, files = df.Blueprint(), dict[str, _File]()
    if not app.config.api.console:
        return functions
    served = frozenset(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES)

    @functions.function_name("get_console")
    @functions.route(route="console/{file?}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def get_console(req: func.HttpRequest) -> func.HttpResponse:
        name = req.route_params.get("file")
        if name is None and urlsplit(req.url).path.endswith("/"):  # the addresses in the page are relative
            return func.HttpResponse(status_code=308, headers=_HEADERS | {"Location": "../console"})
        name = name or _START
        if name not in served:
            return func.HttpResponse("There is no such file.", status_code=404, mimetype="text/plain", headers=_HEADERS)
        if name not in files:
            content = (_FOLDER / name).read_bytes()
            files[name] = _File(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        return _answer(files[name], _TYPES[Path(name).suffix], req.headers.get("if-none-match", ""))

    return functions


def _answer(file: _File, kind: str, known: str) -> func.HttpResponse:
    headers = _HEADERS | {"ETag": file.etag, "Content-Type": kind}
    if file.etag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(file.content, status_code=200, headers=headers)
