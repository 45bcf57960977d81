"""Access keys of the host: kept in the data directory, asked for only with ``--enable-auth``."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


class Keys:
    """The keys. The master key opens everything; a host key opens each function; a function's own keys open that function.

    Args:
        file: a JSON file; made if missing.
        functions: the HTTP functions; each gets a key called ``default``, unless it has keys.
    """

    def __init__(self, file: Path, functions: Iterable[str] = ()) -> None:
        self._file = file
        content = json.loads(file.read_text()) if file.exists() else {"functions": {}}
        for name in ("master", "host", "durabletask_extension"):
            content.setdefault(name, _new())
        self.master: str = content["master"]
        self.host: str = content["host"]
        self.durable: str = content["durabletask_extension"]
        self._functions: dict[str, dict[str, str]] = content["functions"]
        self._names = {name.lower(): name for name in functions}
        for name in self._names.values():
            self._functions.setdefault(name, {"default": _new()})
        self._save()

    def _save(self) -> None:
        content = {
            "master": self.master,
            "host": self.host,
            "durabletask_extension": self.durable,
            "functions": self._functions,
        }
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(content, indent=2))
        os.replace(draft, self._file)

    def of_function(self, name: str) -> dict[str, str] | None:
        """The own keys of a function, by their names; None if there is no such function."""
        known = self._names.get(name.lower())
        return None if known is None else self._functions[known]

    def set(self, function: str, key: str, value: str | None) -> tuple[str, bool]:
        """Make or change a key of a function, which must exist; without a value one is made.

        Returns:
            Its value, and whether it is new.
        """
        keys = self._functions[self._names[function.lower()]]
        is_new = key not in keys
        keys[key] = value if value is not None else _new()
        self._save()
        return keys[key], is_new

    def remove(self, function: str, key: str) -> bool:
        """Take a key from a function; False if it has none of that name."""
        keys = self.of_function(function) or {}
        found = keys.pop(key, None) is not None
        self._save()
        return found

    def allows(self, level: str, function: str, given: str | None) -> bool:
        """Whether key ``given`` opens ``function`` with authorization level ``level``."""
        if level.upper() == "ANONYMOUS":
            return True
        accepted = [self.master]
        if level.upper() == "FUNCTION":
            accepted += [self.host, *(self.of_function(function) or {}).values()]
        return _is_one_of(given, accepted)

    def allows_durable(self, given: str | None) -> bool:
        """Whether key ``given`` opens the management endpoints."""
        return _is_one_of(given, [self.durable, self.master])


def _new() -> str:
    return secrets.token_urlsafe(32)


def _is_one_of(given: str | None, accepted: list[str]) -> bool:
    return bool(given) and any(secrets.compare_digest(str(given).encode(), key.encode()) for key in accepted)
