"""The statements that the app sends: each is a file under ``sql/``, written for a DBA to read.

A file begins with a comment: what the statement does, its parameters, its locks, and what is left if the connection dies in it.
What only Python knows stands in it as a named fragment in braces, such as ``{leases}``. A fragment of several lines is a file
under ``sql/fragments/``. :class:`rowpost.database.table.Table` gives those of a table; those that are here hold for every table.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from rowpost.database.names import literal
from rowpost.rules import lease
from rowpost.rules.answer import NOT_TRIED, TRANSIENT_CLIENT_ERRORS
from rowpost.rules.fate import UNSETTLED
from rowpost.rules.lifecycle import TRANSITIONS
from rowpost.rules.resync import OPEN

SQL = Path(__file__).parent / "sql"


def render(name: str, fragments: Mapping[str, object]) -> str:
    """The statement of a file, with its fragments filled in. Its first line names the file, for who watches the server.

    Args:
        name: of the file, without ``.sql``.
        fragments: what stands in braces, by name.

    Raises:
        KeyError: a fragment is missing.
    """
    return f"-- rowpost: {name}.sql\n{body(name).format_map(_Fragments(fragments))}"


@cache
def body(name: str) -> str:
    """A file's text without the comment that it begins with."""
    text = (SQL / f"{name}.sql").read_text(encoding="utf-8")
    return text.partition("*/\n")[2].strip("\n") if text.startswith("/*") else text.strip("\n")


class _Fragments(dict[str, object]):
    """The fragments of one statement: the caller's, those of a file of their own, and those that hold for every table."""

    def __missing__(self, name: str) -> str:
        if name in COMMON:
            return COMMON[name]
        if not (SQL / "fragments" / f"{name}.sql").is_file():
            raise KeyError(f"there is no fragment {name!r}")
        return body(f"fragments/{name}").format_map(self)


def _transitions() -> dict[str, str]:
    """``{from_EVENT}``: the states in which the event can happen, as a list. ``{to_EVENT}``: the state that follows."""
    found: dict[str, str] = {}
    for event, transition in TRANSITIONS.items():
        if not transition.keeps:
            found[f"from_{event}"] = ", ".join(sorted(f"'{state}'" for state in transition.sources if state is not None))
        if transition.target is not None:
            found[f"to_{event}"] = f"'{transition.target}'"
    return found


COMMON: dict[str, str] = {
    **_transitions(),
    "open_resyncs": ", ".join(sorted(f"'{state}'" for state in OPEN)),
    "not_tried": NOT_TRIED,
    "unsettled": literal(UNSETTLED),
    "transient_client_errors": ", ".join(map(str, sorted(TRANSIENT_CLIENT_ERRORS))),
    "lease_seconds": str(lease.LEASE_SECONDS),
    "guarded_count": str(lease.GUARDED_COUNT),
    "unsettled_count": str(lease.UNSETTLED_COUNT),
    "parked_count": str(lease.PARKED_COUNT),
    "never_handed_out": str(lease.NEVER_HANDED_OUT),
    "redelivered_version": str(lease.REDELIVERED_VERSION),
}
