"""PRELOGIN and LOGIN7."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from emulators.sql_server.tds.reader import ProtocolError
from emulators.sql_server.tds.tokens import SERVER_VERSION, TDS_7_2, TDS_8_0

ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_NOT_SUPPORTED, ENCRYPT_REQUIRED = 0, 1, 2, 3
FEATURE_FEDERATED_AUTHENTICATION, FEATURE_UTF8 = 0x02, 0x0A
_OPTION_VERSION, _OPTION_ENCRYPTION, _OPTION_INSTANCE, _OPTION_THREAD, _OPTION_MARS, _END = 0, 1, 2, 3, 4, 0xFF
_FIRST_VARIABLE = 36
_FIELDS = ("host", "user", "password", "application", "server", "extension", "library", "language", "database")
_SSPI_LENGTH_AT = 80
_ATTACHED_FILE_LENGTH_AT, _NEW_PASSWORD_LENGTH_AT = 84, 88
_LANGUAGES = ("", "us_english", "english")
_HAS_EXTENSION = 0x10
_INTEGRATED_SECURITY = 0x80
_PASSWORD_MASK = 0xA5


@dataclass(frozen=True, slots=True)
class Login:
    """What LOGIN7 says. ``packet_size`` 0 leaves the choice to the server; ``unsupported`` names what it asks for in vain."""

    host: str
    user: str
    password: str
    application: str
    database: str
    packet_size: int
    integrated: bool
    features: dict[int, bytes]
    tds_version: int
    unsupported: tuple[str, ...] = ()


def read_prelogin(body: bytes) -> int:
    """The encryption that the client asks for.

    Raises:
        ProtocolError: not a PRELOGIN.
    """
    position = 0
    try:
        while (option := body[position]) != _END:
            offset, size = struct.unpack_from(">HH", body, position + 1)
            if option == _OPTION_ENCRYPTION:
                return body[offset : offset + size][0] & 0x03
            position += 5
    except (IndexError, struct.error) as error:
        raise ProtocolError("malformed PRELOGIN") from error
    return ENCRYPT_NOT_SUPPORTED


def write_prelogin(encryption: int) -> bytes:
    """The server's PRELOGIN."""
    major, minor, build = SERVER_VERSION
    options = [
        (_OPTION_VERSION, struct.pack(">BBHH", major, minor, build, 0)),
        (_OPTION_ENCRYPTION, bytes([encryption])),
        (_OPTION_INSTANCE, b"\x00"),
        (_OPTION_THREAD, b""),
        (_OPTION_MARS, b"\x00"),
    ]
    head, body = b"", b""
    start = 5 * len(options) + 1
    for option, data in options:
        head += struct.pack(">BHH", option, start + len(body), len(data))
        body += data
    return head + bytes([_END]) + body


def choose_encryption(asked: int, has_certificate: bool) -> int:
    """The server's answer to what the client asks for.

    A client that only wants its password hidden (Encrypt=no) is told that the server cannot: on the loopback a
    handshake per connection buys nothing.
    """
    if asked in (ENCRYPT_ON, ENCRYPT_REQUIRED) and has_certificate:
        return ENCRYPT_ON
    return ENCRYPT_NOT_SUPPORTED


def read_login(body: bytes) -> Login:
    """LOGIN7.

    Raises:
        ProtocolError: not a LOGIN7.
    """
    try:
        tds_version, packet_size = struct.unpack_from("<II", body, 4)
        option_flags_2, option_flags_3 = body[25], body[27]
        fields: dict[str, bytes] = {}
        features: dict[int, bytes] = {}
        for index, name in enumerate(_FIELDS):
            offset, length = struct.unpack_from("<HH", body, _FIRST_VARIABLE + 4 * index)
            if name == "extension":
                if option_flags_3 & _HAS_EXTENSION and length:
                    features = _read_features(body, struct.unpack_from("<I", body, offset)[0])
                continue
            fields[name] = body[offset : offset + 2 * length]
        sspi_length = struct.unpack_from("<H", body, _SSPI_LENGTH_AT)[0]
        fields["password"] = bytes(_unscramble(byte) for byte in fields["password"])
        text = {name: value.decode("utf-16-le") for name, value in fields.items()}
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ProtocolError("malformed LOGIN7") from error
    return Login(
        host=text["host"],
        user=text["user"],
        password=text["password"],
        application=text["application"],
        database=text["database"],
        packet_size=packet_size,
        integrated=bool(option_flags_2 & _INTEGRATED_SECURITY or sspi_length),
        features=features,
        tds_version=tds_version,
        unsupported=_unsupported(body, text["language"]) if tds_version >= TDS_7_2 or tds_version == TDS_8_0 else (),
    )


def _unsupported(body: bytes, language: str) -> tuple[str, ...]:
    asked = {
        f"language {language}": language.lower() not in _LANGUAGES,
        "AttachDBFileName": any(body[_ATTACHED_FILE_LENGTH_AT : _ATTACHED_FILE_LENGTH_AT + 2]),
        "a change of the password at login": any(body[_NEW_PASSWORD_LENGTH_AT : _NEW_PASSWORD_LENGTH_AT + 2]),
    }
    return tuple(name for name, wanted in asked.items() if wanted)


def _unscramble(byte: int) -> int:
    byte ^= _PASSWORD_MASK
    return (byte & 0x0F) << 4 | byte >> 4


def _read_features(body: bytes, position: int) -> dict[int, bytes]:
    features = {}
    while (feature := body[position]) != _END:
        size = struct.unpack_from("<I", body, position + 1)[0]
        features[feature] = body[position + 5 : position + 5 + size]
        position += 5 + size
    return features
