"""Answers that are no success: problem details (RFC 9457), each with one sentence that names the remedy."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

MEDIA_TYPE = "application/problem+json"


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """What went wrong, and what to do.

    Attributes:
        title: the name of the status.
        status: that of HTTP.
        detail: one sentence, with the remedy.
        field: the part of the request that is meant, if one is.
        type: ``about:blank``: the status says what kind of problem it is.
    """

    title: str
    status: int
    detail: str
    field: str | None = None
    type: str = "about:blank"


class Problem(Exception):
    """A request that is not granted."""

    def __init__(self, status: int, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.details = ProblemDetails(HTTPStatus(status).phrase, status, detail, field)
