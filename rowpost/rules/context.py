"""The context of a change, which its writer gives: text or bytes of CHANGE_TRACKING_CONTEXT, as relay.toml writes them."""

from __future__ import annotations

import re

BYTES_AT_MOST = 128
_HEX = re.compile(r"0x(?:[0-9A-Fa-f]{2})+")


def read_context(written: str) -> bytes:
    """The bytes of a context: ``0x…`` as it says, any other text as ``CAST('…' AS varbinary(128))`` makes them.

    Raises:
        ValueError: it is empty or too long, or its bytes would depend on a collation; the message begins with a verb.
    """
    if not written:
        raise ValueError("is empty; write the context that the writer gives, or remove the key")
    if written.lower().startswith("0x"):
        if not _HEX.fullmatch(written):
            raise ValueError("begins with 0x and is not hexadecimal; write two digits for each byte")
        found = bytes.fromhex(written[2:])
    elif written.isascii():
        found = written.encode()
    else:
        raise ValueError("has characters that are not ASCII, whose bytes depend on the collation; write the bytes as 0x…")
    if len(found) > BYTES_AT_MOST:
        raise ValueError(f"has {len(found)} bytes, and a context has at most {BYTES_AT_MOST}")
    return found
