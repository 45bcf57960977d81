"""What several scenarios do."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.functions_host.sql_trigger import ListenerError
from emulators.tests.sql_trigger.world import (
    Function,
    World,
    failing_on,
)


def refusal(world: World, function: Function | None = None, **options: Any) -> str:
    """The message of a start that fails."""
    listener = world.listener(function or world.function(), **options)
    with pytest.raises(ListenerError) as caught:
        world.loop.run(listener.start())
    return str(caught.value)


def park(world: World, listener: Any, *ids: int, seconds: int, version: int | None = None) -> None:
    """Write AC = 0 and a later lease end, as a function under test does."""
    sentinel = "" if version is None else f", _az_func_ChangeVersion = {version}"
    world.sql(
        f"UPDATE {listener.lease_table} SET _az_func_AttemptCount = 0, "
        f"_az_func_LeaseExpirationTime = DATEADD(second, {seconds}, SYSDATETIME()){sentinel} "
        f"WHERE Id IN ({', '.join(map(str, ids))});"
    )


def exhaust(world: World, function: Function, *ids: int) -> None:
    """Let all five hand-outs of rows fail, and their last lease end."""
    function.body = failing_on(*ids)
    world.until(lambda: sum(set(ids) <= set(run.ids) for run in function.invocations) >= 5, 400)
    world.advance(62)
