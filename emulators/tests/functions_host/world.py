"""A world for tests of the Functions host: the host in its own process, and virtual time that the test drives.

Test modules import the fixtures ``virtual_time`` and ``world``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emulators.clock import VirtualTime
from emulators.launch import FunctionsHost

APPS = Path(__file__).parent / "apps"
START = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """The host with the app ``everything``, and shorthands for what tests do with it."""

    def __init__(self, directory: Path, time: VirtualTime) -> None:
        self.time = time
        self.notes_file = directory / "notes"
        settings = {"NOTES": str(self.notes_file), "EveryFiveMinutes": "0 */5 * * * *", "GREETING": "hi"}
        self.host = FunctionsHost(APPS / "everything", directory, time.spec, settings)

    def start(self, name: str, data: Any = None, instance: str = "") -> str:
        """Start an orchestration through the SDK's client; its id."""
        path = f"/api/start/{name}" + (f"/{instance}" if instance else "")
        answer = self.host.request("POST", path, data="" if data is None else json.dumps(data))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def client(self, call: str, **arguments: Any) -> Any:
        """Call a method of the SDK's client inside the host.

        Raises:
            RuntimeError: it raised; the same text.
        """
        answer = self.host.request("POST", f"/api/client/{call}", json=arguments)
        assert answer.status_code == 200, answer.text
        content = answer.json()
        if "raised" in content:
            raise RuntimeError(content["raised"])
        return content["returned"]

    def status(self, instance: str) -> dict[str, Any]:
        """The status of an instance, empty if unknown."""
        found: dict[str, Any] = self.client("get_status", instance_id=instance)
        return found

    def finish(self, instance: str, within_seconds: float = 3600.0) -> dict[str, Any]:
        """Let time run until an instance has ended; its status."""
        ended = ("Completed", "Failed", "Terminated")
        assert self.time.advance(within_seconds, until=lambda: self.status(instance)["runtimeStatus"] in ended), self.status(
            instance
        )
        return self.status(instance)

    def run(self, name: str, data: Any = None, within_seconds: float = 3600.0) -> Any:
        """Start an orchestration and let time run until it completes; its output."""
        status = self.finish(self.start(name, data), within_seconds)
        assert status["runtimeStatus"] == "Completed", status
        return status["output"]

    def settle(self) -> None:
        """Let everything that is due now be done, without letting time pass."""
        self.time.advance(0)

    def notes(self, word: str = "") -> list[str]:
        """What the functions wrote that begins with ``word``, in order."""
        lines = self.notes_file.read_text().splitlines() if self.notes_file.exists() else []
        return [line for line in lines if line.startswith(word)]
