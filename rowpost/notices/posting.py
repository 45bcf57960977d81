"""Posting a notice as JSON: what all channels that are a web address have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from rowpost.auth.failures import CredentialError
from rowpost.auth.signatures import Signer
from rowpost.config.notifications import Hook, NotificationsConfig
from rowpost.http.client import Client, Reply
from rowpost.http.failures import describe
from rowpost.notices.channel import SENT, Sent, failed
from rowpost.rules.answer import retry_after_seconds
from rowpost.rules.json_text import to_json

_ANSWER_BYTES = 4096


def post_json(
    config: NotificationsConfig,
    hook: Hook,
    document: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    *,
    who: str,
    sign: Callable[[bytes], Mapping[str, str]] | None = None,
    words: Collection[str] = (),
) -> Sent:
    """Post once.

    Args:
        config: has the time limit.
        hook: where to.
        document: what is posted.
        headers: further ones.
        who: is called, for the text of a failure.
        sign: makes the headers that sign a body.
        words: answers that are quoted: all others are the receiver's own text.
    """
    body = to_json(document).encode()
    try:
        signed = {} if sign is None else sign(body)
        client = Client(config.timeout.seconds, ca=hook.ca, answer_bytes=_ANSWER_BYTES if words else None)
        reply = client.post(hook.url, body, {"Content-Type": "application/json", **(headers or {}), **signed})
    except CredentialError as error:
        return failed(str(error), retry_after=error.retry_after_seconds)
    except Exception as error:  # whatever an answer makes a library raise
        return failed(describe(error, who))
    if 200 <= reply.status < 300:
        return SENT
    return failed(f"HTTP {reply.status}{_word(reply, words)}", reply.status, retry_after_seconds(reply.headers))


def signing(secrets: list[str], identifier: str, timeout_seconds: float) -> Callable[[bytes], Mapping[str, str]]:
    """What signs a body by Standard Webhooks, with each of the secrets."""
    signer = Signer(secrets, timeout_seconds)
    return lambda body: signer.headers(identifier, body)


def cut(text: str, length: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _word(reply: Reply, words: Collection[str]) -> str:
    said = (reply.content or b"").decode("utf-8", "replace").strip()
    return f" {said}" if said in words else ""
