"""ALTER DATABASE."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.parser.sequences import SequenceParser
from emulators.sql_server.parser.tree import AlterDatabase, Statement

_SWITCHES = frozenset({"READ_ONLY", "READ_WRITE", "MULTI_USER", "SINGLE_USER", "RESTRICTED_USER", "ONLINE", "OFFLINE", "EMERGENCY"})
"""Options of ALTER DATABASE that take no value."""


class DatabaseParser(SequenceParser):
    """Settings of the database."""

    def _alter_database(self) -> Statement:
        database = "" if self.accept("CURRENT") else self.identifier()
        if not self.accept("SET"):
            raise self.not_supported(f"ALTER DATABASE … {self.token.text.upper()}")
        settings: list[tuple[str, Any]] = []
        while True:
            option = self.any_word().upper()
            if option == "CHANGE_TRACKING":
                settings.append((option, self._change_tracking()))
            elif option == "COMPATIBILITY_LEVEL":
                self.expect("=")
                settings.append((option, self.integer()))
            elif option in _SWITCHES:
                settings.append((option, ""))
            else:
                self.accept("=")
                settings.append((option, self.any_word().upper()))
            if not self.accept(","):
                break
        termination = ""
        if self.accept("WITH"):
            if self.accept("ROLLBACK", "IMMEDIATE"):
                termination = "ROLLBACK IMMEDIATE"
            elif self.accept("NO_WAIT"):
                termination = "NO_WAIT"
            else:
                raise self.not_supported("ALTER DATABASE … WITH")
        return AlterDatabase(database, settings, termination)

    def _change_tracking(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.accept("="):
            options["state"] = self._on_off()
            if options["state"] == "OFF":
                return options
        if self.accept("("):
            while True:
                if self.accept("CHANGE_RETENTION"):
                    self.expect("=")
                    options["retention"] = self.integer()
                    options["unit"] = self.any_word().upper()
                    if options["unit"] not in ("DAYS", "HOURS", "MINUTES"):
                        raise self.syntax_error(self.tokens[self.index - 1])
                else:
                    self.expect("AUTO_CLEANUP", "=")
                    options["auto_cleanup"] = self._on_off() == "ON"
                if not self.accept(","):
                    break
            self.expect(")")
        return options
