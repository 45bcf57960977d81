"""Backups of the database of a running world, and going back to them. Orchestrations and what the API knows stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Backups:
    """The latest backup of a world.

    Args:
        world: whose database.
    """

    def __init__(self, world: Any) -> None:
        self._world = world
        self._file: Path | None = None

    def backup(self) -> None:
        """BACKUP DATABASE."""
        self._file = self._world.arena.directory / "backup.db"
        self._world.sql.database.backup(self._file)

    def restore(self) -> bool:
        """RESTORE DATABASE over the present one, if there is a backup; all connections are lost. Returns whether there is one."""
        world = self._world
        if self._file is None:
            return False
        world.sql.break_all()
        world.sql.database.restore(self._file)
        world.look_anew()
        now = world.scheduler.seconds()
        world.record.took["a restore"] += 1
        for record in world.records:
            record.restores.append(now)
        world.pollers.nudge()
        return True
