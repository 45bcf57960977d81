"""SET options of a session: a table of what acts, what is accepted because it changes nothing here, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.parser.tree import SetOption, TableSource, Variable
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError

SWITCH, NUMBER, WORD, PRIORITY = "ON, OFF", "numbers", "words", "LOW, NORMAL, HIGH, -10 to 10"
_ON, _OFF = frozenset({"ON"}), frozenset({"OFF"})
_PRIORITIES = {"LOW": -5, "NORMAL": 0, "HIGH": 5}
_LEVELS = frozenset({"READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done with an option.

    Attributes:
        kind: of value that it takes.
        why: what it does, or why an accepted value needs nothing done.
        accepted: values; None is every value of the kind. Any other would change results: 40517 names it.
        act: called with the value.
        bit: in @@OPTIONS.
        initial: whether the bit is set on a new connection.
    """

    kind: str
    why: str
    accepted: frozenset[str] | frozenset[int] | None = None
    act: Callable[[Session, Any], None] | None = None
    bit: int = 0
    initial: bool = False


def _nocount(session: Session, value: str) -> None:
    session.nocount = value == "ON"


def _xact_abort(session: Session, value: str) -> None:
    session.xact_abort = value == "ON"


def _isolation(session: Session, value: str) -> None:
    session.store.isolation = value


def _lock_timeout(session: Session, value: int) -> None:
    session.lock_timeout = max(value, -1)
    session.store.lock_timeout_seconds = None if value < 0 else value / 1000


def _deadlock_priority(session: Session, value: str | int) -> None:
    priority = _PRIORITIES.get(value, 11) if isinstance(value, str) else value
    if not -10 <= priority <= 10:
        raise sql_error(102, value)
    session.deadlock_priority = priority


_PLAN = "a plan instead of results, or beside them"
RULES: dict[str, Rule] = {
    "ANSI_DEFAULTS": Rule(SWITCH, "it would turn IMPLICIT_TRANSACTIONS on", frozenset[str]()),
    "ANSI_NULLS": Rule(SWITCH, "OFF makes NULL = NULL true", _ON, bit=32, initial=True),
    "ANSI_NULL_DFLT_OFF": Rule(SWITCH, "ON makes new columns NOT NULL", _OFF, bit=2048),
    "ANSI_NULL_DFLT_ON": Rule(SWITCH, "OFF makes new columns NOT NULL", _ON, bit=1024, initial=True),
    "ANSI_PADDING": Rule(SWITCH, "OFF trims what is stored", _ON, bit=16, initial=True),
    "ANSI_WARNINGS": Rule(SWITCH, "OFF truncates and divides in silence", _ON, bit=8, initial=True),
    "ARITHABORT": Rule(SWITCH, "ANSI_WARNINGS implies it", bit=64),
    "ARITHIGNORE": Rule(SWITCH, "ON hides errors of arithmetic", _OFF, bit=128),
    "CONCAT_NULL_YIELDS_NULL": Rule(SWITCH, "OFF takes NULL for an empty string", _ON, bit=4096, initial=True),
    "CURSOR_CLOSE_ON_COMMIT": Rule(SWITCH, "there are no cursors", bit=4),
    "DATEFIRST": Rule(NUMBER, "the week begins on Sunday", frozenset({7})),
    "DATEFORMAT": Rule(WORD, "other orders read texts otherwise", frozenset({"MDY"})),
    "DEADLOCK_PRIORITY": Rule(PRIORITY, "chooses the victim", act=_deadlock_priority),
    "FIPS_FLAGGER": Rule(WORD, "other levels give warnings", _OFF),
    "FMTONLY": Rule(SWITCH, "ON gives columns without rows", _OFF),
    "FORCEPLAN": Rule(SWITCH, "there are no plans to force"),
    "IMPLICIT_TRANSACTIONS": Rule(SWITCH, "ON lets statements begin transactions", _OFF, bit=2),
    "LANGUAGE": Rule(WORD, "names of days and months, order of dates", frozenset({"US_ENGLISH", "ENGLISH"})),
    "LOCK_TIMEOUT": Rule(NUMBER, "in milliseconds of real time", act=_lock_timeout),
    "NOCOUNT": Rule(SWITCH, "no row counts", act=_nocount, bit=512),
    "NOEXEC": Rule(SWITCH, "ON runs nothing", _OFF),
    "NO_BROWSETABLE": Rule(SWITCH, "ON adds the tables and hidden keys of each result", _OFF),
    "NUMERIC_ROUNDABORT": Rule(SWITCH, "ON makes a loss of precision an error", _OFF, bit=8192),
    "PARSEONLY": Rule(SWITCH, "ON runs nothing", _OFF),
    "QUERY_GOVERNOR_COST_LIMIT": Rule(NUMBER, "other values refuse costly queries", frozenset({0})),
    "QUOTED_IDENTIFIER": Rule(SWITCH, 'OFF makes "…" a string', _ON, bit=256, initial=True),
    "REMOTE_PROC_TRANSACTIONS": Rule(SWITCH, "there are no other servers"),
    "ROWCOUNT": Rule(NUMBER, "other values end statements early", frozenset({0})),
    "SHOWPLAN_ALL": Rule(SWITCH, _PLAN, _OFF),
    "SHOWPLAN_TEXT": Rule(SWITCH, _PLAN, _OFF),
    "SHOWPLAN_XML": Rule(SWITCH, _PLAN, _OFF),
    "STATISTICS IO": Rule(SWITCH, "messages with figures", _OFF),
    "STATISTICS PROFILE": Rule(SWITCH, _PLAN, _OFF),
    "STATISTICS TIME": Rule(SWITCH, "messages with figures", _OFF),
    "STATISTICS XML": Rule(SWITCH, _PLAN, _OFF),
    "TEXTSIZE": Rule(NUMBER, "other values cut long values off", frozenset({-1, 2_147_483_647})),
    "TRANSACTION ISOLATION LEVEL": Rule(WORD, "see the differences", _LEVELS, _isolation),
    "XACT_ABORT": Rule(SWITCH, "an error undoes the transaction", act=_xact_abort, bit=16384),
}


def set_option(session: Session, node: SetOption) -> None:
    """Raises SqlError 40517 where the value would change results, 195 for an unknown option, 102 for a value of another kind."""
    if node.names == ["IDENTITY_INSERT"]:
        _identity_insert(session, node)
        return
    for name in node.names:
        rule = RULES.get(name)
        if rule is None:
            raise SqlError(195, f"'{name}' is not a recognized SET option.", 15, 5)
        value = _value(session, rule, name, node.value)
        if rule.accepted is not None and value not in rule.accepted:
            raise unsupported(f"SET {name} {value}")
        if rule.act is not None:
            rule.act(session, value)
        session.options[name] = value


def _value(session: Session, rule: Rule, name: str, given: Any) -> str | int:
    """The value, words in upper case."""
    value = session.interpreter.frame.values.get(given.name) if isinstance(given, Variable) else given
    if isinstance(value, str):
        value = value.upper()
    kinds = {SWITCH: str, WORD: str, NUMBER: int, PRIORITY: (str, int)}
    fits = isinstance(value, kinds[rule.kind]) and (rule.kind != SWITCH or value in ("ON", "OFF"))
    if not fits or (name == "TRANSACTION ISOLATION LEVEL" and value not in _LEVELS):
        raise sql_error(102, value)
    found: str | int = value
    return found


def option_bits(session: Session) -> int:
    """@@OPTIONS."""
    on = {name for name, rule in RULES.items() if session.options.get(name, "ON" if rule.initial else "OFF") == "ON"}
    return sum(RULES[name].bit for name in on)


def _identity_insert(session: Session, node: SetOption) -> None:
    table: Table = StatementCompiler(session.interpreter.unit()).target_table(TableSource(node.table))
    if table.identity is None:
        raise sql_error(8106, table.name)
    if node.value == "OFF":
        if session.identity_insert == table.object_id:
            session.identity_insert = 0
    elif session.identity_insert and session.identity_insert != table.object_id:
        raise sql_error(8107, str(session.identity_insert), table.full_name)
    else:
        session.identity_insert = table.object_id
