"""What ``dev.py start`` makes of its command line and of the user's settings, before anything is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devtools.start import arguments, own_settings
from emulators.functions_host.settings import ConfigurationError

CONFIG = '[[targets]]\nname = "api"\nurl = "%MY_URL%"\n[targets.headers]\nAuthorization = "Bearer %MY_TOKEN%"\nX = "100%"\n'


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--port", "70000"], "--port"),
        (["--port", "-1"], "--port"),
        (["--sql-port", "x"], "--sql-port"),
        (["--sql-port", "\u00b2"], "--sql-port"),
        (["--speed", "0"], "--speed"),
        (["--speed", "nan"], "--speed"),
        (["--speed", "inf"], "--speed"),
        (["--speed", "fast"], "--speed"),
        (["--downstream", "localhost:8080"], "--downstream"),
        (["--downstream", "http://"], "--downstream"),
        (["--downstream", "http://[::1"], "--downstream"),
        (["--config", "missing.toml"], "--config"),
        (["--tables", "missing.sql"], "--tables"),
        (["--settings", "missing.json"], "--settings"),
        (["--bogus"], "--bogus"),
    ],
)
def test_a_wrong_option_is_named(given: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(given)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_what_is_no_setting_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--setting", "s3cret"])
    told = capsys.readouterr().err
    assert "--setting" in told and "s3cret" not in told


def test_paths_are_those_of_where_the_caller_is(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(CONFIG)
    options = arguments(["--from", str(tmp_path), "--config", "mine.toml", "--data", "state"])
    assert (options.config, options.data) == (tmp_path / "mine.toml", tmp_path / "state")


def test_settings_come_from_the_file_and_from_the_environment_which_has_precedence(tmp_path: Path) -> None:
    config, file = tmp_path / "relay.toml", tmp_path / "local.settings.json"
    config.write_text(CONFIG)
    values = {"MY_URL": "of the file", "MY_TOKEN": "of the file", "OTHER": "of the file"}
    file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    environment = {"MY_TOKEN": "of the environment", "UNRELATED": "x", "OTHER": "x"}
    assert own_settings(config, file, environment) == values | {"MY_TOKEN": "of the environment"}
    assert own_settings(config, tmp_path / "none.json", environment) == {"MY_TOKEN": "of the environment"}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"Values": []}', '{"Values": {"A": 1}}', '{"IsEncrypted": true}', '{"ConnectionStrings": 1}']
)
def test_a_settings_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    config, file = tmp_path / "relay.toml", tmp_path / "local.settings.json"
    config.write_text(CONFIG)
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"local\.settings\.json"):
        own_settings(config, file, {})
