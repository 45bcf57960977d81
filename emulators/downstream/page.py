"""The page that the downstream emulator shows to people: rows as they stand, and the last attempts."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

from emulators.downstream.attempt import Attempt
from emulators.downstream.store import RowState
from emulators.http_server import to_json

_ROWS_SHOWN, _ATTEMPTS_SHOWN = 25, 40
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color: #1b1f24; background: #fff }
h1 { font-size: 1.3rem } h2 { font-size: 1rem; margin-top: 2rem }
table { border-collapse: collapse; margin-top: .5rem }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top }
th { font-weight: 600; border-bottom: 1px solid #d0d7de } td { border-bottom: 1px solid #eaeef2 }
.bad { color: #b3261e } .gone { color: #8c959f; text-decoration: line-through } code { font-size: 12px }
@media (prefers-color-scheme: dark) {
  body { color: #d1d7e0; background: #151b23 } th, td { border-color: #3d444d } .bad { color: #ff8a80 }
}
"""


def render(now: datetime, mode: str, counters: dict[str, int], tables: dict[str, list[RowState]], attempts: list[Attempt]) -> str:
    """HTML without any outside asset; it loads itself again every two seconds."""
    totals = " · ".join(f"{value} {name}" for name, value in counters.items())
    sections = [_table(name, states) for name, states in tables.items()] or ["<p>No row has arrived yet.</p>"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
        f"<title>Downstream API</title><style>{_STYLE}</style><h1>Downstream API</h1>"
        f"<p>{now:%Y-%m-%d %H:%M:%S} UTC · {escape(mode)} · {escape(totals)}</p>"
        f"{''.join(sections)}{_attempts(attempts)}</html>"
    )


def _table(name: str, states: list[RowState]) -> str:
    latest = sorted(states, key=lambda state: state.at, reverse=True)[:_ROWS_SHOWN]
    rows = "".join(
        f"<tr{_class('gone', state.operation == 'delete')}><td>{_code(state.key)}<td>{_text(state.version)}"
        f"<td>{_text(state.deliveries)}<td>{_text(state.at[11:19])}<td>{_code(state.row)}"
        for state in latest
    )
    heads = "<tr><th>Key<th>Version<th>Deliveries<th>At<th>Row"
    return f"<h2>{escape(name)}: {len(states)} rows, the latest {len(latest)}</h2><table>{heads}{rows}</table>"


def _attempts(attempts: list[Attempt]) -> str:
    latest = list(reversed(attempts))[:_ATTEMPTS_SHOWN]
    rows = "".join(
        f"<tr><td>{attempt.number}<td>{_text(attempt.at[11:23])}<td>{_text(attempt.table)}<td>{_code(attempt.key)}"
        f"<td>{_text(attempt.version)}<td{_class('bad', attempt.status is None or attempt.status >= 300)}>"
        f"{_text(attempt.status or 'reset')}<td>{escape(attempt.outcome)}"
        for attempt in latest
    )
    heads = "<tr><th>#<th>At<th>Table<th>Key<th>Version<th>Status<th>Outcome"
    return f"<h2>The last {len(latest)} attempts</h2><table>{heads}{rows}</table>"


def _class(name: str, applies: bool) -> str:
    return f' class="{name}"' if applies else ""


def _text(value: Any) -> str:
    return "" if value is None else escape(str(value))


def _code(value: Any) -> str:
    return "" if value is None else f"<code>{escape(value if isinstance(value, str) else to_json(value))}</code>"
