"""Code page 1252, the code page of varchar under the default collation."""

from __future__ import annotations

import unicodedata

_SPECIAL = str.maketrans({"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ħ": "h", "Ħ": "H", "ı": "i", "ŧ": "t", "Ŧ": "T"})


def narrow(text: str) -> str:
    """The text as varchar keeps it: letters that the code page lacks become their nearest one, all others a question mark."""
    if text.isascii():
        return text
    out = []
    for char in text:
        try:
            char.encode("cp1252")
            out.append(char)
        except UnicodeEncodeError:
            base = unicodedata.normalize("NFKD", char.translate(_SPECIAL))[0]
            out.append(base if base.isascii() else "?" * (2 if ord(char) > 0xFFFF else 1))
    return "".join(out)
