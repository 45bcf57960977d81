"""One connection: login, then requests until it ends."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from functools import partial

from emulators.sql_server.tds import login, packets, tokens
from emulators.sql_server.tds.packets import ConnectionEnded, PacketStream
from emulators.sql_server.tds.reader import ByteReader, ProtocolError
from emulators.sql_server.tds.rpc import read_calls
from emulators.sql_server.tds.types import COLLATION
from emulators.sql_server.values.results import SqlError
from emulators.sql_server.wire.contract import EngineSession
from emulators.sql_server.wire.faults import FATAL_SEVERITY, Fault
from emulators.sql_server.wire.remote_procedures import RemoteProcedures, carries_statement
from emulators.sql_server.wire.result_writer import Cancelled, ResultWriter, internal_error
from emulators.sql_server.wire.shared import Shared
from emulators.sql_server.wire.statistics import Statement

_LOGIN_SECONDS = 30.0
_TLS_FIRST_BYTE = 0x16
_MAX_PACKET, _MAX_ENCRYPTED_PACKET = 32_767, 16_383
_BEGIN, _COMMIT, _ROLLBACK, _SAVE = 5, 7, 8, 9
_TRANSACTION_TEXT = {
    _BEGIN: "BEGIN TRANSACTION",
    _COMMIT: "COMMIT TRANSACTION",
    _ROLLBACK: "ROLLBACK TRANSACTION",
    _SAVE: "SAVE TRANSACTION",
}
_ENDS_OF_TRANSACTIONS = frozenset({_TRANSACTION_TEXT[_COMMIT], _TRANSACTION_TEXT[_ROLLBACK]})
_BEGIN_AGAIN = 0x01
_ISOLATION_LEVELS = {1: "READ UNCOMMITTED", 2: "READ COMMITTED", 3: "REPEATABLE READ", 4: "SERIALIZABLE", 5: "SNAPSHOT"}


class Connection:
    """Serves one client in the thread that calls :meth:`run`."""

    def __init__(self, shared: Shared, connection: socket.socket) -> None:
        self._shared = shared
        self._stream = PacketStream(connection)
        self._cancelled = threading.Event()
        self._writer = ResultWriter(self._stream, self._cancelled)
        self._lock = threading.Lock()
        self._running_since: float | None = None
        self._closing = False
        self._logged_in = False
        self._application = ""
        self._user = ""
        self._database = ""
        self._transaction = 0  # descriptor of the open transaction, as the client knows it
        self._transactions = 0
        self._statement = ""  # that runs, or ran last

    # -- for the server's other threads

    def watch(self, patience_seconds: float, readable: Callable[[socket.socket], bool]) -> None:
        """Cancel the running request if the client has sent anything: that can only be an attention or its end."""
        since = self._running_since
        if since is None or time.monotonic() - since < patience_seconds:
            return
        if readable(self._stream.socket):
            with self._lock:
                # If the request has ended meanwhile, what was sent is the next one.
                if self._running_since == since and not self._cancelled.is_set():
                    self._cancelled.set()
                    self._session.cancel()

    def close(self) -> None:
        """End the connection; a running request is cancelled."""
        with self._lock:
            if self._running_since is not None:
                self._cancelled.set()
                self._session.cancel()
        self._stream.abort()

    # -- life

    def run(self) -> None:
        """Serve the client until either side ends the connection."""
        try:
            if self._log_in():
                while not self._closing:
                    self._serve_one()
        except (ConnectionEnded, ProtocolError):
            pass
        except Exception as error:
            internal_error(error)
        finally:
            self._stream.abort()
            if self._logged_in:
                self._shared.statistics.disconnected(self._application)
                self._session.close()

    def _log_in(self) -> bool:
        self._stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream.socket.settimeout(_LOGIN_SECONDS)
        contexts = self._shared.tls
        strict = contexts is not None and self._stream.peek() == _TLS_FIRST_BYTE
        if strict and contexts is not None:
            self._stream.start_tls(contexts[1], in_packets=False)
        kind, _, body = self._stream.read_message()
        if kind != packets.PRELOGIN:
            raise ProtocolError(f"packet type {kind} where PRELOGIN was expected")
        encryption = login.choose_encryption(login.read_prelogin(body), contexts is not None)
        self._stream.write(login.write_prelogin(encryption))
        self._stream.flush()
        if encryption == login.ENCRYPT_ON and contexts is not None and not strict:
            self._stream.start_tls(contexts[0], in_packets=True)
        kind, _, body = self._stream.read_message()
        if kind != packets.LOGIN7:
            raise ProtocolError(f"packet type {kind} where LOGIN7 was expected")
        request = login.read_login(body)
        self._application, self._user = request.application, request.user
        errors = self._admit(request, strict)
        if errors:
            for error in errors:
                self._writer.error(error)
            self._stream.write(tokens.done(tokens.DONE, tokens.DONE_ERROR))
            self._stream.flush()
            return False
        self._session.around_commit = self._commit
        self._session.on_end = self.close
        self._session.encrypted = strict or encryption == login.ENCRYPT_ON
        self._stream.spid = self._session.spid
        self._procedures = RemoteProcedures(self._session, self._stream, self._writer)
        self._shared.statistics.connected(self._application)  # before the client can know
        self._logged_in = True
        self._acknowledge(request)
        self._stream.socket.settimeout(None)
        return True

    def _admit(self, request: login.Login, strict: bool) -> list[SqlError]:
        """Open the session, or say why not."""
        fault = self._shared.faults.strike(None, request.application)
        if fault is not None:
            return [fault.error(0, request.user, request.database or self._shared.database_name, tokens.SERVER_NAME)]
        if request.tds_version < tokens.TDS_7_2 and not (strict and request.tds_version == tokens.TDS_8_0):
            return [SqlError(18456, "TDS versions before 7.2 are not supported by the emulator.", 14)]
        if request.integrated:
            text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."
            return [SqlError(18452, text, 14)]
        if login.FEATURE_FEDERATED_AUTHENTICATION in request.features:
            return [SqlError(18456, "Microsoft Entra authentication is not supported by the emulator.", 14)]
        if request.unsupported:
            return [SqlError(18456, f"Not supported by the emulator at login: {', '.join(request.unsupported)}.", 14)]
        refused = SqlError(18456, f"Login failed for user '{request.user}'.", 14)
        if not self._shared.database.authenticate(request.user, request.password):
            return [refused]
        try:
            self._session = self._open_session(request)
        except SqlError as error:
            return [error, refused]
        except Exception as error:
            return [internal_error(error)]
        return []

    def _open_session(self, request: login.Login) -> EngineSession:
        return self._shared.database.open_session(request.user, request.application, request.host, request.database or None)

    def _acknowledge(self, request: login.Login) -> None:
        self._database = self._session.database
        largest = _MAX_ENCRYPTED_PACKET if self._session.encrypted else _MAX_PACKET
        size = min(max(request.packet_size or 4096, 512), largest)
        write = self._stream.write
        write(tokens.environment_text(tokens.ENV_DATABASE, self._database, "master"))
        write(tokens.message(tokens.INFO, 5701, f"Changed database context to '{self._database}'.", 0, 2))
        write(tokens.environment_bytes(tokens.ENV_COLLATION, COLLATION))
        write(tokens.environment_text(tokens.ENV_LANGUAGE, "us_english"))
        write(tokens.message(tokens.INFO, 5703, "Changed language setting to us_english.", 0, 1))
        write(tokens.login_acknowledgement(request.tds_version))
        write(tokens.environment_text(tokens.ENV_PACKET_SIZE, str(size), "4096"))
        if login.FEATURE_UTF8 in request.features:
            write(tokens.feature_acknowledgement([(login.FEATURE_UTF8, b"\x01")]))
        write(tokens.done(tokens.DONE))
        self._stream.flush()
        self._stream.packet_size = size

    # -- requests

    def _serve_one(self) -> None:
        kind, status, body = self._stream.read_message()
        if kind == packets.ATTENTION:  # it came after its request was answered
            self._stream.write(tokens.done(tokens.DONE, tokens.DONE_ATTENTION))
            self._stream.flush()
            return
        try:
            if status & (packets.STATUS_RESET | packets.STATUS_RESET_KEEP_TRANSACTION):
                self._reset(keep_transaction=bool(status & packets.STATUS_RESET_KEEP_TRANSACTION))
            reader = ByteReader(body)
            if kind == packets.BATCH:
                reader.skip_headers()
                self._batch(body[reader.position :].decode("utf-16-le", "surrogatepass"))
            elif kind == packets.RPC:
                reader.skip_headers()
                self._rpc(reader)
            elif kind == packets.TRANSACTION_MANAGER:
                reader.skip_headers()
                self._transaction_request(reader)
            elif kind == packets.BULK_LOAD:
                raise SqlError(4002, "Bulk load is not supported by the emulator.")
            else:
                raise ProtocolError(f"packet type {kind}")
        except Cancelled:
            self._answer_attention()
        except SqlError as error:
            self._writer.error(error)
            self._stream.write(tokens.done(tokens.DONE, tokens.DONE_ERROR))
        self._stream.flush()

    def _answer_attention(self) -> None:
        kind, _, _ = self._stream.read_message()
        if kind != packets.ATTENTION:
            raise ProtocolError(f"packet type {kind} while a request was running")
        self._announce_changes()
        self._stream.write(tokens.done(tokens.DONE, tokens.DONE_ERROR))
        self._stream.flush()  # the acknowledgement is a message of its own; some clients wait for it as such
        self._stream.write(tokens.done(tokens.DONE, tokens.DONE_ATTENTION))

    def _reset(self, keep_transaction: bool) -> None:
        self._session.reset(keep_transaction)
        self._procedures.reset()
        if not self._session.in_transaction:
            self._transaction = 0
        self._stream.write(tokens.environment_bytes(tokens.ENV_RESET, b""))

    def _perform(self, kind: str, text: str, work: Callable[[], SqlError | None], *, counted: bool = True) -> SqlError | None:
        """Run one statement under the eyes of faults, statistics and the watcher of attentions."""
        fault = self._shared.faults.strike(text, self._application) if counted else None
        self._statement = text
        record = Statement(self._shared.clock.now(), kind, text)
        if counted:
            self._shared.statistics.statement(self._application, record)
        started = time.monotonic()
        self._cancelled.clear()
        self._running_since = started
        error: SqlError | None = None
        try:
            if self._stream.has_input():  # the attention came right behind the request
                self._cancelled.set()
                raise Cancelled

            def run() -> SqlError | None:
                ended = work()
                record.executed = True
                return ended

            error = run() if fault is None else self._struck(fault, run, text in _ENDS_OF_TRANSACTIONS)
            if self._cancelled.is_set():
                raise Cancelled
            return error
        except (SqlError, Cancelled, ConnectionEnded, ProtocolError):
            raise
        except Exception as raised:
            raise internal_error(raised) from raised
        finally:
            with self._lock:
                self._running_since = None
            record.milliseconds = round((time.monotonic() - started) * 1000, 3)
            record.error = error.number if error is not None else None
            if error is not None and error.severity >= FATAL_SEVERITY:
                self._closing = True

    def _struck(self, fault: Fault, work: Callable[[], SqlError | None], ends_transaction: bool) -> SqlError | None:
        if fault.action == "drop_before":
            raise ConnectionEnded("fault")
        if fault.action == "drop_after":
            self._stream.mute()
            work()
            raise ConnectionEnded("fault")
        if fault.action == "delay":
            if self._cancelled.wait(fault.seconds) and not ends_transaction:
                raise Cancelled
            return work()  # COMMIT and ROLLBACK cannot be given up: an attention only ends the wait
        error = fault.error(self._session.spid, self._user, self._database, tokens.SERVER_NAME)
        if fault.rolls_back and self._session.in_transaction:
            self._session.rollback()
        self._writer.error(error)
        self._closing = fault.closes
        return error

    def _commit(self, commit: Callable[[], None]) -> None:
        """Every commit of the session goes through here, so that the connection can break while it is under way."""
        fault = self._shared.faults.strike(self._statement, self._application, commit=True)
        if fault is None:
            commit()
            return
        self._stream.mute()
        if fault.outcome == "committed":
            commit()
        raise ConnectionEnded("fault")  # what is not committed is rolled back when the session closes

    def _announce_changes(self) -> None:
        """Tell the client if the request has begun or ended a transaction or changed the database."""
        open_now = self._session.in_transaction
        if open_now and not self._transaction:
            self._transactions += 1
            self._transaction = self._session.spid << 32 | self._transactions
            self._stream.write(tokens.environment_bytes(tokens.ENV_BEGIN, struct.pack("<Q", self._transaction)))
        elif not open_now and self._transaction:
            rolled_back = self._session.last_transaction_end == "rollback"
            kind = tokens.ENV_ROLLBACK if rolled_back else tokens.ENV_COMMIT
            self._stream.write(tokens.environment_bytes(kind, b"", struct.pack("<Q", self._transaction)))
            self._transaction = 0
        if self._session.database != self._database:
            self._stream.write(tokens.environment_text(tokens.ENV_DATABASE, self._session.database, self._database))
            self._database = self._session.database

    def _batch(self, sql: str) -> None:
        self._shared.statistics.batch(self._application)
        error = self._perform("batch", sql, lambda: self._writer.write(self._session.execute(sql, {}), tokens.DONE))
        self._announce_changes()
        self._writer.finish(tokens.DONE, tokens.DONE_ERROR if error else 0)

    def _rpc(self, reader: ByteReader) -> None:
        calls = list(read_calls(reader))
        self._shared.statistics.rpc(self._application, len(calls), any(carries_statement(call) for call in calls))
        for call in calls:
            text = self._procedures.text_of(call)
            work = partial(self._procedures.run, call)
            error = self._perform(call.procedure, text, work, counted=carries_statement(call))
            self._announce_changes()
            status = (tokens.DONE_ERROR if error else 0) | (0 if call.last or self._closing else tokens.DONE_MORE)
            self._stream.write(tokens.done(tokens.DONEPROC, status, 0xE0))
            if self._closing:
                return

    # -- transaction-manager requests

    def _transaction_request(self, reader: ByteReader) -> None:
        request = reader.u16()
        if request not in _TRANSACTION_TEXT:
            raise SqlError(
                50000,
                f"transaction-manager request {request} is not supported by the emulator: distributed transactions",
            )
        self._shared.statistics.transaction(self._application)

        def work() -> SqlError | None:
            try:
                self._manage_transaction(request, reader)
            except SqlError as error:
                self._writer.error(error)
                return error
            return None

        error = self._perform("transaction", _TRANSACTION_TEXT[request], work)
        self._announce_changes()
        self._stream.write(tokens.done(tokens.DONE, tokens.DONE_ERROR if error else 0))

    def _manage_transaction(self, request: int, reader: ByteReader) -> None:
        if request == _BEGIN:
            self._begin(reader)
        elif request == _SAVE:
            self._session.save(reader.b_varbyte_text())
        else:
            name = reader.b_varbyte_text()
            if request == _COMMIT:
                self._session.commit()
            else:
                self._session.rollback(name or None)
            self._announce_changes()
            if reader.more and reader.u8() & _BEGIN_AGAIN:
                self._begin(reader)

    def _begin(self, reader: ByteReader) -> None:
        level = reader.u8()
        if level:
            if level not in _ISOLATION_LEVELS:
                raise SqlError(50000, f"isolation level {level} is not supported by the emulator")
            for _ in self._session.execute(f"SET TRANSACTION ISOLATION LEVEL {_ISOLATION_LEVELS[level]}", {}):
                pass
        self._session.begin()
