"""A consumer of Rowpost's events: ``python consumer.py --database copy.db`` takes them at http://localhost:8081/events."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from aiohttp import web
from changes import Change, NoChange, read
from signatures import signed_by_one_of
from store import Store, open_store

_LINES = "application/x-ndjson"
_LARGEST_BODY_BYTES = 64 * 2**20
_RETRY_SECONDS = "5"
_log = logging.getLogger("consumer")


class Consumer:
    """Answers requests.

    Args:
        store: where what they say is kept.
        secrets: one of them must have signed a request; none: signatures are not asked for.
    """

    def __init__(self, store: Store, secrets: Sequence[str] = ()) -> None:
        self._store, self._secrets = store, secrets

    async def handle(self, request: web.Request) -> web.Response:
        """One request: an event, or a batch of them."""
        body = await request.read()
        if self._secrets and not signed_by_one_of(self._secrets, request.headers, body):
            return _answer(401, {"error": "the signature is missing or wrong"})
        try:
            document = _document(_plain(body, request.headers.get("Content-Encoding")), request.content_type)
        except (ValueError, RecursionError, zlib.error):
            return _answer(400, {"error": "the body is not JSON"})
        try:
            if isinstance(document, list):
                return await self._batch(document)
            change = read(document)
            await asyncio.to_thread(self._store.apply, [change])
        except NoChange as error:
            return _answer(422, {"error": str(error)})
        except Exception:  # the database is away, or two transactions were in each other's way: the same again may work
            _log.exception("a request was not taken")
            return _answer(503, {"error": "try again"}, {"Retry-After": _RETRY_SECONDS})
        return _answer(200, {"id": change.id})

    async def _batch(self, documents: list[Any]) -> web.Response:
        """All that can be read is one transaction; each event has a status of its own, by its id or else by its place."""
        good: list[Change] = []
        results: list[dict[str, Any]] = []
        for index, document in enumerate(documents):
            named = isinstance(document, dict) and isinstance(document.get("id"), str)
            results.append({"id": document["id"]} if named else {"index": index})
            try:
                good.append(read(document))
                results[-1]["status"] = 200
            except NoChange:
                results[-1]["status"] = 422
        await asyncio.to_thread(self._store.apply, good)
        return _answer(207, {"results": results})


def application(store: Store, secrets: Sequence[str] = ()) -> web.Application:
    """The application with its one address."""
    app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
    app.router.add_post("/events", Consumer(store, secrets).handle)
    return app


async def serve(store: Store, port: int, secrets: Sequence[str] = (), host: str = "127.0.0.1") -> web.AppRunner:
    """Listen. Bodies come in as they were sent: a signature is that of the compressed body."""
    runner = web.AppRunner(application(store, secrets), auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _document(text: bytes, content_type: str) -> Any:
    """One event, or a list of them: a JSON array, or one JSON text a line."""
    if content_type == _LINES:
        return [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
    return json.loads(text, parse_float=Decimal)


def _plain(body: bytes, encoding: str | None) -> bytes:
    if encoding != "gzip":
        return body
    unpacking = zlib.decompressobj(wbits=31)
    text = unpacking.decompress(body, _LARGEST_BODY_BYTES)
    if not unpacking.eof:
        raise ValueError("too large, or cut off")
    return text


def _answer(status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(document, status=status, headers=headers)


async def _run(options: argparse.Namespace) -> None:
    secrets = os.environ.get("SIGNING_SECRETS", "").split()
    await serve(open_store(options.database), options.port, secrets, options.host)
    print(f"taking events at http://{options.host}:{options.port}/events", flush=True)  # noqa: T201
    await asyncio.Event().wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Keep a copy of the tables that Rowpost relays.")
    parser.add_argument("--database", default="copy.db", help="a file of SQLite, or postgresql://user@host/database")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine alone)")
    try:
        asyncio.run(_run(parser.parse_args()))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
