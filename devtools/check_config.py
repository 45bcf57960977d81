"""``dev.py check-config``: explain a relay.toml and find its mistakes, offline; with ``--connection`` also ask the database.

Nothing is changed anywhere. Values of app settings are never shown, only the settings' names. Nor is what may be a secret in the
file.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, structs

from devtools.catalogue import Catalogue, CatalogueError, read_catalogue
from devtools.check_report import Report, Value, as_text, duration
from devtools.retry_schedule import retry_schedule
from infra.describe_app import texts
from infra.prepare_database import known_settings
from rowpost.config.app_settings import places
from rowpost.config.connection_string import translate
from rowpost.config.credentials import SECTIONS as CREDENTIALS
from rowpost.config.errors import ConfigError
from rowpost.config.loading import mistakes, parse_config
from rowpost.config.notifications import REPEATED, NotificationsConfig
from rowpost.config.notifications import SECTIONS as SINGLE
from rowpost.config.requests import column_mistakes
from rowpost.config.sections import Config, RelayConfig
from rowpost.config.transport_security import insecure
from rowpost.config.units import Duration, Limit
from rowpost.database.describe import SCHEMA_VERSION
from rowpost.database.names import literal
from rowpost.notices.channels import recipients
from rowpost.target.sample import try_sample
from rowpost.target.shape import shape_of

ROOT = Path(__file__).resolve().parents[1]
_PREPARE = "infra/prepare_database.py"
_SECRET = re.compile(r"key|token|secret|auth|password|code|cookie|signature", re.IGNORECASE)
_CREDENTIAL = re.compile(
    r"targets\[\d+\]\.(basic\.password|oauth2\.client_secret|signature\.secrets\[\d+\]|client_certificate\.password)"
    r"|notifications\.(smtp\.password|webhooks\[\d+\]\.signature\.secrets\[\d+\]"
    r"|(teams|slack)\[\d+\]\.url|pagerduty\[\d+\]\.routing_key)"
)
_CHANNELS = ("email", *REPEATED, "smtp")  # the fields of [notifications] that are sections of their own
_UNKNOWN_IDENTITY = "00000000-0000-0000-0000-000000000000"
_UNKNOWN_PERSON = "unknown@unknown.invalid"
_UNKNOWN_ADDRESS, _UNKNOWN_MAIL = "https://unknown.invalid", "endpoint=https://unknown.invalid/;accesskey=unknown"
_ANY = (_UNKNOWN_ADDRESS, "unknown")
HIDDEN = "(hidden)"
_SENDING = ("upsert", "delete", "resync", "delete_success", "query", "headers", "body", "delete_body")
_SENDING += ("format", "numbers", "max_event_bytes")
_SENDING += ("where", "leaving", "operations", "ignore_context", "lost_columns")


# --- reading the file, with or without the values of its settings ---


def _unknown(field: str, text: str, start: int) -> str:
    """Something in the place of a setting that is not known here, so that the rest can be checked."""
    if field == "notifications.email.connection" and start == 0:
        return _UNKNOWN_MAIL
    if ".signature.secrets[" in field:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()  # another one for each
    if field.endswith(".managed_identity.client_id"):
        return _UNKNOWN_IDENTITY
    if field.endswith(".basic.user"):
        return "unknown"
    if re.match(r"notifications\.(email|smtp)\.(sender|recipients)", field):
        return _UNKNOWN_PERSON
    if field.endswith(".routing_key"):
        return "0" * 32
    if field == "notifications.smtp.host":
        return "unknown.invalid"
    if start == 0 or text[:start].lower().endswith("endpoint="):
        return _UNKNOWN_ADDRESS
    return "unknown"


def examine(path: Path, settings: Mapping[str, str], site: str) -> tuple[Report, Config | None]:
    """Everything about the file that can be known without a database.

    Args:
        path: of the file.
        settings: the app settings that this machine knows.
        site: the name of the app.
    """
    report = Report(str(path), [], [], [], {}, {}, [], None, site, None)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        document = {}  # the loader says it
    known, missing = dict(settings), dict[str, list[str]]()
    for field, text in texts(document):
        for match in places(text, settings):
            report.settings[match[1]] = bool(settings.get(match[1]))
            if not settings.get(match[1]):
                missing.setdefault(match[1], []).append(field)
                stand_in = _unknown(field, text, match.start())
                if stand_in not in _ANY or known.get(match[1], "") in (
                    "",
                    *_ANY,
                ):  # what has a form of its own is good elsewhere too
                    known[match[1]] = stand_in
    try:
        config = parse_config(path, known)
    except ConfigError as error:
        report.mistakes.append(_blame_missing(str(error), path.name, missing))
        return report, None
    report.mistakes += [f"{path.name}: {mistake}" for mistake in mistakes(config)]
    report.settings.setdefault(config.database.connection, bool(settings.get(config.database.connection)))
    unset = [name for name, is_set in report.settings.items() if not is_set]
    report.unchecked += [f"the value of the app setting {name} is not known here" for name in unset]
    report.sections = _sections(config, document)
    report.relays = [_relay(relay, written, site) for relay, written in zip(config.relays, document["relays"], strict=True)]
    report.schedule = retry_schedule(config.retry, config.notifications)
    if not report.mistakes:
        report.mistakes += _connection_mistakes(config, settings)
    if not report.mistakes:
        report.warnings += list(_warnings(config, document, report, settings))
    return report, config


def _blame_missing(error: str, file: str, missing: dict[str, list[str]]) -> str:
    """The loader's sentence, unless it is about what stands in the place of a setting that is not known here."""
    for name, fields in missing.items():
        if any(error.startswith(f"{file}: {field}: ") for field in fields):
            return f"{file}: {fields[0]}: the app setting {name} is not set here, and the file cannot be checked without it"
    return error


def _connection_mistakes(config: Config, settings: Mapping[str, str]) -> Iterator[str]:
    setting = config.database.connection
    if settings.get(setting):
        try:
            translate(settings[setting], setting, "driver")
        except ConfigError as error:
            yield str(error)


# --- what is shown ---


def _sections(config: Config, document: dict[str, Any]) -> dict[str, list[Value]]:
    found: dict[str, list[Value]] = {"database": _values(config.database, document.get("database", {}), "database")}
    for index, target in enumerate(config.targets):
        found[f"targets: {target.name}"] = _values(target, document["targets"][index], "targets")
    found["retry"] = _values(config.retry, document.get("retry", {}), "retry")
    found |= _notifications(config.notifications, document.get("notifications", {}))
    found["watchdog"] = _values(config.watchdog, document.get("watchdog", {}), "watchdog")
    return found


def _notifications(config: NotificationsConfig, written: dict[str, Any]) -> dict[str, list[Value]]:
    """Whom people are told by, and each channel."""
    counted = Counter(recipient["channel"] for recipient in recipients(config))
    channels = ", ".join(f"{name} ({count})" for name, count in counted.items()) or "none"
    own = [value for value in _values(config, written, "notifications") if value.name not in _CHANNELS]
    found = {"notifications": [Value("channels", channels, not counted), *own]}
    for name in SINGLE:
        if (section := getattr(config, name)) is not None:
            found[f"notifications.{name}"] = _values(section, written[name], f"notifications.{name}")
    for name in REPEATED:
        for index, section in enumerate(getattr(config, name)):
            found[f"notifications.{name}[{index}]"] = _values(section, written[name][index], f"notifications.{name}")
    return found


def _values(section: Struct, written: dict[str, Any], name: str) -> list[Value]:
    values = []
    for field in section.__struct_fields__:
        if field in written:
            values.append(Value(field, _shown(f"{name}.{field}", written[field]), False))
        elif (value := getattr(section, field)) not in (None, {}, []):
            shown = duration(value.seconds) if isinstance(value, Duration) else value.written if isinstance(value, Limit) else value
            values.append(Value(field, shown, True))
    return values


def _shown(field: str, written: Any) -> Any:
    """What stands in the file, without what may be a secret. Names of settings are none."""
    if field in ("relays.body", "relays.delete_body"):
        return "a template"
    if field.endswith((".headers", ".query")):
        return {name: _names(value) for name, value in written.items()}
    if field in ("notifications.email.connection", "notifications.smtp.password", "notifications.pagerduty.routing_key"):
        return _shown_credential(f"{field}.password", written)
    if field.removeprefix("targets.").removeprefix("notifications.webhooks.") in CREDENTIALS:
        return {name: _shown_credential(f"{field}.{name}", value) for name, value in written.items()}
    if field.endswith(".ca") and "-----BEGIN" in written:
        return "certificates in PEM form"
    if field.endswith((".url", ".endpoint")) and not written.startswith("%"):
        parts = urlsplit(written)
        path = parts.path if field == "targets.url" or not parts.path.strip("/") else f"/{HIDDEN}"  # a hook's path is often its key
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{path}" + (f"?{HIDDEN}" if parts.query or parts.fragment else "")
    if field.endswith((".url", ".endpoint")):
        return re.sub(r"[?#].*", f"?{HIDDEN}", written)
    return written


def _shown_credential(field: str, written: Any) -> Any:
    """A value of such a section, if it cannot be a secret; else the names of its settings."""
    if isinstance(written, dict):
        return {name: _names(value) for name, value in written.items()}
    if isinstance(written, list):
        return [_shown_credential(field, value) for value in written]
    if field.endswith((".password", ".client_secret", ".secrets")):
        return written if written.lstrip().startswith("@") else _names(written)  # a reference to a Key Vault is a place
    if field.endswith((".certificate", ".key", ".ca")):
        return "in PEM form" if "-----BEGIN" in written else written
    if field.endswith(".token_url"):
        return _shown(field.replace("token_url", "url"), written)
    return written


def _names(text: Any) -> str:
    """The names of the settings in a text, and that there is more."""
    names = [match[0] for match in places(text, {})]
    more = len("".join(names)) < len(text)
    return " ".join([*names, *([HIDDEN] if more or not names else [])])


def _relay(relay: RelayConfig, written: dict[str, Any], site: str) -> dict[str, Any]:
    return {
        "name": relay.name,
        "table": relay.table,
        "target": relay.target,
        "send": relay.send,
        "watch": relay.watch,
        "on_gap": relay.on_gap,
        "initial": relay.initial,
        "sending": {name: _shown(f"relays.{name}", written[name]) for name in _SENDING if name in written},
        "function": relay.function,
        "lease_table": f"az_func.{relay.lease_table(site)}",
    }


def _warnings(config: Config, document: dict[str, Any], report: Report, settings: Mapping[str, str]) -> Iterator[str]:
    setting = config.database.connection
    yield from insecure(config, translate(settings.get(setting) or "Server=unknown.invalid;Database=unknown", setting, "driver"))
    retry, schedule = config.retry, report.schedule
    assert schedule is not None
    used = {relay.target.lower() for relay in config.relays}
    for index, target in enumerate(config.targets):
        if target.name.lower() not in used:
            yield f"targets[{index}]: no relay has the target {target.name}"
        if target.probe.seconds >= retry.window.seconds:
            yield f"targets[{index}].probe: as long as retry.window: rows become dead letters before a target is tried again"
        elif target.probe.seconds > retry.max_delay.seconds:
            yield (
                f"targets[{index}].probe: longer than retry.max_delay: it may take longer to notice that a target works again than "
                f"the rounds of its rows would"
            )
    for field, text in texts(document):
        named = re.search(r"\.(?:headers|query)\.(.*)", field)
        if named and _SECRET.search(named[1]) and not places(text, {}) and "{" not in text:
            yield f"{field}: what may be a secret stands in the file; put it into an app setting, and its %NAME% here"
    for field, text in texts(document):
        if _CREDENTIAL.fullmatch(field) and text and not places(text, {}) and not text.lstrip().startswith("@"):
            yield f"{field}: a secret stands in the file; put it into an app setting, and its %NAME% here"
    if not recipients(config.notifications):
        yield "notifications: nobody is told; add [notifications.email], [[notifications.webhooks]], or another channel"
    if not schedule.count:
        yield "retry.window: no round fits into it: a row is dead after the built-in attempts; make the window longer"
    elif schedule.told_seconds is None:
        yield "notifications.after: the window is not longer: nobody is told before rows are dead letters"
    if 0 < schedule.count <= retry.detach_after_rounds:
        fit = f"only {schedule.count} rounds fit into the window"
        yield f"retry.detach_after_rounds: {fit}: a failing row holds the trigger's cursor back all the time"


# --- the database ---


def ask(report: Report, config: Config, catalogue: Catalogue, *, site_known: bool) -> None:
    """Add what the database says.

    Args:
        site_known: whether the name of the app is known: without it nobody can say whose relay it is.
    """
    kept, window = catalogue.retention_seconds, config.retry.window.seconds
    report.database = {
        "server": catalogue.server,
        "database": catalogue.database,
        "user": catalogue.user,
        "owner": catalogue.owner,
        "retention_seconds": kept,
        "schema_version": catalogue.version,
        "wanted_schema_version": SCHEMA_VERSION,
        "relays": [],
    }
    if kept is None:
        report.mistakes.append(f"change tracking is off for the database; run {_PREPARE}")
    elif kept <= window:
        report.warnings.append(
            f"retry.window: {duration(window)} is not shorter than the database's change retention of {duration(kept)}; run "
            f"infra/prepare_database.py, which raises it, or shorten the window"
        )
    own = f"the app's own tables have version {catalogue.version}, and this app"
    if catalogue.version == 0:
        report.mistakes.append(f"the app's own tables are missing, or this user may not see them; run {_PREPARE}")
    elif catalogue.version < SCHEMA_VERSION:
        report.mistakes.append(f"{own} needs {SCHEMA_VERSION}; run {_PREPARE}")
    elif catalogue.version > SCHEMA_VERSION:
        report.mistakes.append(f"{own} knows {SCHEMA_VERSION} only; deploy the newer app")
    if catalogue.version and not catalogue.may_write:
        report.mistakes.append(f"{catalogue.user} may not write to schema rowpost; run {_PREPARE} --app-user NAME")
    if catalogue.version and not (catalogue.may_alter_leases and catalogue.may_create_table):
        report.mistakes.append(f"{catalogue.user} may not make lease tables in schema az_func; run {_PREPARE} --app-user NAME")
    if catalogue.owner:
        report.unchecked.append("the rights of the app's own user: this one owns the database, and may do everything")
    for relay in config.relays:
        facts, wrong = _ask_relay(relay, config, catalogue, report.site if site_known else None)
        report.database["relays"].append(facts)
        report.mistakes += [f"relay {relay.name}: {text}" for text in wrong]


def _ask_relay(relay: RelayConfig, config: Config, catalogue: Catalogue, site: str | None) -> tuple[dict[str, Any], list[str]]:
    table = catalogue.table(relay.table)
    owner, registered = catalogue.owners.get(relay.name.lower(), (None, None))
    facts: dict[str, Any] = {"name": relay.name, "exists": table is not None, "registered": registered is not None, "app": owner}
    wrong = []
    if owner is not None and site is not None and owner.lower() != site.lower():
        wrong.append(
            f"it belongs to the app {owner!r}, and this app is {site!r} (another: --site NAME); give it another name, or hand it "
            f"over: UPDATE rowpost.Relays SET App = NULL WHERE Relay = {literal(relay.name)}"
        )
    if registered is not None and registered.lower() != relay.table.lower():
        wrong.append(f"in this database a relay of this name is of the table {registered}; give it a name of its own")
    if table is None:
        return facts, [f"there is no table {relay.table}, or {catalogue.user} may not see it; create it, or grant it", *wrong]
    facts |= {
        "key": table.key,
        "columns": [column.name for column in table.columns],
        "tracked": table.tracks_columns is not None,
        "tracks_columns": bool(table.tracks_columns),
        "may_select": table.may_select,
        "may_view_change_tracking": table.may_view,
        "granted_to_role": sorted(table.granted),
    }
    names = {column.name.lower(): column for column in table.columns}
    if not table.key:
        wrong.append("the table has no primary key, which change tracking needs; add one")
    if table.clr_columns:
        wrong.append(f"the SQL trigger does not support the CLR types of the columns {', '.join(table.clr_columns)}")
    if table.tracks_columns is None:
        wrong.append("change tracking is off for the table; run infra/prepare_database.py")
    elif relay.watch is not None and not table.tracks_columns:
        wrong.append("watch: the table does not track which columns change; enable it WITH (TRACK_COLUMNS_UPDATED = ON)")
    if relay.ignore_context is not None and table.tracks_columns is False:
        wrong.append("ignore_context: the table does not track which columns change; enable it WITH (TRACK_COLUMNS_UPDATED = ON)")
    for permission, given in (("SELECT", table.may_select), ("VIEW CHANGE TRACKING", table.may_view)):
        if not given:
            wrong.append(f"{catalogue.user} lacks the permission {permission} on the table; run infra/prepare_database.py")
    for what in ("send", "watch"):
        for column in getattr(relay, what) or []:
            if column.lower() not in names and relay.lost_columns == "continue":
                continue
            if column.lower() not in names:
                wrong.append(f"{what}: there is no column {column!r}; the table has {', '.join(c.name for c in table.columns)}")
            elif what == "watch" and names[column.lower()].computed:
                wrong.append(f"watch: change tracking never lists the computed column {column}; watch those it is computed from")
    sent = [c.name for c in table.columns if relay.send is None or c.key or c.name.lower() in {n.lower() for n in relay.send}]
    with suppress(ValueError, KeyError):  # a text of the section is wrong, or its target, which is told already
        wrong += column_mistakes(relay, table.key, sent)
        types = {column.name: column.type or "" for column in table.columns if column.name in sent}
        if not wrong and (
            problem := try_sample(shape_of(relay, config.target(relay.target)), {name: types[name] for name in table.key}, types)
        ):
            wrong.append(problem)
    return facts, wrong


# --- the command ---


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dev.py check-config", description="Explain a relay.toml, and find its mistakes.")
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="default: relay.toml beside function_app.py")
    parser.add_argument(
        "--connection", nargs="?", const="", metavar="TEXT", help="ask the database too; without TEXT that of the app setting"
    )
    parser.add_argument("--site", metavar="NAME", help="the app's name (default: the setting WEBSITE_SITE_NAME)")
    parser.add_argument("--json", action="store_true", help="for tools")
    parser.add_argument("--from", dest="folder", type=Path, default=Path(), help=argparse.SUPPRESS)  # where the caller is
    return parser.parse_args(given)


def main() -> int:
    """Print the report; 1 if there is a mistake."""
    options = arguments()
    try:
        settings = known_settings()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    default = settings.get("ROWPOST_CONFIG") or ROOT / "relay.toml"
    site = settings.get("WEBSITE_SITE_NAME", "") if options.site is None else options.site
    report, config = examine(options.folder / (options.file or default), settings, site)
    if config is not None and options.connection is not None:
        setting = config.database.connection
        text = options.connection or settings.get(setting, "")
        try:
            ask(report, config, read_catalogue(text, "--connection" if options.connection else setting), site_known=bool(site))
        except (ConfigError, CatalogueError) as error:
            if str(error) not in report.mistakes:
                report.mistakes.append(str(error))
    elif config is not None:
        window = duration(config.retry.window.seconds)
        report.unchecked.append(
            f"what only the database knows, such as whether retry.window ({window}) is shorter than its change retention; "
            f"--connection asks it"
        )
    print(json.dumps(_plain(report), indent=2, ensure_ascii=False) if options.json else as_text(report))
    return 1 if report.mistakes else 0


def _plain(report: Report) -> dict[str, Any]:
    found = structs.asdict(report)
    found["sections"] = {name: [structs.asdict(value) for value in values] for name, values in report.sections.items()}
    schedule = report.schedule
    if schedule is not None:
        found["schedule"] = structs.asdict(schedule) | {
            "attempts": [structs.asdict(each) for each in schedule.attempts],
            "rounds": [structs.asdict(each) for each in schedule.rounds],
            "last": None if schedule.last is None else structs.asdict(schedule.last),
        }
    return {"ok": not report.mistakes, **found}


if __name__ == "__main__":
    sys.exit(main())
