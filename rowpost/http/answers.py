"""Reading an answer: on to the final one, strictly, and never more than so much.

The verdict depends on the status line alone, so that line must be there whole. Everything else decides whether the connection can
be used again. It can if it is certain where the answer ends (RFC 9112, section 6.3), and nothing comes after it.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from http.client import BadStatusLine, HTTPException, HTTPMessage, HTTPResponse, IncompleteRead, RemoteDisconnected
from ssl import SSLWantReadError

from rowpost.http.exchange import Body, present

HEAD_BYTES = 1 << 20  # of one head: status line and fields
INTERIM_BYTES = 1 << 23  # of all answers before the final one
BODY_BYTES = 1 << 17  # of a body, unless the exchange allows more
_SKIPPING_READS = 16  # a body that comes in more pieces than this only costs the connection

_STATUS_LINE = re.compile(rb"HTTP/(0\.9|1\.[0-9])[ \t]+([1-9][0-9][0-9])(?:[ \t][^\r\n]*)?\r?\n")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSOUND = re.compile("[\r\n\0]")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_TRAILERS = re.compile(rb"(?:[^\r\n]+\r\n)*\r\n")
_SWITCHING_PROTOCOLS, _NO_CONTENT, _RESET_CONTENT, _NOT_MODIFIED = 101, 204, 205, 304


class WholeAnswer(HTTPResponse):
    """An answer that was read as far as it ever will be when :meth:`begin` returns.

    Attributes:
        fields: its header, in order.
        content: its body, if that was wanted.
        whole: whether that is all of it.
    """

    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fields: list[tuple[str, str]] = []
        self.content, self.whole = b"", True
        self._connection = sock
        self._left = 0

    def begin(self) -> None:
        """Read it, and tell by ``will_close`` whether the connection is of no more use.

        Raises:
            HTTPException: it is no answer, or has no end; or its body was wanted and is not whole.
            OSError: the connection broke, or time is up.
        """
        version, status, clean = self._final_head()
        self.status = self.code = status
        self.version, self.reason = 11 if version == b"1.1" else 10, ""
        self.headers = self.msg = HTTPMessage()
        self.chunked, self.chunk_left, self.length = False, None, 0
        self.will_close = True
        sound = clean and self.version == 11 and status != _SWITCHING_PROTOCOLS and "close" not in self._all("connection")
        wanted, end, limit = present().body, self._end(), present().body_bytes or BODY_BYTES
        if wanted is Body.WANTED:
            content, whole = self._body(end, limit, limit)
            if content is None:
                raise IncompleteRead(b"")
            self.content, self.will_close = content, not (whole and sound)
        elif wanted is Body.OFFERED and status in (_NO_CONTENT, _RESET_CONTENT):  # there is none
            self.will_close = not (sound and end == 0 and self._nothing_follows())
        elif wanted is Body.OFFERED:
            content = None
            with suppress(OSError, HTTPException):
                content, whole = self._body(end, limit, limit)
                self.will_close = not (whole and sound)
            self.content, self.whole = content or b"", content is not None
        elif wanted is Body.SKIPPED and sound and not (end is None or isinstance(end, int) and end > BODY_BYTES):
            with suppress(OSError, HTTPException):  # the verdict is in, whatever the body does
                self.will_close = not self._body(end, _SKIPPING_READS, BODY_BYTES)[1]
        self.close()

    # --- the head ---

    def _final_head(self) -> tuple[bytes, int, bool]:
        """Version and status of the final answer (RFC 9110, section 15.2), and whether its head is beyond doubt."""
        interim, clean = 0, True
        while True:
            self._left = HEAD_BYTES
            version, status = self._status_line()
            clean = self._read_fields() and clean
            if not 100 <= status < 200 or status == _SWITCHING_PROTOCOLS:
                return version, status, clean
            interim += HEAD_BYTES - self._left
            if interim > INTERIM_BYTES:
                raise HTTPException("interim answers without end")

    def _status_line(self) -> tuple[bytes, int]:
        line = self._line()
        if not line:
            raise RemoteDisconnected("")
        found = _STATUS_LINE.fullmatch(line)
        if found is None:
            raise BadStatusLine("")  # without the line: it is the target's text
        return found[1], int(found[2])

    def _read_fields(self) -> bool:
        """Read a header; tell whether each of its lines is one, and the empty line came."""
        self.fields, clean = [], True
        while True:
            line = self._line()
            if not line and present().expired:  # the end of the connection is our doing
                raise TimeoutError
            clean = clean and line.endswith(b"\r\n")
            if line in (b"\r\n", b"\n", b""):
                return clean
            name, _, value = line.partition(b":")
            text = value.strip(b" \t\r\n").decode("latin-1")
            if _TOKEN.fullmatch(name) and len(name) < len(line) and not _UNSOUND.search(text):
                self.fields.append((name.decode("ascii"), text))
            else:
                clean = False

    def _line(self) -> bytes:
        line = self.fp.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise HTTPException("a head without end")
        return line

    def _all(self, name: str) -> list[str]:
        """The members of all fields of a name, in lower case."""
        values = [value for found, value in self.fields if found.lower() == name]
        return [member.strip().lower() for value in values for member in value.split(",")]

    # --- the body ---

    def _end(self) -> int | str | None:
        """Where it ends: after so many bytes, with its chunks ("chunked"), or with the connection (None), as when in doubt."""
        codings, lengths = self._all("transfer-encoding"), self._all("content-length")
        if self.status == _NOT_MODIFIED and not codings:
            return 0
        if self.status == _NO_CONTENT:
            return 0 if not codings and lengths in ([], ["0"]) else None
        if codings == ["chunked"] and not lengths:
            return "chunked"
        if not codings and len(lengths) == 1 and _LENGTH.fullmatch(lengths[0]):
            return int(lengths[0])
        return None

    def _body(self, end: int | str | None, reads: int, limit: int) -> tuple[bytes | None, bool]:
        """The body, or None if it is not whole after so many reads, or longer; and whether it has an end that nothing follows."""
        data, chunks = bytearray(), _Chunks()
        for _ in range(reads):
            if isinstance(end, int) and len(data) >= end:
                return bytes(data[:end]), len(data) == end and self._nothing_follows()
            if chunks.ended:
                return bytes(chunks.content), not chunks.rest and self._nothing_follows()
            part = self.fp.read1(BODY_BYTES + 1)
            if not part:
                return None if end is not None or present().expired else bytes(data), False
            data += part
            if len(data) > limit:
                break
            if end == "chunked":
                chunks.feed(part)
        return None, False

    def _nothing_follows(self) -> bool:
        self._connection.settimeout(0)
        try:
            return not self.fp.peek(1)
        except OSError as error:
            return has_nothing(error)


def has_nothing(error: OSError) -> bool:
    """Whether a connection that was read without waiting says by this that nothing has come."""
    return isinstance(error, (BlockingIOError, SSLWantReadError))


class _Chunks:
    """The content of chunks (RFC 9112, section 7.1), and what has come behind it."""

    def __init__(self) -> None:
        self.content, self.rest, self.ended = bytearray(), bytearray(), False

    def feed(self, part: bytes) -> None:
        """More of them.

        Raises:
            HTTPException: these are no chunks.
        """
        self.rest += part
        while not self.ended and b"\r\n" in self.rest:
            head = _CHUNK.match(self.rest)
            if head is None:
                raise HTTPException("no chunks")
            size, start = int(head[1], 16), head.end()
            if size == 0:
                trailers = _TRAILERS.match(self.rest, start)
                if trailers is None:
                    return
                self._drop(trailers.end())
                self.ended = True
            elif len(self.rest) < start + size + 2:
                return
            elif self.rest[start + size : start + size + 2] != b"\r\n":
                raise HTTPException("no chunks")
            else:
                self.content += self.rest[start : start + size]
                self._drop(start + size + 2)

    def _drop(self, count: int) -> None:
        del self.rest[:count]  # in place: there may be many small ones
