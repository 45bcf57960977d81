"""A wrong value on a command line is told in one sentence that names the option, and nothing is started."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.arguments import count, factor, file, folder, new_file, port, setting, url
from devtools.stack import ROOT

WRONG = [
    ("sim", "--seeds", "0"),
    ("sim", "--seeds", "-3"),
    ("sim", "--jobs", "0"),
    ("sim", "--minutes", "-1"),
    ("sim", "--report", "/dev/null/x.json"),
    ("sim", "--directory", "/dev/null/x"),
    ("chaos", "--kills", "0"),
    ("chaos", "--directory", "/dev/null/x"),
    ("demo", "--json", "/dev/null/x.json"),
    ("demo", "--keep", "/dev/null/x"),
    ("bench", "--rows", "0"),
    ("bench", "--batches", "0"),
    ("bench", "--outage", "0"),
    ("bench", "--hours", "0"),
    ("sql", "--sql-port", "70000"),
    ("sql", "--connection", "Server=localhost,abc"),
    ("sql", "missing.sql", ""),
]


@pytest.mark.parametrize(("command", "option", "value"), WRONG)
def test_a_wrong_value_names_its_option(command: str, option: str, value: str) -> None:
    asked = [sys.executable, "-m", f"devtools.{command}", option, *([value] if value else [])]
    result = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert option in last or "Server" in last


@given(st.text(max_size=12))
def test_every_text_is_a_value_or_refused(text: str) -> None:
    for read in (count, port, factor, url, setting):
        try:
            found = read(text)
        except ArgumentTypeError:
            continue
        match found:
            case int() | float():
                assert (0 <= found <= 65535) if read is port else found > 0
            case str():
                assert found.startswith(("http://", "https://", "HTTP", "Http"))
            case name, value:
                assert f"{name}={value}" == text


@pytest.mark.parametrize("text", ["http://localhost:8080/rows", "https://example.com", "http://[::1]:80/"])
def test_addresses_pass(text: str) -> None:
    assert url(text) == text


@pytest.mark.parametrize("read", [file, new_file, folder])
def test_paths(read: Callable[[str], Path], tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("")
    if read is folder:
        assert read(str(tmp_path / "a" / "b")).is_dir()
        with pytest.raises(ArgumentTypeError, match="there"):
            read(str(there))
    else:
        assert read(str(there)) == there
        with pytest.raises(ArgumentTypeError, match="missing"):
            read(str(tmp_path / "missing" / "file"))
        with pytest.raises(ArgumentTypeError):
            read(str(tmp_path))
