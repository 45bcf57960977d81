"""Packets: messages in, replies out, over a socket that may carry TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct

from emulators.sql_server.tds.chunks import Chunked, cut
from emulators.sql_server.tds.reader import ProtocolError

BATCH, RPC, REPLY, ATTENTION, BULK_LOAD, TRANSACTION_MANAGER, LOGIN7, SSPI, PRELOGIN = 1, 3, 4, 6, 7, 14, 16, 17, 18
STATUS_END, STATUS_IGNORE, STATUS_RESET, STATUS_RESET_KEEP_TRANSACTION = 0x01, 0x02, 0x08, 0x10

_HEADER = struct.Struct(">BBHHBB")
_HEADER_SIZE = 8
_READ_SIZE = 65_536
_FLUSH_AT = 256 * 1024  # bytes of a reply that are kept before they are sent
_MAX_MESSAGE = 512 * 1024 * 1024


class ConnectionEnded(Exception):
    """The peer closed the connection, or it has to be closed."""


class PacketStream:
    """The packets of one connection.

    One thread reads and writes; :meth:`has_input` and :meth:`abort` may be called from any other.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.packet_size = 4096
        self.spid = 0
        self._input = bytearray()
        self._position = 0
        self._output = bytearray()
        self._packet_number = 0
        self._muted = False
        self._tls: ssl.SSLObject | None = None
        self._tls_in, self._tls_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._encrypted = False

    # -- bytes

    def _receive_raw(self) -> bytes:
        try:
            data = self.socket.recv(_READ_SIZE)
        except OSError as error:
            raise ConnectionEnded(str(error)) from error
        if not data:
            raise ConnectionEnded("closed by the client")
        return data

    def _receive(self) -> bytes:
        if not self._encrypted or self._tls is None:
            return self._receive_raw()
        while True:
            try:
                data = self._tls.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                self._tls_in.write(self._receive_raw())
            except ssl.SSLError as error:
                raise ConnectionEnded(str(error)) from error
            else:
                if not data:
                    raise ConnectionEnded("closed by the client")
                return data

    def _send_raw(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise ConnectionEnded(str(error)) from error

    def _send(self, packets: list[bytes]) -> None:
        if self._encrypted and self._tls is not None:
            for packet in packets:  # each in a record of its own: SqlClient reads no more than one packet at a time
                self._tls.write(packet)
            self._send_raw(self._tls_out.read())
        else:
            self._send_raw(b"".join(packets))

    def _need(self, count: int) -> None:
        if len(self._input) - self._position >= count:
            return
        del self._input[: self._position]
        self._position = 0
        while len(self._input) < count:
            self._input += self._receive()

    # -- messages

    def read_message(self) -> tuple[int, int, bytes]:
        """The next message: its packet type, the status of its first packet and its body.

        Raises:
            ConnectionEnded: the client has closed the connection.
            ProtocolError: what came is not TDS.
        """
        parts: list[bytes] = []
        first_status: int | None = None
        total = 0
        while True:
            self._need(_HEADER_SIZE)
            kind, status, size, *_ = _HEADER.unpack_from(self._input, self._position)
            if size < _HEADER_SIZE:
                raise ProtocolError(f"packet of {size} bytes")
            self._need(size)
            start = self._position + _HEADER_SIZE
            end = self._position + size
            self._position = end
            if kind == ATTENTION:
                return kind, 0, b""
            if first_status is None:
                first_status = status
            parts.append(bytes(self._input[start:end]))
            total += size
            if total > _MAX_MESSAGE:
                raise ProtocolError(f"request of more than {_MAX_MESSAGE} bytes")
            if status & STATUS_END:
                if status & STATUS_IGNORE:  # the client gave this request up while it was sending it
                    parts, first_status, total = [], None, 0
                    continue
                return kind, first_status, b"".join(parts)

    def has_input(self) -> bool:
        """Whether the client has sent something that was not read yet."""
        if len(self._input) > self._position or self._tls_in.pending:
            return True
        return self._tls is not None and self._encrypted and self._tls.pending() > 0

    def write(self, data: bytes) -> None:
        """Append to the reply; a long reply is sent as it grows."""
        if self._muted:
            return
        if isinstance(data, Chunked):  # what is kept begins where a packet begins
            room = self.packet_size - _HEADER_SIZE
            data = cut(data, len(self._output) % room, room)
        self._output += data
        if len(self._output) >= _FLUSH_AT:
            self._send_packets(final=False)

    def flush(self, kind: int = REPLY) -> None:
        """End the reply and send it."""
        self._send_packets(final=True, kind=kind)
        self._packet_number = 0

    def push(self) -> None:
        """Send what there is of the reply, though its end is still to come."""
        self._send_packets(final=False, partial=True)

    def mute(self) -> None:
        """Send nothing any more: the reply that is being written will never arrive."""
        self._muted = True

    def _send_packets(self, final: bool, kind: int = REPLY, partial: bool = False) -> None:
        room = self.packet_size - _HEADER_SIZE
        output = self._output
        packets: list[bytes] = []
        position = 0
        while True:
            left = len(output) - position
            if not final and (left == 0 or (left <= room and not partial)):  # the last packet carries the end mark
                break
            last = final and left <= room
            piece = output[position : position + room]
            position += len(piece)
            self._packet_number = (self._packet_number + 1) & 0xFF
            status = STATUS_END if last else 0
            head = _HEADER.pack(kind, status, len(piece) + _HEADER_SIZE, self.spid & 0xFFFF, self._packet_number, 0)
            packets.append(head + piece)
            if last:
                break
        self._output = output[position:]
        self._send(packets)

    # -- TLS

    def peek(self) -> int:
        """The first byte of the connection, which stays unread."""
        try:
            data = self.socket.recv(1, socket.MSG_PEEK)
        except OSError as error:
            raise ConnectionEnded(str(error)) from error
        if not data:
            raise ConnectionEnded("closed by the client")
        return data[0]

    def start_tls(self, context: ssl.SSLContext, *, in_packets: bool) -> None:
        """Shake hands; the connection is encrypted afterwards.

        Args:
            in_packets: the handshake travels inside PRELOGIN packets, as TDS 7 wants it; TDS 8 (strict) does without.

        Raises:
            ConnectionEnded: the client refused, for instance because it does not trust the certificate.
        """
        self._tls = context.wrap_bio(self._tls_in, self._tls_out, server_side=True)
        while True:
            try:
                self._tls.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                finished = False
            except ssl.SSLError as error:
                raise ConnectionEnded(f"TLS: {error}") from error
            if answer := self._tls_out.read():
                if in_packets:
                    self.write(answer)
                    self.flush(PRELOGIN)
                else:
                    self._send_raw(answer)
            if finished:
                break
            if in_packets:
                self._tls_in.write(self.read_message()[2])
            else:
                self._tls_in.write(self._receive_raw())
        self._encrypted = True
        rest = bytes(self._input[self._position :])
        self._input.clear()
        self._position = 0
        if rest:
            self._tls_in.write(rest)

    def abort(self) -> None:
        """Close the connection under the feet of whoever uses it."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
