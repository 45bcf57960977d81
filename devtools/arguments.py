"""Values of command lines: what is wrong is told in one sentence, which names the option."""

from __future__ import annotations

import math
import os
from argparse import ArgumentTypeError
from pathlib import Path
from urllib.parse import urlsplit


def count(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isascii() or not text.isdigit() or int(text[:10]) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def port(text: str) -> int:
    """The number of a TCP port; 0 stands for any that is free.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:
        raise ArgumentTypeError(f"{text!r} is not a port: a number from 0 (any that is free) to 65535")
    return int(text)


def factor(text: str) -> float:
    """A number above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found > 0):
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return found


def url(text: str) -> str:
    """An address of HTTP.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise ArgumentTypeError(f"{text!r} is not an address such as http://localhost:8080/rows")
    return text


def setting(text: str) -> tuple[str, str]:
    """The name and the value of an app setting.

    Raises:
        ArgumentTypeError: it is not NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError("NAME=VALUE is wanted")  # without the text: it may be a secret
    return name, value


def file(text: str) -> Path:
    """A file that is there.

    Raises:
        ArgumentTypeError: it is not.
    """
    if not Path(text).is_file():
        raise ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def new_file(text: str) -> Path:
    """A file that can be written.

    Raises:
        ArgumentTypeError: its folder is not there, or it cannot be written.
    """
    path = Path(text)
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {path.parent}")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ArgumentTypeError(f"{path} cannot be written")
    return path


def folder(text: str) -> Path:
    """A folder, which is made if it is not there.

    Raises:
        ArgumentTypeError: it cannot be made.
    """
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentTypeError(f"{path} cannot be made ({error.strerror})") from None
    return path
