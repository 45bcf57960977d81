"""What may be sent as a token, and how long it is good."""

from __future__ import annotations

import re

from rowpost.auth.failures import CredentialError

# RFC 6749, appendix A.12, without the blank: anything else would end or break the header that the token is put into.
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
UNTOLD_SECONDS = 300.0  # how long a token is kept whose time nobody tells
_LONGEST_SECONDS = 86400.0


def sound(token: object, who: str) -> str:
    """The token, if it is one that can be sent.

    Args:
        token: what was answered.
        who: answered it.

    Raises:
        CredentialError: it has characters that no token has, or is none.
    """
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise CredentialError(f"{who}: an answer without a sound token")
    return token


def lifetime(told: object) -> float:
    """For how many seconds a token is kept: what was told, a day at most."""
    if isinstance(told, str) and re.fullmatch(r"[0-9]{1,12}", told):  # some servers write the number as a text
        told = int(told)
    if isinstance(told, bool) or not isinstance(told, int | float) or not told > 0:
        return UNTOLD_SECONDS
    return min(float(told), _LONGEST_SECONDS)
