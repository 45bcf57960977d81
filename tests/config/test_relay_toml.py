"""relay.toml: the shipped file loads, and each mistake is answered with one sentence: file, field, remedy, no setting's value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.data import DEMO_CONFIG
from rowpost.app import load_app
from rowpost.config.credentials import SECTIONS
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
    config = load_config(DEMO_CONFIG, settings)
    assert [relay.table for relay in config.relays] == ["dbo.Airports", "dbo.Weather", "dbo.Flights"]
    assert config.targets[0].url == settings["DOWNSTREAM_URL"]
    assert config.targets[0].headers == {"X-Api-Key": settings["DOWNSTREAM_API_KEY"]}
    assert config.retry.window.seconds == 168 * 3600
    assert config.notifications.email is not None and config.notifications.email.service[0].startswith("http://localhost")
    app = load_app(ROOT, settings | {"ROWPOST_CONFIG": str(DEMO_CONFIG)})
    assert app.config.relays == config.relays, "and the app can be built without a database in reach"


def test_the_shipped_file_states_every_default(tmp_path: Path) -> None:
    document = shipped()
    stated = load(document, tmp_path)
    document["targets"] = [{"name": "api", "url": "%DOWNSTREAM_URL%"}]
    document |= {section: {} for section in ("retry", "watchdog", "database")}
    default = load(document, tmp_path)
    sections = [("targets", stated.targets[0], default.targets[0], shipped()["targets"][0])]
    for name in ("retry", "watchdog", "database"):
        sections.append((name, getattr(stated, name), getattr(default, name), shipped()[name]))
    for section, given, known, written in sections:
        names = set(known.__struct_fields__) - {
            "name",
            "url",
            "headers",
            "ca",
            "max_event_bytes",
            "gzip",
            "rate",
            *SECTIONS,
        }  # no default
        assert set(written) - {"name", "url", "headers"} == names, f"[{section}] of the demo's relay.toml names every setting"
        for name in names:
            assert _plain(getattr(given, name)) == _plain(getattr(known, name)), name


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


@pytest.mark.parametrize("text", ["3651d", "30000d", "87601h", "9" * 400 + "s", "9" * 5000 + "d"])
def test_a_duration_that_no_count_of_seconds_holds_is_refused(text: str) -> None:
    assert Duration.parse("3650d").seconds == 3650 * 86400
    with pytest.raises(ValueError, match='use at most "3650d"'):
        Duration.parse(text)


def test_a_missing_file_is_told_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "relay.toml"
    with pytest.raises(ConfigError) as refused:
        load_config(path, SETTINGS)
    told = str(refused.value)
    assert str(path) in told and "python3 dev.py init" in told and "ROWPOST_CONFIG" in told


@pytest.mark.parametrize("text", ["[downstream\n", "a = %X%\n", '[retry]\nwindow = "1h"\nwindow = "2h"\n'])
def test_a_file_that_is_not_toml_is_told_with_the_place(text: str, tmp_path: Path) -> None:
    told = refusal(text, tmp_path)
    assert "not valid TOML" in told and ("line" in told or "end of document" in told)


def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_bytes('[[targets]]\nname = "api"\nsource = "Zürich"\n'.encode("utf-16"))
    with pytest.raises(ConfigError, match=r"^relay\.toml: not valid TOML: not UTF-8"):
        load_config(tmp_path / "relay.toml", SETTINGS)


UNKNOWN = [
    ("targetz", "targets"),
    ("database.conection", "connection"),
    ("targets.0.time_out", "timeout"),
    ("retry.attemps", "attempts"),
    ("notifications.mail", "email"),
    ("notifications.email.recipient", "recipients"),
    ("notifications.webhooks.0.uri", "url"),
    ("watchdog.cron", "schedule"),
    ("relays.1.sned", "send"),
]


@pytest.mark.parametrize(("path", "meant"), UNKNOWN, ids=[path for path, _ in UNKNOWN])
def test_an_unknown_key_is_refused_with_the_known_ones(path: str, meant: str, tmp_path: Path) -> None:
    told = refusal(changed(path, "%WRONG%"), tmp_path)
    section, _, key = _shown(path).rpartition(".")
    assert f"relay.toml: {section}{'.' if section else ''}{key}: unknown key; known here: " in told
    assert meant in told.partition("known here: ")[2].split(", ")


def _shown(path: str) -> str:
    """``relays.1.name`` as messages write it: ``relays[1].name``."""
    shown = ""
    for name in path.split("."):
        shown += f"[{name}]" if name.isdigit() else f".{name}"
    return shown.lstrip(".")


MISTAKES: list[tuple[str, Any, str, str]] = [
    # path, value, the field that is named, a part of the remedy
    ("targets.0.url", REMOVED, "targets[0].url", "missing; add it"),
    ("relays", REMOVED, "relays", "missing; add it"),
    ("relays.0.table", REMOVED, "relays[0].table", "missing; add it"),
    ("notifications.email.sender", REMOVED, "notifications.email.sender", "missing; add it"),
    ("notifications.webhooks.0.url", REMOVED, "notifications.webhooks[0].url", "missing; add it"),
    # types
    ("database.connection", 1, "database.connection", "expected `str`"),
    ("targets.0.url", ["%DOWNSTREAM_URL%"], "targets[0].url", "expected `str`"),
    ("targets.0.headers.X-Api-Key", 7, "targets[0].headers", "expected `str`"),
    ("targets.0.concurrency", "%WRONG%", "targets[0].concurrency", "expected `int`"),
    ("targets.0.breaker_failures", 2.5, "targets[0].breaker_failures", "expected `int`"),
    ("retry.attempts", True, "retry.attempts", "expected `int`"),
    ("retry.factor", "%WRONG%", "retry.factor", "expected `float`"),
    ("retry", "%WRONG%", "retry", "expected `object`"),
    ("notifications.email.recipients", "%WRONG%", "notifications.email.recipients", "expected `array`"),
    ("notifications.email.recipients", [1], "notifications.email.recipients[0]", "expected `str`"),
    ("notifications.webhooks", {"url": "%ALERT_WEBHOOK_URL%"}, "notifications.webhooks", "expected `array`"),
    ("watchdog.schedule", 5, "watchdog.schedule", "expected `str`"),
    ("relays", "%WRONG%", "relays", "expected `array`"),
    ("relays", ["dbo.Orders"], "relays[0]", "expected `object`"),
    ("relays.2.send", "%WRONG%", "relays[2].send", "expected `array"),
    # durations: wrong unit, no unit, negative, zero
    ("targets.0.timeout", "10min", "targets[0].timeout", '"15m"'),
    ("targets.0.timeout", 10, "targets[0].timeout", '"90s"'),
    ("targets.0.timeout", "0s", "targets[0].timeout", "above zero"),
    ("targets.0.batch_budget", "-90s", "targets[0].batch_budget", '"90s"'),
    ("targets.0.batch_budget", "0m", "targets[0].batch_budget", "above zero"),
    ("retry.first_delay", "%WRONG%", "retry.first_delay", '"90s"'),
    ("retry.first_delay", "0.5s", "retry.first_delay", '"1s"'),
    ("retry.max_delay", "6 h", "retry.max_delay", '"6h"'),
    ("retry.window", "1w", "retry.window", '"7d"'),
    ("watchdog.history", "0d", "watchdog.history", "above zero"),
    # numbers out of range
    ("targets.0.concurrency", 0, "targets[0].concurrency", ">= 1"),
    ("targets.0.concurrency", 65, "targets[0].concurrency", "<= 64"),
    ("targets.0.concurrency", -8, "targets[0].concurrency", ">= 1"),
    ("targets.0.breaker_failures", 0, "targets[0].breaker_failures", ">= 1"),
    ("retry.attempts", 0, "retry.attempts", ">= 1"),
    ("retry.attempts", 6, "retry.attempts", "<= 5"),
    ("retry.factor", 0.5, "retry.factor", ">= 1"),
    ("retry.factor", float("nan"), "retry.factor", ">= 1"),
    ("retry.notify_after_rounds", 10, "retry.notify_after_rounds", "is now after_rounds in the section [notifications]"),
    ("notifications.after_rounds", -1, "notifications.after_rounds", ">= 1"),
    ("notifications.after", "0m", "notifications.after", "duration above zero"),
    ("notifications.timeout", "0.01s", "notifications.timeout", 'at least "0.1s"'),
    ("notifications.timeout", "1m", "notifications.timeout", 'at most "45s"'),
    # choices
    ("targets.0.format", "%WRONG%", "targets[0].format", "'cloudevents-binary', 'plain', 'row'"),
    ("targets.0.resync_events", "yes", "targets[0].resync_events", "expected `bool`"),
    ("relays.0.on_gap", "%WRONG%", "relays[0].on_gap", "'resync', 'notify'"),
    ("relays.0.initial", "%WRONG%", "relays[0].initial", "'changes', 'snapshot'"),
    ("retry.strategy", "linear", "retry.strategy", "'exponential', 'fixed'"),
    ("retry.rejected", "drop", "retry.rejected", "'retry', 'dead_letter'"),
    # rules between values
    ("retry.window", "5h", "retry.window", "retry.max_delay"),
    ("retry.max_delay", "30s", "retry.max_delay", "retry.first_delay"),
    ("targets.0.batch_budget", "0.5s", "targets[0].batch_budget", 'at least "1s"'),
    ("targets.0.timeout", "0.01s", "targets[0].timeout", 'at least "0.1s"'),
    ("retry.window", "30000d", "retry.window", "too long"),
    ("retry.max_delay", "4000d", "retry.max_delay", "too long"),
    ("watchdog.history", "900000d", "watchdog.history", "too long"),
    ("notifications.after", "900000d", "notifications.after", "too long"),
    ("retry.detach_after_rounds", 10**12, "retry.detach_after_rounds", "1000000"),
    ("retry.factor", 10000000.0, "retry.factor", "1000000"),
    ("targets.0.batch_budget", "101s", "targets[0].batch_budget", "at or below 120 s"),
    ("targets.0.timeout", "16s", "targets[0].batch_budget", "at or below 120 s"),
    # addresses and headers
    ("targets.0.url", "ftp://api.example/", "targets[0].url", "http or https"),
    ("targets.0.url", "https://api..example/", "targets[0].url", "http or https"),
    ("targets.0.url", f"https://{'a' * 64}.example/", "targets[0].url", "http or https"),
    ("notifications.webhooks.0.url", "https://*.example/", "notifications.webhooks[0].url", "http or https"),
    ("targets.0.url", "%NO_SCHEME%", "targets[0].url", "http or https"),
    ("targets.0.url", "%WRONG%", "targets[0].url", "http or https"),
    ("targets.0.url", "https://", "targets[0].url", "http or https"),
    ("targets.0.url", "https:///rows", "targets[0].url", "http or https"),
    ("targets.0.url", "https://api example/", "targets[0].url", "http or https"),
    ("targets.0.url", "http://[::1", "targets[0].url", "http or https"),
    ("targets.0.url", "http://api.example:99999/", "targets[0].url", "http or https"),
    ("targets.0.url", "", "targets[0].url", "http or https"),
    ("notifications.webhooks.0.url", "%NO_SCHEME%", "notifications.webhooks[0].url", "http or https"),
    ("targets.0.headers.X-Api-Key", "%BROKEN_HEADER%", "targets[0].headers.X-Api-Key", "one line"),
    ("targets.0.headers.X-Api-Key", "%FOREIGN_HEADER%", "targets[0].headers.X-Api-Key", "Latin-1"),
    ("targets.0.headers.X-Api-Key", " %DOWNSTREAM_API_KEY%", "targets[0].headers.X-Api-Key", "valid HTTP header"),
    ("targets.0.headers.X-Api-Key", "%TAB_HEADER%", "targets[0].headers.X-Api-Key", "valid HTTP header"),
    ("targets.0.headers.content-TYPE", "text/plain", "targets[0].headers.content-TYPE", "sets itself"),
    ("targets.0.headers.Host", "api.example", "targets[0].headers.Host", "sets itself"),
    ("targets.0.headers.Rowpost-Version", "7", "targets[0].headers.Rowpost-Version", "sets itself"),
    ("targets.0.headers", {"X-A": "1", "x-a": "2"}, "targets[0].headers", "differ only in case"),
    ("targets.0.headers.X Api Key", "%DOWNSTREAM_API_KEY%", "targets[0].headers.X Api Key", "token as name"),
    ("targets.0.headers", {"": "%DOWNSTREAM_API_KEY%"}, "targets[0].headers.", "token as name"),
    (
        "notifications.webhooks.0.headers.Authorization",
        "%BROKEN_HEADER%",
        "notifications.webhooks[0].headers.Authorization",
        "one line",
    ),
    # e-mail
    ("notifications.email.endpoint", "https://mail.example", "notifications.email", "either connection"),
    ("notifications.email.connection", REMOVED, "notifications.email", "or endpoint"),
    ("notifications.email.connection", "%WRONG%", "notifications.email.connection", "the keywords endpoint and"),
    ("notifications.email.connection", "accesskey=%WRONG%", "notifications.email.connection", "the keywords endpoint and"),
    ("notifications.email.recipients", ["a@example.com", "nobody"], "notifications.email.recipients[1]", "mail address"),
    ("notifications.email.recipients", ["A <a@example.com>"], "notifications.email.recipients[0]", "without a name"),
    ("notifications.email.recipients", ["a@example.com, b@example.com"], "notifications.email.recipients[0]", "mail address"),
    ("notifications.email.sender", "%WRONG%", "notifications.email.sender", "mail address"),
    ("notifications.email.recipients", [], "notifications.email.recipients", "at least one address"),
    # the name of a setting, not its value: %…% would make the connection string the name, and errors quote names
    ("database.connection", "%SqlConnectionString%", "database.connection", "without %"),
    ("database.connection", "", "database.connection", "NAME of the app setting"),
    # missing settings, wherever they stand
    ("targets.0.url", "%NOWHERE%", "targets[0].url", "the app setting NOWHERE is missing"),
    ("targets.0.url", "https://%DOWNSTREAM_URL%%EMPTY%", "targets[0].url", "the app setting EMPTY is missing or empty"),
    ("targets.0.headers.X-Api-Key", "Bearer %NOWHERE%", "targets[0].headers.X-Api-Key", "local.settings.json"),
    ("notifications.email.recipients", ["a@example.com", "%NOWHERE%"], "notifications.email.recipients[1]", "NOWHERE"),
    ("notifications.webhooks.0.url", "%NOWHERE%", "notifications.webhooks[0].url", "local.settings.json"),
    ("notifications.webhooks.0.headers.X", "%NOWHERE%", "notifications.webhooks[0].headers.X", "local.settings.json"),
    ("relays.2.watch", ["DepTime", "%NOWHERE%"], "relays[2].watch[1]", "the app's configuration"),
    # references that the platform did not replace
    ("targets.0.headers.X-Api-Key", "%VAULT%", "targets[0].headers.X-Api-Key", "the app setting VAULT holds a Key Vault reference"),
    ("targets.0.headers.X-Api-Key", "Bearer %VAULT%", "targets[0].headers.X-Api-Key", "Key Vault Secrets User"),
    ("targets.0.url", "%VAULT%", "targets[0].url", "has not resolved"),
    ("notifications.email.connection", "%STORE%", "notifications.email.connection", "App Configuration Data Reader"),
    ("targets.0.headers.X-Api-Key", "%INSIDE%", "targets[0].headers.X-Api-Key", "inside a longer text"),
    (
        "targets.0.headers.X-Api-Key",
        "Bearer @microsoft.keyvault(VaultName=v;SecretName=s)",
        "targets[0].headers",
        "its %NAME% here",
    ),
    ("targets.0.url", "https://x/?code=@Microsoft.KeyVault(SecretUri=hidden)", "targets[0].url", "inside a longer text"),
    ("targets.0.url", "@Microsoft.KeyVault(SecretUri=hidden)", "targets[0].url", "put its %NAME% here"),
    # schedules
    *(
        (f"watchdog.{name}", schedule, f"watchdog.{name}", "not an NCRONTAB schedule")
        for name, schedule in (
            ("schedule", "* * * *"),
            ("schedule", ""),
            ("schedule", "every five minutes"),
            ("schedule", "0 60 * * * *"),
            ("schedule", "0 */0 * * * *"),
            ("schedule", "0 0 0 ? * *"),
            ("history_schedule", "0 0 0 * * 7"),
            ("history_schedule", "0 0 0 0 * *"),
            ("history_schedule", "0 0 3- * * *"),
            ("history_schedule", "00:05:00"),
        )
    ),
    # tables
    ("relays", [], "relays", "[[relays]]"),
    ("relays.1.table", "dbo.Airports", "relays[1].name", "relays[0]"),
    ("relays.1.table", "DBO.AIRPORTS", "relays[1].name", "relays[0]"),
    ("relays.1.table", "dbo_Airports", "relays[1].table", "schema.table"),
    ("relays", [{"table": "a.b"}, {"table": "A.B"}], "relays[1].name", 'name = "A.B@api"'),
    ("relays.2.leases_table", "x]; DROP TABLE dbo.Airports;--", "relays[2].leases_table", "brackets"),
    ("relays.2.leases_table", "x" * 129, "relays[2].leases_table", "longer than 128"),
    ("relays.2.leases_table", "\N{PILE OF POO}" * 65, "relays[2].leases_table", "longer than 128"),
    ("relays.0.table", "Airports", "relays[0].table", "schema.table"),
    ("relays.0.table", "other.dbo.Airports", "relays[0].table", "schema.table"),
    ("relays.0.table", "[dbo].[Airports]", "relays[0].table", "without brackets"),
    ("relays.0.table", "dbo.Airport's", "relays[0].table", "quotes"),
    ("relays.0.table", 'dbo."Airports"', "relays[0].table", "quotes"),
    ("relays.0.table", "", "relays[0].table", "such as dbo.Orders"),
    ("relays.0.table", "%WRONG%", "relays[0].table", "such as dbo.Orders"),
    ("relays.2.send", [], "relays[2].send", "mean all"),
    ("relays.2.watch", [], "relays[2].watch", "mean all"),
    ("relays.2.send", ["Dest", "dest"], "relays[2].send", "twice"),
    ("relays.2.watch", ["Dest", "DEST"], "relays[2].watch", "twice"),
    ("relays.2.operations", [], "relays[2].operations", "remove the key to mean all"),
    ("relays.2.operations", ["insert", "insert"], "relays[2].operations", "twice"),
    ("relays.2.operations", ["insert", "truncate"], "relays[2].operations[1]", "expected one of 'insert', 'update', 'delete'"),
    ("relays.2.where", "Dest = 'JFK'; DROP TABLE dbo.Flights", "relays[2].where", "one condition"),
    ("relays.2.where", "(Dest = 'JFK'", "relays[2].where", "parentheses"),
    ("relays.2.leaving", "ignore", "relays[2].leaving", "without where"),
    ("relays.2.leaving", "keep", "relays[2].leaving", "expected one of 'delete', 'ignore'"),
    ("relays.2.ignore_context", "0x0", "relays[2].ignore_context", "hexadecimal"),
    ("relays.2.lost_columns", "ignore", "relays[2].lost_columns", "expected one of 'continue', 'stop'"),
]


def test_percent_signs_of_a_condition_are_no_settings(tmp_path: Path) -> None:
    assert load(changed("relays.2.where", "Dest LIKE '%J_K%'"), tmp_path).relays[2].where == "Dest LIKE '%J_K%'"


@pytest.mark.parametrize(
    ("path", "value", "field", "remedy"), MISTAKES, ids=[f"{path}-{i}" for i, (path, *_) in enumerate(MISTAKES)]
)
def test_a_mistake_is_told_with_its_field_and_remedy(path: str, value: Any, field: str, remedy: str, tmp_path: Path) -> None:
    told = refusal(changed(path, value), tmp_path)
    assert told.startswith(f"relay.toml: {field}"), told
    assert remedy in told


def test_a_duplicate_lease_table_is_found_when_both_are_explicit(tmp_path: Path) -> None:
    document = {
        "targets": [{"name": "api", "url": "http://x/"}],
        "relays": [{"table": "a.b", "leases_table": "L"}, {"table": "a.c", "leases_table": "l"}],
    }
    assert "relays[1].leases_table" in refusal(document, tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("targets.0.concurrency", 64),
        ("targets.0.url", "http://[::1]:8080/rows?code=a%20b"),
        ("targets.0.url", "HTTPS://API.EXAMPLE"),
        ("targets.0.headers", {}),
        ("targets.0.headers.X", ""),
        ("targets.0.headers.X", "café"),
        ("retry.attempts", 1),
        ("retry.factor", 1),
        ("retry.max_delay", "1m"),
        ("retry.window", "6h"),
        ("targets.0.batch_budget", "100s"),
        ("notifications", {}),
        ("notifications.email", {"sender": "a@b", "recipients": ["c@d"], "endpoint": "https://mail.example"}),
        ("relays.0.table", "dbo.Order Lines"),
        ("relays.0.table", "dbo.Größe"),
        ("relays.0.send", ["Id"]),
    ],
)
def test_the_edges_of_what_is_allowed_load(path: str, value: Any, tmp_path: Path) -> None:
    load(changed(path, value), tmp_path)


def test_settings_are_put_into_every_string_and_nowhere_else(tmp_path: Path) -> None:
    document = changed(
        "targets.0.headers", {"Authorization": "Basic %CLIENT_ID%:%DOWNSTREAM_API_KEY%", "X-Percent": "100 % of 50%"}
    )
    headers = load(document, tmp_path).targets[0].headers
    assert headers == {"Authorization": "Basic hidden-client:hidden-key", "X-Percent": "100 % of 50%"}
    settings = SETTINGS | {"CLIENT_ID": "%DOWNSTREAM_API_KEY%"}
    headers = load(document, tmp_path, settings).targets[0].headers
    assert headers["Authorization"] == "Basic %DOWNSTREAM_API_KEY%:hidden-key", "a setting's value is not resolved again"


def test_a_relay_is_found_in_any_case_and_named_as_written(tmp_path: Path) -> None:
    config = load(shipped(), tmp_path)
    found = config.relay("DBO.flights")
    assert found is not None and found.name == "dbo.Flights"
    assert config.relay("dbo.Flight") is None
    assert found.lease_table("site") == found.lease_table("SITE") != found.lease_table("another site")
    assert found.lease_table("site").startswith("Leases_rowpost_dbo_Flights_")


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
    load(changed("targets.0.source", "elsewhere"), tmp_path / "elsewhere")
    app = load_app(tmp_path, SETTINGS | {"ROWPOST_CONFIG": str(tmp_path / "elsewhere" / "relay.toml")})
    assert app.config.targets[0].source == "elsewhere"
    with pytest.raises(ConfigError, match=r"there is no relay 'dbo\.Nothing' in relay\.toml; it has dbo\.Airports, dbo\.Weather"):
        app.table("dbo.Nothing")


def test_what_was_configured_is_not_shown_by_accident(tmp_path: Path) -> None:
    config = load(shipped(), tmp_path)
    assert config.targets[0].headers == {"X-Api-Key": "hidden-key"}
    for part in (config, config.targets[0], config.notifications, config.notifications.email, config.notifications.webhooks[0]):
        assert "hidden" not in f"{part} {part!r} {[part]}"


@pytest.mark.parametrize("former", ["downstream", "tables"])
def test_the_former_form_is_refused_with_the_present_one(former: str, tmp_path: Path) -> None:
    document = {"downstream": {"url": "http://x/"}} if former == "downstream" else {"tables": [{"name": "dbo.Orders"}]}
    told = refusal(shipped() | document, tmp_path)
    assert told.startswith(f"relay.toml: {former}: ")
    assert '[[targets]] name = "api"' in told and '[[relays]] table = "dbo.Orders"' in told


def two_targets(*relays: dict[str, Any]) -> dict[str, Any]:
    return {"targets": [{"name": name, "url": "http://x/"} for name in ("erp", "lake")], "relays": list(relays)}


def test_a_relay_names_its_target_where_there_are_several(tmp_path: Path) -> None:
    assert "relays[0].target: is missing" in refusal(two_targets({"table": "dbo.Orders"}), tmp_path)
    told = refusal(two_targets({"table": "dbo.Orders", "target": "api"}), tmp_path)
    assert "there is no target 'api'; the file has erp, lake" in told
    config = load(two_targets({"table": "dbo.Orders", "target": "LAKE"}), tmp_path)
    assert config.target(config.relays[0].target).name == "lake"


def test_a_table_has_several_relays_if_each_has_a_name_of_its_own(tmp_path: Path) -> None:
    first, second = {"table": "dbo.Orders", "target": "erp"}, {"table": "dbo.Orders", "target": "lake"}
    assert "relays[1].name: is the same as that of relays[0]" in refusal(two_targets(first, second), tmp_path)
    config = load(two_targets(first, second | {"name": "dbo.Orders@lake"}), tmp_path)
    assert [relay.name for relay in config.relays] == ["dbo.Orders", "dbo.Orders@lake"]
    assert len({relay.function for relay in config.relays}) == len({relay.lease_table("") for relay in config.relays}) == 2
    assert "relays[0].name: expected" in refusal(two_targets(first | {"name": "a/b"}), tmp_path)


@pytest.mark.parametrize(
    "schedule",
    [
        "0 */5 * * * *",
        "0 0 3 * * mon-fri",
        "*/30 * * * * *",
        "0 0,30 8-18/2 1 JAN,jul 0",
        "59 59 23 31 12 6",
        "*/5 * * * *",
        "0 0 22-4 * * *",
        "0 0 0 1 january Tuesday",
    ],
)
def test_schedules_of_the_host_are_taken(schedule: str, tmp_path: Path) -> None:
    assert load(changed("watchdog.schedule", schedule), tmp_path).watchdog.schedule == schedule


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://api.example/%C3%A4", "https://api.example/%C3%A4"),
        ("https://api.example/%C3%A4%20%C3%B6", "https://api.example/%C3%A4%20%C3%B6"),
        ("https://api.example/a%20b%2Fc", "https://api.example/a%20b%2Fc"),
        ("https://%DB_HOST%/%C3%A4", "https://hidden-host.example/%C3%A4"),
        ("https://%DB_HOST%/%C3%A4%CLIENT_ID%", "https://hidden-host.example/%C3%A4hidden-client"),
        ("https://%DB_HOST%:443/100%", "https://hidden-host.example:443/100%"),
    ],
)
def test_percent_encoded_bytes_are_no_settings(written: str, read: str, tmp_path: Path) -> None:
    assert load(changed("targets.0.url", written), tmp_path).targets[0].url == read


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"a = 2026-02-30", "not valid TOML"),
        (b"a = '\xff'", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_toml_gets_one_sentence(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=told) as refused:
        load_config(tmp_path / "relay.toml", SETTINGS)
    assert len(str(refused.value).splitlines()) == 1


def test_a_byte_order_mark_is_read_past(tmp_path: Path) -> None:
    text = DEMO_CONFIG.read_text(encoding="utf-8")
    (tmp_path / "relay.toml").write_text(text, encoding="utf-8-sig")
    assert load_config(tmp_path / "relay.toml", SETTINGS).relays
