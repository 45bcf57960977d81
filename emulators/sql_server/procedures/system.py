"""System procedures that batches and clients call: sp_executesql, application locks, and a few more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emulators.sql_server.catalogue.collations import DEFAULT_COLLATION
from emulators.sql_server.objects import extended_properties
from emulators.sql_server.objects.ddl import Ddl
from emulators.sql_server.objects.principals import run_principal
from emulators.sql_server.objects.renaming import rename
from emulators.sql_server.parser.batches import Parser
from emulators.sql_server.parser.tree import CreateType, PrincipalStatement
from emulators.sql_server.procedures.catalogue import catalog_procedure
from emulators.sql_server.procedures.describing import described
from emulators.sql_server.storage.locks import MODES, Deadlock, LockTimeout
from emulators.sql_server.storage.session import Interpreter
from emulators.sql_server.values.conversions import converter
from emulators.sql_server.values.datatypes import INT, NVARCHAR_MAX, STRINGS, VARIANT, alias_parts, to_external
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import Event, Parameter, SqlError, SqlType
from emulators.sql_server.values.utf16 import outer

Argument = tuple[str, Any, SqlType, str]
"""Name ('' when positional), inner value, type, variable that takes the OUTPUT value ('' for none)."""
Events = Iterator[Event | SqlError]


def call(interpreter: Interpreter, name: str, shown: str, arguments: list[Argument]) -> Events:
    """Run a procedure; its return value goes to ``interpreter.return_value``. Raises SqlError 2812 for an unknown one."""
    if interpreter.session.other_database and name not in _OF_THE_SERVER:
        raise unsupported(f"{shown} in the database {interpreter.session.other_database}")
    procedure = PROCEDURES.get(name)
    if procedure is not None:
        yield from procedure(interpreter, arguments) or ()
        return
    given = [(argument, Parameter(_external(value, kind), kind)) for argument, value, kind, _ in arguments]
    events = catalog_procedure(interpreter.session, name, given)
    if events is None:
        raise unsupported(shown) if name in REFUSED else sql_error(2812, shown)
    yield from events


def _external(value: Any, kind: SqlType) -> Any:
    if isinstance(value, str) and kind.name in STRINGS:
        return outer(value)
    convert = to_external(kind)
    return convert(value) if convert is not None and value is not None else value


def _bind(
    procedure: str, arguments: list[Argument], names: list[str], required: int, types: Mapping[str, SqlType] | None = None
) -> dict[str, Any]:
    """Arguments by name. Raises SqlError 201, 8143, 8144, 8145."""
    bound: dict[str, Any] = {}
    for position, (given, value, kind, _) in enumerate(arguments):
        if not given and position >= len(names):
            raise sql_error(8144, procedure)
        name = given or names[position]
        if name not in names:
            raise sql_error(8145, f"@{name}", procedure)
        if name in bound:
            raise sql_error(8143, f"@{name}")
        wanted = (types or {}).get(name) or (INT if name == "locktimeout" else NVARCHAR_MAX)
        bound[name] = None if value is None else converter(kind, wanted)(value)
    for name in names[:required]:
        if name not in bound:
            raise sql_error(201, procedure, f"@{name}")
    return bound


# --- application locks ---


def _get_app_lock(interpreter: Interpreter, arguments: list[Argument]) -> None:
    """sp_getapplock: 0 granted at once, 1 after waiting, -1 time-out, -3 deadlock, -999 wrong parameters."""
    session = interpreter.session
    bound = _bind("sp_getapplock", arguments, ["resource", "lockmode", "lockowner", "locktimeout", "dbprincipal"], 2)
    mode = MODES.get((bound["lockmode"] or "").lower())
    owner = (bound.get("lockowner") or "Transaction").lower()
    principal = (bound.get("dbprincipal") or "public").lower()
    interpreter.return_value = -999
    if mode is None or owner not in ("transaction", "session") or bound["resource"] is None:
        raise SqlError(15600, "An invalid parameter or option was specified for procedure 'sys.sp_getapplock'.", 15)
    if owner == "transaction" and session.store.count == 0:
        raise SqlError(1223, "Cannot grant lock because there is no active user transaction.")
    if session.store.catalogue.principals.get(principal) is None:
        raise SqlError(15151, f"Cannot find the principal '{principal}', because it does not exist or you do not have permission.")
    milliseconds = bound.get("locktimeout")
    if milliseconds is None:
        milliseconds = session.lock_timeout
    seconds = None if milliseconds is None or milliseconds < 0 else milliseconds / 1000
    resource = ("application", principal, bound["resource"][:255])
    try:
        at_once = session.owner.locks.acquire(session, resource, mode, seconds, owner == "session")
        interpreter.return_value = 0 if at_once else 1
    except LockTimeout:
        interpreter.return_value = -1
    except Deadlock:
        interpreter.return_value = -3


def _release_app_lock(interpreter: Interpreter, arguments: list[Argument]) -> None:
    session = interpreter.session
    bound = _bind("sp_releaseapplock", arguments, ["resource", "lockowner", "dbprincipal"], 1)
    owner = (bound.get("lockowner") or "Transaction").lower()
    resource = ("application", (bound.get("dbprincipal") or "public").lower(), (bound["resource"] or "")[:255])
    interpreter.return_value = 0
    if not session.owner.locks.release(session.spid, resource, owner == "session"):
        interpreter.return_value = -999
        raise SqlError(
            1223,
            f"Cannot release the application lock (Database Principal: '{resource[1]}', Resource: '{resource[2]}') because it is "
            "not currently held.",
        )


# --- sp_executesql ---


def declarations(text: str) -> list[tuple[str, SqlType, bool]]:
    """Name, type and OUTPUT of a parameter list such as ``@a int, @b nvarchar(10) OUTPUT``."""
    parser = Parser(text)
    found = []
    while parser.token.kind != "end":
        if parser.token.kind != "variable":
            raise parser.syntax_error()
        name = parser.next().value
        parser.accept("AS")
        kind = parser.data_type()
        if parts := alias_parts(kind):
            raise unsupported(f"the alias type {'.'.join(parts)} for a parameter")
        if parser.accept("="):
            raise unsupported("default values of sp_executesql parameters")
        output = parser.accept("OUTPUT") or parser.accept("OUT")
        found.append((name, kind, output))
        if not parser.accept(","):
            break
    if parser.token.kind != "end":
        raise parser.syntax_error()
    return found


def _execute_sql(interpreter: Interpreter, arguments: list[Argument]) -> Events:
    """sp_executesql called from a batch."""
    if not arguments:
        raise sql_error(201, "sp_executesql", "@statement")
    statement, rest = arguments[0], arguments[1:]
    if statement[2].name not in ("nvarchar", "nchar", "ntext"):
        raise sql_error(214, "@statement", "ntext/nchar/nvarchar")
    declared = declarations(rest[0][1] or "") if rest else []
    parameters: dict[str, Parameter] = {}
    outputs: list[tuple[str, str]] = []
    for position, (given, value, kind, target) in enumerate(rest[1:]):
        found = (
            next((item for item in declared if item[0] == given), None)
            if given
            else declared[position]
            if position < len(declared)
            else None
        )
        if found is None:
            raise sql_error(8145, f"@{given}", "") if given else sql_error(8144, "")
        name, wanted, _ = found
        converted = None if value is None else converter(kind, wanted)(value)
        parameters[name] = Parameter(_external(converted, wanted), wanted)
        if target:
            outputs.append((name, target))
    for name, _, _ in declared:
        if name not in parameters:
            raise SqlError(
                8178,
                f"The parameterized query '({rest[0][1]}){statement[1]}' expects the parameter '@{name}', which was not supplied.",
            )
    frame = interpreter.frame
    yield from interpreter.batch(statement[1] or "", parameters, dynamic=True)
    finished = interpreter.session.finished_frame
    for name, target in outputs:
        value = finished.values[name]
        frame.values[target] = None if value is None else converter(finished.types[name], frame.types[target])(value)


def _describe_first_result_set(interpreter: Interpreter, arguments: list[Argument]) -> Events:
    names = ["tsql", "params", "browse_information_mode"]
    bound = _bind("sp_describe_first_result_set", arguments, names, 1)
    parameters = {name: kind for name, kind, _ in declarations(bound.get("params") or "")}
    columns = interpreter.session.describe(bound["tsql"] or "", parameters)
    yield described(columns, DEFAULT_COLLATION)


# --- others ---


def _set_session_context(interpreter: Interpreter, arguments: list[Argument]) -> None:
    bound = _bind("sp_set_session_context", arguments, ["key", "value", "read_only"], 2, {"value": VARIANT})
    key, context = (bound["key"] or "").lower(), interpreter.session.context
    if context.get(key, (None, False))[1]:
        raise SqlError(
            15664,
            f"Cannot set key '{bound['key']}' in the session context. The key has been set as read_only for this session.",
        )
    context[key] = (bound["value"], bound.get("read_only") == "1")


def _role_member(action: str) -> Any:
    def run(interpreter: Interpreter, arguments: list[Argument]) -> None:
        bound = _bind(f"sp_{action}rolemember", arguments, ["rolename", "membername"], 2)
        run_principal(
            interpreter.session, PrincipalStatement("ALTER", "ROLE", bound["rolename"], {f"{action}_member": bound["membername"]})
        )

    return run


def _extended_property(action: str) -> Any:
    change = extended_properties.changer(action)
    names = [name for name in extended_properties.ARGUMENTS if action != "drop" or name != "value"]

    def run(interpreter: Interpreter, arguments: list[Argument]) -> None:
        change(interpreter.session, _bind(f"sp_{action}extendedproperty", arguments, names, 1))
        interpreter.return_value = 0

    return run


def _rename(interpreter: Interpreter, arguments: list[Argument]) -> Events:
    yield from rename(interpreter.session, _bind("sp_rename", arguments, ["objname", "newname", "objtype"], 2))
    interpreter.return_value = 0


def _add_type(interpreter: Interpreter, arguments: list[Argument]) -> None:
    """CREATE TYPE as scripts before 2005 wrote it."""
    bound = _bind("sp_addtype", arguments, ["typename", "phystype", "nulltype", "owner"], 2)
    parser = Parser(bound["phystype"] or "")
    kind = parser.data_type()
    if parser.token.kind != "end":
        raise parser.syntax_error()
    nullable = (bound.get("nulltype") or "NULL").upper() == "NULL"
    Ddl(interpreter.session).create_type(CreateType((bound["typename"] or "",), kind, nullable))


def _reset_connection(interpreter: Interpreter, arguments: list[Argument]) -> None:
    interpreter.session.reset()


_OF_THE_SERVER = frozenset(
    {
        "sp_executesql",
        "sp_set_session_context",
        "sp_reset_connection",
        "sp_datatype_info",
        "sp_datatype_info_90",
        "sp_datatype_info_100",
    }
)
"""They do the same in every database."""
PROCEDURES: dict[str, Any] = {
    "sp_getapplock": _get_app_lock,
    "sp_releaseapplock": _release_app_lock,
    "sp_executesql": _execute_sql,
    "sp_describe_first_result_set": _describe_first_result_set,
    "sp_set_session_context": _set_session_context,
    "sp_rename": _rename,
    "sp_addextendedproperty": _extended_property("add"),
    "sp_updateextendedproperty": _extended_property("update"),
    "sp_dropextendedproperty": _extended_property("drop"),
    "sp_addrolemember": _role_member("add"),
    "sp_droprolemember": _role_member("drop"),
    "sp_addtype": _add_type,
    "sp_reset_connection": _reset_connection,
}

_NAMES = """
sp_addlogin sp_adduser sp_addmessage sp_autostats sp_bindefault sp_bindrule sp_changedbowner sp_changeobjectowner
sp_configure sp_databases sp_dbcmptlevel sp_dboption sp_defaultdb sp_depends sp_droptype sp_grantdbaccess sp_help sp_helpconstraint
sp_helpdb sp_helpfile sp_helpindex sp_helptext sp_helpuser sp_lock sp_msforeachdb sp_msforeachtable sp_procoption sp_recompile
sp_refreshview sp_sequence_get_range sp_server_info
sp_settriggerorder sp_spaceused sp_sproc_columns sp_stored_procedures sp_tableoption sp_unbindefault
sp_updatestats sp_who sp_who2 sp_xml_preparedocument sp_xml_removedocument xp_cmdshell xp_logevent xp_msver xp_sprintf xp_sscanf
"""
REFUSED = frozenset(_NAMES.split())
"""Procedures of the real server that are not here; any other unknown name gives error 2812 as there."""
