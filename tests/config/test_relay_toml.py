"""relay.toml: the shipped file loads, and each mistake is answered with one sentence: file, field, remedy, no setting's value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rowpost.app import load_app
from rowpost.config.errors import ConfigError
from rowpost.config.loading import load_config
from rowpost.config.sections import Duration
from tests.config.relay_toml import REMOVED, ROOT, SETTINGS, changed, load, shipped


def refusal(document: dict[str, Any] | str, folder: Path, settings: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        load(document, folder, settings)
    text = str(refused.value)
    assert text.startswith("relay.toml: "), "the message begins with the file"
    assert "\n" not in text and "hidden" not in text, f"one line, and nothing of a setting's value: {text}"
    error = refused.value
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__), "no second message that quotes"
    return text


def test_the_shipped_file_loads_with_the_local_settings() -> None:
    settings = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))["Values"]
    config = load_config(ROOT / "relay.toml", settings)
    assert [table.name for table in config.tables] == ["dbo.Airports", "dbo.Weather", "dbo.Flights"]
    assert config.downstream.url == settings["DOWNSTREAM_URL"]
    assert config.downstream.headers == {"X-Api-Key": settings["DOWNSTREAM_API_KEY"]}
    assert config.retry.window.seconds == 168 * 3600
    assert config.notifications.email is not None and config.notifications.email.service[0].startswith("http://localhost")
    app = load_app(ROOT, settings)
    assert app.config.tables == config.tables, "and the app can be built without a database in reach"


def test_the_shipped_file_states_every_default(tmp_path: Path) -> None:
    document = shipped()
    stated = load(document, tmp_path)
    for section in ("downstream", "retry", "watchdog", "database"):
        document[section] = {"url": "%DOWNSTREAM_URL%"} if section == "downstream" else {}
    default = load(document, tmp_path)
    for section in ("downstream", "retry", "watchdog", "database"):
        names = set(shipped()[section]) - {"url", "headers"}
        known = set(getattr(default, section).__struct_fields__) - {"url", "headers"}
        assert names == known, f"[{section}] of relay.toml names every setting"
        for name in known:
            assert _plain(getattr(getattr(stated, section), name)) == _plain(getattr(getattr(default, section), name)), name


def _plain(value: Any) -> Any:
    return value.seconds if isinstance(value, Duration) else value


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("6h", 21600), ("7d", 604800), ("0.5s", 0.5), ("1.5h", 5400)]
)
def test_durations_are_numbers_with_a_unit(text: str, seconds: float) -> None:
    assert Duration.parse(text).seconds == seconds


@pytest.mark.parametrize(
    "wrong", ["10min", "10", "s", "-10s", "0s", "0.0m", "1h30m", " 1h", "1 h", "1H", "٣s", "1e3s", "", 10, 1.5, None, True]
)
def test_a_duration_without_one_of_the_units_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match='such as "90s"'):
        Duration.parse(wrong)


def test_a_missing_file_is_told_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "relay.toml"
    with pytest.raises(ConfigError) as refused:
        load_config(path, SETTINGS)
    assert str(path) in str(refused.value) and "create it" in str(refused.value) and "ROWPOST_CONFIG" in str(refused.value)


@pytest.mark.parametrize("text", ["[downstream\n", "a = %X%\n", '[retry]\nwindow = "1h"\nwindow = "2h"\n'])
def test_a_file_that_is_not_toml_is_told_with_the_place(text: str, tmp_path: Path) -> None:
    told = refusal(text, tmp_path)
    assert "not valid TOML" in told and ("line" in told or "end of document" in told)


def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_bytes('[downstream]\nsource = "Zürich"\n'.encode("utf-16"))
    with pytest.raises(ConfigError, match=r"^relay\.toml: not valid TOML: 'utf-8' codec"):
        load_config(tmp_path / "relay.toml", SETTINGS)


UNKNOWN = [
    ("downsteam", "downstream"),
    ("database.conection", "connection"),
    ("downstream.time_out", "timeout"),
    ("retry.attemps", "attempts"),
    ("notifications.mail", "email"),
    ("notifications.email.recipient", "recipients"),
    ("notifications.webhooks.0.uri", "url"),
    ("watchdog.cron", "schedule"),
    ("tables.1.sned", "send"),
]


@pytest.mark.parametrize(("path", "meant"), UNKNOWN, ids=[path for path, _ in UNKNOWN])
def test_an_unknown_key_is_refused_with_the_known_ones(path: str, meant: str, tmp_path: Path) -> None:
    told = refusal(changed(path, "%WRONG%"), tmp_path)
    section, _, key = _shown(path).rpartition(".")
    assert f"relay.toml: {section}{'.' if section else ''}{key}: unknown key; known here: " in told
    assert meant in told.partition("known here: ")[2].split(", ")


def _shown(path: str) -> str:
    """``tables.1.name`` as messages write it: ``tables[1].name``."""
    shown = ""
    for name in path.split("."):
        shown += f"[{name}]" if name.isdigit() else f".{name}"
    return shown.lstrip(".")


MISTAKES: list[tuple[str, Any, str, str]] = [
    # path, value, the field that is named, a part of the remedy
    ("downstream.url", REMOVED, "downstream.url", "missing; add it"),
    ("tables", REMOVED, "tables", "missing; add it"),
    ("tables.0.name", REMOVED, "tables[0].name", "missing; add it"),
    ("notifications.email.sender", REMOVED, "notifications.email.sender", "missing; add it"),
    ("notifications.webhooks.0.url", REMOVED, "notifications.webhooks[0].url", "missing; add it"),
    # types
    ("database.connection", 1, "database.connection", "expected `str`"),
    ("downstream.url", ["%DOWNSTREAM_URL%"], "downstream.url", "expected `str`"),
    ("downstream.headers.X-Api-Key", 7, "downstream.headers", "expected `str`"),
    ("downstream.concurrency", "%WRONG%", "downstream.concurrency", "expected `int`"),
    ("downstream.breaker_failures", 2.5, "downstream.breaker_failures", "expected `int`"),
    ("retry.attempts", True, "retry.attempts", "expected `int`"),
    ("retry.factor", "%WRONG%", "retry.factor", "expected `float`"),
    ("retry", "%WRONG%", "retry", "expected `object`"),
    ("notifications.email.recipients", "%WRONG%", "notifications.email.recipients", "expected `array`"),
    ("notifications.email.recipients", [1], "notifications.email.recipients[0]", "expected `str`"),
    ("notifications.webhooks", {"url": "%ALERT_WEBHOOK_URL%"}, "notifications.webhooks", "expected `array`"),
    ("watchdog.schedule", 5, "watchdog.schedule", "expected `str`"),
    ("tables", "%WRONG%", "tables", "expected `array`"),
    ("tables", ["dbo.Orders"], "tables[0]", "expected `object`"),
    ("tables.2.send", "%WRONG%", "tables[2].send", "expected `array"),
    # durations: wrong unit, no unit, negative, zero
    ("downstream.timeout", "10min", "downstream.timeout", '"15m"'),
    ("downstream.timeout", 10, "downstream.timeout", '"90s"'),
    ("downstream.timeout", "0s", "downstream.timeout", "above zero"),
    ("downstream.batch_budget", "-90s", "downstream.batch_budget", '"90s"'),
    ("downstream.batch_budget", "0m", "downstream.batch_budget", "above zero"),
    ("retry.first_delay", "%WRONG%", "retry.first_delay", '"90s"'),
    ("retry.first_delay", "0.5s", "retry.first_delay", '"1s"'),
    ("retry.max_delay", "6 h", "retry.max_delay", '"6h"'),
    ("retry.window", "1w", "retry.window", '"7d"'),
    ("watchdog.history", "0d", "watchdog.history", "above zero"),
    # numbers out of range
    ("downstream.concurrency", 0, "downstream.concurrency", ">= 1"),
    ("downstream.concurrency", 65, "downstream.concurrency", "<= 64"),
    ("downstream.concurrency", -8, "downstream.concurrency", ">= 1"),
    ("downstream.breaker_failures", 0, "downstream.breaker_failures", ">= 1"),
    ("retry.attempts", 0, "retry.attempts", ">= 1"),
    ("retry.attempts", 6, "retry.attempts", "<= 5"),
    ("retry.factor", 0.5, "retry.factor", ">= 1"),
    ("retry.factor", float("nan"), "retry.factor", ">= 1"),
    ("retry.notify_after_rounds", -1, "retry.notify_after_rounds", ">= 1"),
    # choices
    ("downstream.format", "%WRONG%", "downstream.format", "'cloudevents', 'plain'"),
    ("retry.strategy", "linear", "retry.strategy", "'exponential', 'fixed'"),
    ("retry.rejected", "drop", "retry.rejected", "'retry', 'dead_letter'"),
    # rules between values
    ("retry.window", "5h", "retry.window", "retry.max_delay"),
    ("retry.max_delay", "30s", "retry.max_delay", "retry.first_delay"),
    ("downstream.batch_budget", "101s", "downstream.batch_budget", "at or below 120 s"),
    ("downstream.timeout", "16s", "downstream.batch_budget", "at or below 120 s"),
    # addresses and headers
    ("downstream.url", "ftp://api.example/", "downstream.url", "http or https"),
    ("downstream.url", "https://api..example/", "downstream.url", "http or https"),
    ("downstream.url", f"https://{'a' * 64}.example/", "downstream.url", "http or https"),
    ("notifications.webhooks.0.url", "https://*.example/", "notifications.webhooks[0].url", "http or https"),
    ("downstream.url", "%NO_SCHEME%", "downstream.url", "http or https"),
    ("downstream.url", "%WRONG%", "downstream.url", "http or https"),
    ("downstream.url", "https://", "downstream.url", "http or https"),
    ("downstream.url", "https:///rows", "downstream.url", "http or https"),
    ("downstream.url", "https://api example/", "downstream.url", "http or https"),
    ("downstream.url", "http://[::1", "downstream.url", "http or https"),
    ("downstream.url", "http://api.example:99999/", "downstream.url", "http or https"),
    ("downstream.url", "", "downstream.url", "http or https"),
    ("notifications.webhooks.0.url", "%NO_SCHEME%", "notifications.webhooks[0].url", "http or https"),
    ("downstream.headers.X-Api-Key", "%BROKEN_HEADER%", "downstream.headers.X-Api-Key", "one line"),
    ("downstream.headers.X-Api-Key", "%FOREIGN_HEADER%", "downstream.headers.X-Api-Key", "Latin-1"),
    ("downstream.headers.X-Api-Key", " %DOWNSTREAM_API_KEY%", "downstream.headers.X-Api-Key", "valid HTTP header"),
    ("downstream.headers.X Api Key", "%DOWNSTREAM_API_KEY%", "downstream.headers.X Api Key", "token as name"),
    ("downstream.headers", {"": "%DOWNSTREAM_API_KEY%"}, "downstream.headers.", "token as name"),
    (
        "notifications.webhooks.0.headers.Authorization",
        "%BROKEN_HEADER%",
        "notifications.webhooks[0].headers.Authorization",
        "one line",
    ),
    # e-mail
    ("notifications.email.endpoint", "https://mail.example", "notifications.email", "either connection"),
    ("notifications.email.connection", REMOVED, "notifications.email", "or endpoint"),
    ("notifications.email.connection", "%WRONG%", "notifications.email.connection", "endpoint=https://"),
    ("notifications.email.connection", "accesskey=%WRONG%", "notifications.email.connection", "endpoint=https://"),
    ("notifications.email.recipients", [], "notifications.email.recipients", "at least one address"),
    # the name of a setting, not its value: %…% would make the connection string the name, and errors quote names
    ("database.connection", "%SqlConnectionString%", "database.connection", "without %"),
    ("database.connection", "", "database.connection", "NAME of the app setting"),
    # missing settings, wherever they stand
    ("downstream.url", "%NOWHERE%", "downstream.url", "the app setting NOWHERE is missing"),
    ("downstream.url", "https://%DOWNSTREAM_URL%%EMPTY%", "downstream.url", "the app setting EMPTY is missing or empty"),
    ("downstream.headers.X-Api-Key", "Bearer %NOWHERE%", "downstream.headers.X-Api-Key", "local.settings.json"),
    ("notifications.email.recipients", ["a@example.com", "%NOWHERE%"], "notifications.email.recipients[1]", "NOWHERE"),
    ("notifications.webhooks.0.url", "%NOWHERE%", "notifications.webhooks[0].url", "local.settings.json"),
    ("notifications.webhooks.0.headers.X", "%NOWHERE%", "notifications.webhooks[0].headers.X", "local.settings.json"),
    ("tables.2.watch", ["DepTime", "%NOWHERE%"], "tables[2].watch[1]", "the app's configuration"),
    # tables
    ("tables", [], "tables", "[[tables]]"),
    ("tables.1.name", "dbo.Airports", "tables[1].name", "tables[0]"),
    ("tables.1.name", "DBO.AIRPORTS", "tables[1].name", "tables[0]"),
    ("tables.1.name", "dbo_Airports", "tables[1].name", "schema.table"),
    ("tables", [{"name": "a.b_c"}, {"name": "a_b.c"}], "tables[1].name", "tables[0]"),
    ("tables.2.leases_table", "Leases_rowpost_dbo_airports", "tables[2].leases_table", "tables[0]"),
    ("tables.2.leases_table", "x]; DROP TABLE dbo.Airports;--", "tables[2].leases_table", "brackets"),
    ("tables.0.name", "Airports", "tables[0].name", "schema.table"),
    ("tables.0.name", "other.dbo.Airports", "tables[0].name", "schema.table"),
    ("tables.0.name", "[dbo].[Airports]", "tables[0].name", "without brackets"),
    ("tables.0.name", "dbo.Airport's", "tables[0].name", "quotes"),
    ("tables.0.name", 'dbo."Airports"', "tables[0].name", "quotes"),
    ("tables.0.name", "", "tables[0].name", "such as dbo.Orders"),
    ("tables.0.name", "%WRONG%", "tables[0].name", "such as dbo.Orders"),
    ("tables.2.send", [], "tables[2].send", "mean all"),
    ("tables.2.watch", [], "tables[2].watch", "mean all"),
    ("tables.2.send", ["Dest", "dest"], "tables[2].send", "twice"),
    ("tables.2.watch", ["Dest", "DEST"], "tables[2].watch", "twice"),
]


@pytest.mark.parametrize(
    ("path", "value", "field", "remedy"), MISTAKES, ids=[f"{path}-{i}" for i, (path, *_) in enumerate(MISTAKES)]
)
def test_a_mistake_is_told_with_its_field_and_remedy(path: str, value: Any, field: str, remedy: str, tmp_path: Path) -> None:
    told = refusal(changed(path, value), tmp_path)
    assert told.startswith(f"relay.toml: {field}"), told
    assert remedy in told


def test_a_duplicate_lease_table_is_found_when_both_are_explicit(tmp_path: Path) -> None:
    document = {
        "downstream": {"url": "http://x/"},
        "tables": [{"name": "a.b", "leases_table": "L"}, {"name": "a.c", "leases_table": "l"}],
    }
    assert "tables[1].leases_table" in refusal(document, tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("downstream.concurrency", 64),
        ("downstream.url", "http://[::1]:8080/rows?code=a%20b"),
        ("downstream.url", "HTTPS://API.EXAMPLE"),
        ("downstream.headers", {}),
        ("downstream.headers.X", ""),
        ("downstream.headers.X", "café"),
        ("retry.attempts", 1),
        ("retry.factor", 1),
        ("retry.max_delay", "1m"),
        ("retry.window", "6h"),
        ("downstream.batch_budget", "100s"),
        ("notifications", {}),
        ("notifications.email", {"sender": "a@b", "recipients": ["c@d"], "endpoint": "https://mail.example"}),
        ("tables.0.name", "dbo.Order Lines"),
        ("tables.0.name", "dbo.Größe"),
        ("tables.0.send", ["Id"]),
    ],
)
def test_the_edges_of_what_is_allowed_load(path: str, value: Any, tmp_path: Path) -> None:
    load(changed(path, value), tmp_path)


def test_settings_are_put_into_every_string_and_nowhere_else(tmp_path: Path) -> None:
    document = changed(
        "downstream.headers", {"Authorization": "Basic %CLIENT_ID%:%DOWNSTREAM_API_KEY%", "X-Percent": "100 % of 50%"}
    )
    headers = load(document, tmp_path).downstream.headers
    assert headers == {"Authorization": "Basic hidden-client:hidden-key", "X-Percent": "100 % of 50%"}
    settings = SETTINGS | {"CLIENT_ID": "%DOWNSTREAM_API_KEY%"}
    headers = load(document, tmp_path, settings).downstream.headers
    assert headers["Authorization"] == "Basic %DOWNSTREAM_API_KEY%:hidden-key", "a setting's value is not resolved again"


def test_a_table_is_found_in_any_case_and_named_as_written(tmp_path: Path) -> None:
    config = load(shipped(), tmp_path)
    found = config.table("DBO.flights")
    assert found is not None and found.name == "dbo.Flights"
    assert config.table("dbo.Flight") is None
    assert found.lease_table == "Leases_rowpost_dbo_Flights"


@pytest.mark.parametrize("name", ["dbo.Orders", "dbo.Order Lines", "dbo.Größe", "売上.注文", "a-b.c;d"])
def test_slugs_fit_function_names_and_differ(name: str, tmp_path: Path) -> None:
    other = name[:-1] + "ß"
    config = load(changed("tables", [{"name": name}, {"name": other}]), tmp_path)
    for table in config.tables:
        assert table.slug.isascii() and table.slug.replace("_", "a").isalnum(), table.slug


def test_the_fixed_strategy_repeats_the_first_delay(tmp_path: Path) -> None:
    backoff = load(changed("retry.strategy", "fixed"), tmp_path).retry.backoff
    assert [backoff.delay_seconds(n) for n in (1, 2, 50)] == [60, 60, 60]


def test_the_app_refuses_a_connection_setting_that_is_missing(tmp_path: Path) -> None:
    load(shipped(), tmp_path)
    settings = {name: value for name, value in SETTINGS.items() if name != "SqlConnectionString"}
    with pytest.raises(ConfigError, match=r"^SqlConnectionString: the app setting is missing or empty; set it"):
        load_app(tmp_path, settings)


def test_the_app_reads_the_file_that_rowpost_config_names(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    load(changed("downstream.source", "elsewhere"), tmp_path / "elsewhere")
    app = load_app(tmp_path, SETTINGS | {"ROWPOST_CONFIG": str(tmp_path / "elsewhere" / "relay.toml")})
    assert app.config.downstream.source == "elsewhere"
    with pytest.raises(ConfigError, match=r"there is no table 'dbo\.Nothing' in relay\.toml; it has dbo\.Airports, dbo\.Weather"):
        app.table("dbo.Nothing")


def test_what_was_configured_is_not_shown_by_accident(tmp_path: Path) -> None:
    config = load(shipped(), tmp_path)
    assert config.downstream.headers == {"X-Api-Key": "hidden-key"}
    for part in (config, config.downstream, config.notifications, config.notifications.email, config.notifications.webhooks[0]):
        assert "hidden" not in f"{part} {part!r} {[part]}"
