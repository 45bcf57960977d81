"""Access keys of the host: made at the first start, kept in the data directory, asked for only with ``--enable-auth``."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path


class Keys:
    """The keys.

    Args:
        file: a JSON file; made if missing.
    """

    def __init__(self, file: Path) -> None:
        if not file.exists():
            made = {name: secrets.token_urlsafe(32) for name in ("master", "host", "durabletask_extension")}
            draft = file.with_suffix(".new")
            draft.write_text(json.dumps({**made, "functions": {}}, indent=2))
            os.replace(draft, file)
        content = json.loads(file.read_text())
        self.master: str = content["master"]
        self.host: str = content["host"]
        self.durable: str = content["durabletask_extension"]
        self._functions: dict[str, str] = {name.lower(): key for name, key in content["functions"].items()}

    def allows(self, level: str, function: str, given: str | None) -> bool:
        """Whether key ``given`` opens ``function`` with authorization level ``level``."""
        if level.upper() == "ANONYMOUS":
            return True
        accepted = [self.master]
        if level.upper() == "FUNCTION":
            accepted += [self.host, *([key] if (key := self._functions.get(function.lower())) else [])]
        return given is not None and any(secrets.compare_digest(given.encode(), key.encode()) for key in accepted)

    def allows_durable(self, given: str | None) -> bool:
        """Whether key ``given`` opens the management endpoints."""
        return given is not None and any(
            secrets.compare_digest(given.encode(), key.encode()) for key in [self.durable, self.master]
        )
