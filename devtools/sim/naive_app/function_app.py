"""The policy that Rowpost replaces: post every row, raise if any failed, and put the trigger's counters back on a timer."""

from __future__ import annotations

import json
import os
from typing import Any

import azure.functions as func
import pyodbc
import requests

app = func.FunctionApp()
TABLE = os.environ["NAIVE_TABLE"]
LEASES = os.environ["NAIVE_LEASES"]
KEY = json.loads(os.environ["NAIVE_KEY"])


def _post(change: dict[str, Any]) -> None:
    row = change["Item"]
    deleted = change["Operation"] == 2
    document = {
        "table": TABLE,
        "operation": "delete" if deleted else "upsert",
        "key": {name: row[name] for name in KEY},
        "row": None if deleted else row,
    }
    headers = {"X-Api-Key": os.environ["DOWNSTREAM_API_KEY"]}
    requests.post(os.environ["DOWNSTREAM_URL"], json=document, headers=headers, timeout=5, allow_redirects=False).raise_for_status()


@app.function_name("relay")
@app.sql_trigger(arg_name="changes", table_name=TABLE, connection_string_setting="SqlConnectionString", leases_table_name=LEASES)
def relay(changes: str) -> None:
    failed = 0
    for change in json.loads(changes):
        try:
            _post(change)
        except requests.RequestException:
            failed += 1
    if failed:
        raise RuntimeError(f"{failed} rows were not delivered")


@app.function_name("reset_counters")
@app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
def reset_counters(timer: func.TimerRequest) -> None:
    with pyodbc.connect(os.environ["NAIVE_ODBC"], autocommit=True) as connection:
        connection.execute(f"UPDATE [az_func].[{LEASES}] SET _az_func_AttemptCount = 0 WHERE _az_func_AttemptCount >= 5")
