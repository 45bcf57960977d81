"""Resync of one relay: page after page into the ledger, no faster than recovery delivers them."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

_PAGES = 20  # of one generation: history stays short
_PAUSE_SECONDS = 10


def blueprint() -> df.Blueprint:
    """The orchestration ``resync``; its input is ``{"relay": name}``, and how far it has come."""
    functions = df.Blueprint()

    @functions.function_name("resync")
    @functions.orchestration_trigger(context_name="context")
    def resync(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        state: dict[str, Any] = dict(context.get_input() or {})
        rows = state.get("rows", 0)
        for _ in range(_PAGES):
            pause = 0
            try:
                request = {"relay": state["relay"], "after": state.get("after"), "since": state.get("since")}
                page = yield context.call_activity("resync_page", request)
                state["after"], state["since"] = page["after"], page["since"]
                rows += page["rows"]
                if page["done"]:
                    return {"relay": state["relay"], "rows": rows}
                pause = _PAUSE_SECONDS if page["wait"] else 0
            except Exception as error:  # it goes on a little later, from the page where it was
                context.set_custom_status({"relay": state["relay"], "rows": rows, "error": type(error).__name__})
                pause = _PAUSE_SECONDS
            else:
                context.set_custom_status({"relay": state["relay"], "rows": rows})
            if pause:
                yield context.create_timer(context.current_utc_datetime + timedelta(seconds=pause))
        context.continue_as_new({**state, "rows": rows})
        return None

    return functions
