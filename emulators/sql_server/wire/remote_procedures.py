"""The procedures that drivers call for every parameterised statement: sp_executesql, sp_prepare and their kin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emulators.sql_server.procedures.catalogue import catalog_procedure
from emulators.sql_server.tds import tokens
from emulators.sql_server.tds.packets import ConnectionEnded, PacketStream
from emulators.sql_server.tds.rpc import Argument, Call, plain_name
from emulators.sql_server.values.results import Event, Parameter, SqlError, SqlType
from emulators.sql_server.values.utf16 import inner
from emulators.sql_server.wire.binding import Outputs, bind, convert, engine_type, inward
from emulators.sql_server.wire.contract import EngineSession
from emulators.sql_server.wire.declarations import parse_declarations
from emulators.sql_server.wire.result_writer import Cancelled, ResultWriter, internal_error
from emulators.sql_server.wire.undeclared_parameters import describe_undeclared_parameters

_INT = SqlType("int")
_METADATA = frozenset(
    {
        "sp_datatype_info",
        "sp_datatype_info_100",
        "sp_describe_undeclared_parameters",
        "sp_describe_first_result_set",
        "sp_prepare",
        "sp_unprepare",
        "sp_reset_connection",
    }
)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement and the declarations of its parameters, or the name of a procedure (no declarations)."""

    text: str
    declarations: str | None


def carries_statement(call: Call) -> bool:
    """Whether the call runs something for the application; drivers make the others on their own."""
    return call.procedure not in _METADATA


class RemoteProcedures:
    """The calls of one connection, and its prepared statements."""

    def __init__(self, session: EngineSession, stream: PacketStream, writer: ResultWriter) -> None:
        self._session, self._stream, self._writer = session, stream, writer
        self._prepared: dict[int, _Prepared] = {}
        self._last_handle = 0

    def reset(self) -> None:
        """Forget the prepared statements."""
        self._prepared.clear()

    def text_of(self, call: Call) -> str:
        """The statement that the call runs, or the name of its procedure."""
        arguments = call.arguments
        if call.procedure in ("sp_prepexec", "sp_prepare") and len(arguments) > 2:
            return str(arguments[2].value)
        if call.procedure == "sp_executesql" and arguments:
            return str(arguments[0].value)
        if call.procedure == "sp_execute" and arguments and arguments[0].value in self._prepared:
            return self._prepared[arguments[0].value].text
        if call.procedure == "sp_prepexecrpc" and len(arguments) > 1:
            return str(arguments[1].value)
        return call.procedure

    def run(self, call: Call) -> SqlError | None:
        """Run a call and write its tokens, all but the last DONEPROC. Returns its error, written too."""
        handlers = {
            "sp_executesql": self._execute_sql,
            "sp_prepexec": self._prepare_and_execute,
            "sp_prepexecrpc": self._prepare_and_call,
            "sp_prepare": self._prepare,
            "sp_execute": self._execute,
            "sp_unprepare": self._unprepare,
            "sp_describe_undeclared_parameters": self._describe_undeclared,
        }
        try:
            return handlers.get(call.procedure, self._other)(call)
        except (Cancelled, ConnectionEnded):
            raise
        except Exception as raised:  # by the call itself; what its statement raises is written by then
            error = raised if isinstance(raised, SqlError) else internal_error(raised)
            self._writer.error(error)
            self._stream.write(tokens.return_status(error.number))
            return error

    def _execute_sql(self, call: Call) -> SqlError | None:
        arguments = call.arguments
        if not arguments or not isinstance(arguments[0].value, str):
            raise SqlError(214, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.")
        declarations = arguments[1].value if len(arguments) > 1 else None
        return self._run_statement(_Prepared(arguments[0].value, declarations or ""), arguments[2:], ordinal=0)

    def _prepare_and_execute(self, call: Call) -> SqlError | None:
        handle, prepared = self._prepare_statement(call)
        sent_handle = (call.arguments[0].name, handle)
        return self._run_statement(prepared, call.arguments[3:], ordinal=1, handle=sent_handle)

    def _prepare_and_call(self, call: Call) -> SqlError | None:
        if len(call.arguments) < 2:
            raise SqlError(214, "Procedure expects parameter '@rpccall' of type 'ntext/nchar/nvarchar'.")
        handle = self._remember(call, _Prepared(str(call.arguments[1].value), None))
        procedure = plain_name(str(call.arguments[1].value))
        return self._call_procedure(procedure, call.arguments[2:], (call.arguments[0].name, handle))

    def _prepare(self, call: Call) -> SqlError | None:
        handle, prepared = self._prepare_statement(call)
        types = {declaration.name: declaration.type for declaration in parse_declarations(prepared.declarations or "")}
        try:
            columns = self._session.describe(prepared.text, types)
        except SqlError:
            del self._prepared[handle]
            raise
        if columns:
            self._stream.write(tokens.column_metadata(tuple(columns)) + tokens.done(tokens.DONEINPROC, tokens.DONE_MORE))
        self._write_status(0, (call.arguments[0].name, handle))
        return None

    def _execute(self, call: Call) -> SqlError | None:
        handle = call.arguments[0].value if call.arguments else None
        if handle not in self._prepared:
            raise SqlError(8179, f"Could not find prepared statement with handle {handle}.", 16, 2)
        prepared = self._prepared[handle]
        if prepared.declarations is None:
            return self._call_procedure(plain_name(prepared.text), call.arguments[1:])
        return self._run_statement(prepared, call.arguments[1:], ordinal=1)

    def _unprepare(self, call: Call) -> None:
        if call.arguments:
            self._prepared.pop(call.arguments[0].value, None)
        self._stream.write(tokens.return_status(0))

    def _prepare_statement(self, call: Call) -> tuple[int, _Prepared]:
        if len(call.arguments) < 3:
            raise SqlError(214, f"Procedure expects parameter '@stmt' of type 'ntext/nchar/nvarchar': {call.procedure}.")
        prepared = _Prepared(str(call.arguments[2].value), call.arguments[1].value or "")
        return self._remember(call, prepared), prepared

    def _remember(self, call: Call, prepared: _Prepared) -> int:
        """Take a new handle; the one that comes in names what is not wanted any more."""
        old = call.arguments[0].value
        if old is not None:
            self._prepared.pop(old, None)
        self._last_handle += 1
        self._prepared[self._last_handle] = prepared
        return self._last_handle

    def _run_statement(
        self,
        prepared: _Prepared,
        arguments: list[Argument],
        *,
        ordinal: int,
        handle: tuple[str, int] | None = None,
    ) -> SqlError | None:
        """Run a statement with parameters; ``ordinal`` is the position of its first parameter in the call."""
        parameters, outputs = bind(parse_declarations(prepared.declarations or ""), arguments, prepared.text)
        error = self._writer.write(self._session.execute(prepared.text, parameters), tokens.DONEINPROC)
        self._write_status(error.number if error else 0, handle)
        self._write_outputs(outputs, parameters, ordinal)
        return error

    def _write_status(self, status: int, handle: tuple[str, int] | None = None) -> None:
        self._stream.write(tokens.return_status(status))
        if handle is not None:
            self._write_value(0, handle[0], _INT, handle[1])

    def _write_value(self, ordinal: int, name: str, sql_type: SqlType, value: Any) -> None:
        for part in tokens.return_value(ordinal, name, sql_type, value):
            self._stream.write(part)

    def _write_outputs(self, outputs: Outputs, parameters: dict[str, Parameter], ordinal: int) -> None:
        if not outputs:
            return
        values = self._session.output_values()
        for index, sent_name, name in outputs:
            declared = parameters[name].type
            value, actual = values.get(name, (parameters[name].value, declared))
            converted = convert(value, actual, declared)
            shown = inner(converted) if isinstance(converted, str) else converted
            self._write_value(index + ordinal, sent_name or f"@{name}", declared, shown)

    def _describe_undeclared(self, call: Call) -> SqlError | None:
        values = [argument.value for argument in call.arguments]
        result = describe_undeclared_parameters(self._session, str(values[0]), values[1] if len(values) > 1 else None)
        return self._finish_call(iter([result]))

    def _other(self, call: Call) -> SqlError | None:
        if call.procedure.startswith(("sp_cursor", "procedure number")):
            raise SqlError(50000, f"{call.procedure} is not supported by the emulator: server cursors do not exist here")
        return self._call_procedure(call.procedure, call.arguments)

    def _call_procedure(self, procedure: str, sent: list[Argument], handle: tuple[str, int] | None = None) -> SqlError | None:
        sent = [argument for argument in sent if not argument.default]
        arguments = [
            (argument.name.lstrip("@").lower(), Parameter(inward(argument.value), engine_type(argument.type), argument.output))
            for argument in sent
        ]
        events: Iterator[Event | SqlError] | None = catalog_procedure(self._session, procedure, arguments)
        if events is not None:
            return self._finish_call(events, handle)
        error = self._writer.write(self._session.call(procedure, arguments), tokens.DONEINPROC)
        self._write_status(error.number if error else self._session.return_value, handle)
        if error is None:
            named = {name or f"{index}": parameter for index, (name, parameter) in enumerate(arguments)}
            outputs = [
                (index, sent[index].name, name or f"{index}")
                for index, (name, parameter) in enumerate(arguments)
                if parameter.output
            ]
            self._write_outputs(outputs, named, 0)
        return error

    def _finish_call(self, events: Iterator[Event | SqlError], handle: tuple[str, int] | None = None) -> SqlError | None:
        error = self._writer.write(events, tokens.DONEINPROC)
        self._write_status(error.number if error else 0, handle)
        return error
