"""One request to a target, and what came of it: an answer, or a failure in words of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rowpost.auth.caller import Caller
from rowpost.auth.failures import CredentialError
from rowpost.config.sections import TargetConfig
from rowpost.http.client import Reply
from rowpost.http.failures import describe
from rowpost.rules.answer import Answer, Verdict
from rowpost.target.body import compressed
from rowpost.target.request import Call, address

UNTRIED = Answer(Verdict.UNTRIED)


class Sender:
    """Sends to one target; safe to use from several threads."""

    def __init__(self, config: TargetConfig) -> None:
        self._config = config
        self.caller = Caller(config)

    def send(
        self, call: Call, headers: Mapping[str, str], content_type: str, body: bytes, identifier: str, over: Callable[[], bool]
    ) -> Reply | Answer:
        """Send a request once.

        Args:
            call: the request.
            headers: those that the app sets itself; of two with the same name that of the configuration wins.
            content_type: of the body; empty if there is none.
            body: as it is before compression.
            identifier: is signed.
            over: whether nothing more is to be sent.

        Returns:
            The answer, or the failure; with the milliseconds that it took, also to fetch credentials.
        """
        config, own = self._config, {name.lower() for name in call.headers}
        configured = {name: value for name, value in config.headers.items() if name.lower() not in own} | call.headers
        known = {name.lower() for name in configured}
        sent = {name: value for name, value in headers.items() if name.lower() not in known}
        sent |= {"Content-Type": content_type, **configured}
        if not body:
            del sent["Content-Type"]
        elif config.gzip is not None and len(body) >= config.gzip:
            body, sent["Content-Encoding"] = compressed(body), "gzip"
        begun = time.monotonic()
        try:
            reply = self.caller.send(call.method, address(config.url, call.path, call.query), body, sent, identifier, over)
            return UNTRIED if reply is None else reply._replace(milliseconds=_since(begun))
        except CredentialError as error:
            asked = error.retry_after_seconds
            return Answer(Verdict.TRANSIENT, error=str(error), retry_after_seconds=asked, milliseconds=_since(begun))
        except Exception as error:  # whatever an answer makes a library raise, it is this request's failure and not the batch's
            return Answer(Verdict.TRANSIENT, error=describe(error), milliseconds=_since(begun))


def _since(begun: float) -> int:
    """Milliseconds of this process: a span that decides nothing."""
    return round((time.monotonic() - begun) * 1000)
