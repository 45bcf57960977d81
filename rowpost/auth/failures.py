"""What keeps a request from being sent: it is the failure of who is called, and no row's."""

from __future__ import annotations


class CredentialError(Exception):
    """There is no token, or no secret. The text is one of ours, and quotes nothing that anybody sent.

    Attributes:
        retry_after_seconds: what was asked for, if anything.
    """

    def __init__(self, text: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds
