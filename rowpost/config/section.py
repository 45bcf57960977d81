"""A table of ``relay.toml`` as a type."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A table of the file; unknown keys are refused."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # settings are in it, which may be secrets
