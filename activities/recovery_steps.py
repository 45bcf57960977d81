"""The steps of a table's recovery."""

from __future__ import annotations

import azure.durable_functions as df

from rowpost.app import App
from rowpost.recovery import redeliver, survey


def blueprint(app: App) -> df.Blueprint:
    """``survey_table`` and ``redeliver_table``; both take ``{"table": name}``."""
    functions = df.Blueprint()

    @functions.function_name("survey_table")
    @functions.activity_trigger(input_name="request")
    def survey_table(request: dict) -> dict:  # type: ignore[type-arg]  # the worker refuses parametrised generics
        return survey(app, request["table"])

    @functions.function_name("redeliver_table")
    @functions.activity_trigger(input_name="request")
    def redeliver_table(request: dict) -> dict:  # type: ignore[type-arg]
        outcome = redeliver(app, request["table"])
        return {"handled": outcome.delivered + outcome.skipped + outcome.failed + outcome.dead}

    return functions
