"""``dev.py init`` and ``dev.py check-config`` as a person runs them, without a database."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from devtools.check_config import HIDDEN, examine
from devtools.data import DEMO_CONFIG
from devtools.init_config import settings_text, template
from rowpost.config.loading import load_config
from tests.config.relay_toml import SETTINGS
from tests.devtools.commands import ROOT, SITE, URL, check, dev, written

# --- init without a database ---


def test_a_template_loads_and_has_every_setting_with_its_default(tmp_path: Path) -> None:
    done = dev("init", "--no-database", "--output", "mine.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "mine.toml").read_text(encoding="utf-8")
    assert text == template()
    config = load_config(tmp_path / "mine.toml", URL)
    assert [relay.table for relay in config.relays] == ["dbo.YourTable"] and [target.name for target in config.targets] == ["api"]
    demo = tomllib.loads(uncommented(DEMO_CONFIG.read_text(encoding="utf-8")))
    document = tomllib.loads(uncommented(text))
    for section in ("database", "targets", "retry", "notifications", "watchdog"):
        assert document[section] == demo[section], f"{section}, with every # removed, is what the demo has"


def uncommented(text: str) -> str:
    """With the settings that are comments."""
    return "\n".join(line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines(text))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(("# %", "# One section", "# table. "))]


def test_without_a_connection_string_it_writes_the_template(tmp_path: Path) -> None:
    done = dev("init", "--output", "mine.toml", cwd=tmp_path)
    assert done.returncode == 0 and "a template" in done.stdout
    assert (tmp_path / "mine.toml").read_text(encoding="utf-8") == template()


def test_a_file_is_never_overwritten_unless_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# mine\n")
    done = dev("init", "--no-database", "--output", "mine.toml", cwd=tmp_path)
    assert done.returncode == 1 and file.read_text() == "# mine\n"
    (sentence,) = done.stderr.splitlines()
    assert "the file exists and is left as it is; --force overwrites it, --output FILE writes another" in sentence
    assert dev("init", "--no-database", "--force", "--output", "mine.toml", cwd=tmp_path).returncode == 0
    assert file.read_text(encoding="utf-8") == template() and [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["--connection", "Server=x;Database=y", "--no-database"], 2, "exclude each other"),
        (["--connection", "Server=x"], 1, "--connection: the keyword Database (Initial Catalog) is missing"),
        (["--connection", "Server"], 1, "--connection: malformed connection string at part 1"),
        (["--no-database", "--output", "nowhere/mine.toml"], 1, "cannot be written (No such file or directory)"),
        (
            ["--connection", "Server=tcp:127.0.0.1,1;Database=rowpost;User ID=sa;Password=hidden;Connect Timeout=2"],
            1,
            "no connection to rowpost on tcp:127.0.0.1,1",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(arguments: list[str], code: int, told: str, tmp_path: Path) -> None:
    done = dev("init", "--output", "mine.toml", *arguments, cwd=tmp_path)
    assert done.returncode == code and told in done.stderr and "hidden" not in done.stderr
    assert len(done.stderr.splitlines()) == 1 or code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_sections_that_are_shown_end_where_the_demos_relays_begin() -> None:
    assert "dbo." not in settings_text() and "[[relays]]" not in settings_text()


# --- check-config without a database ---


def test_the_demos_file_is_explained_without_a_value_of_a_setting(tmp_path: Path) -> None:
    done = check(DEMO_CONFIG, **SETTINGS)
    assert done.returncode == 0, done.stdout
    assert "hidden" not in done.stdout.replace(HIDDEN, "")
    for expected in (
        "relay_dbo_Flights",
        f"az_func.Leases_rowpost_dbo_Flights_{lease_owner()}",
        "%DOWNSTREAM_API_KEY%",
        "attempt 5 of the trigger",
        "Mon 05 Jan 22:35:00  round 10, 6h later, by recovery itself",
        "Mon 12 Jan 08:00:00  dead letter, and people are told",
        "Mon 05 Jan 08:15:00  people are told",
        "not checked: what only the database knows, such as whether retry.window (7d) is shorter",
        "no mistakes, no warnings",
    ):
        assert expected in done.stdout, expected


def lease_owner() -> str:
    config = load_config(DEMO_CONFIG, SETTINGS)
    return config.relays[0].lease_table(SITE).rpartition("_")[2]


def test_settings_that_are_not_known_here_hinder_nothing(tmp_path: Path) -> None:
    settings = dict.fromkeys(SETTINGS, "")
    done = check(DEMO_CONFIG, **settings)
    assert done.returncode == 0, done.stdout
    assert "not checked: the value of the app setting EMAIL_CONNECTION_STRING is not known here" in done.stdout
    file = written(tmp_path / "relay.toml", more='timeout = "%TIMEOUT%"')
    done = check(file, **URL)
    assert done.returncode == 1
    assert "relay.toml: targets[0].timeout: the app setting TIMEOUT is not set here, and the file cannot be checked" in done.stdout


def test_every_mistake_is_told(tmp_path: Path) -> None:
    file = written(
        tmp_path / "relay.toml",
        '[[relays]]\ntable = "Orders"\nsend = []\n[[relays]]\ntable = "dbo.A"\ntarget = "lake"\n[watchdog]\nschedule = "often"\n'
        '[retry]\nmax_delay = "1s"\n',
        'probe = "0.5s"',
    )
    done = check(file, **URL)
    assert done.returncode == 1
    told = [line.removeprefix("mistake: relay.toml: ") for line in done.stdout.splitlines() if line.startswith("mistake")]
    begins = ["retry.max_delay: is shorter", "watchdog.schedule: is not an NCRONTAB", "targets[0].probe: is too short"]
    begins += ["relays[0].table: expected schema.table", "relays[0].send: is empty", "relays[1].target: there is no target 'lake'"]
    assert [(text, begin) for text, begin in zip(told, begins, strict=True) if not text.startswith(begin)] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[retry\n", "relay.toml: not valid TOML"),
        ("[retry]\nattemps = 1\n", "relay.toml: retry.attemps: unknown key"),
        ("[[tables]]\n", "[[tables]] is now [[relays]]"),
        ("", "relay.toml: targets: missing; add it"),
        ('targets = "x"\nrelays = "y"\n', "relay.toml: targets: "),
        ('retry = 3\n[[targets]]\nname = "a"\nurl = "x"\n', "relay.toml: retry: "),
    ],
)
def test_a_file_that_is_none_is_told(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(text)
    done = check(tmp_path / "relay.toml")
    (mistake,) = [line for line in done.stdout.splitlines() if line.startswith("mistake: ")]
    assert done.returncode == 1 and told in mistake


def test_a_missing_file_and_a_wrong_flag_are_told(tmp_path: Path) -> None:
    done = check(tmp_path / "none.toml")
    assert done.returncode == 1 and "make it with `python3 dev.py init`" in done.stdout
    assert check(tmp_path / "none.toml", "--nonsense").returncode == 2


OAUTH2 = '[targets.oauth2]\ntoken_url = "{}"\nclient_id = "hidden-not"\nclient_secret = "%S%"'


@pytest.mark.parametrize(
    ("more", "relays", "settings", "warning"),
    [
        ("", "", {"DOWNSTREAM_URL": "http://api.example/rows"}, "targets[0].url: http is not encrypted"),
        ("", "", {"SqlConnectionString": "Server=x;Database=y;Encrypt=False"}, "SqlConnectionString: Encrypt is off"),
        ("", "", {}, "notifications: nobody is told"),
        ('probe = "12h"', "", {}, "targets[0].probe: longer than retry.max_delay"),
        ('probe = "8d"', "", {}, "targets[0].probe: as long as retry.window"),
        ('[targets.headers]\nX-Api-Key = "literal"', "", {}, "targets[0].headers.X-Api-Key: what may be a secret"),
        ("", '[notifications]\nafter = "8d"\nafter_rounds = 50\n', {}, "notifications.after: the window is not longer"),
        ("", "[retry]\ndetach_after_rounds = 50\n", {}, "retry.detach_after_rounds: only 35 rounds fit"),
        ("", '[retry]\nwindow = "2m"\nmax_delay = "2m"\n', {}, "retry.window: no round fits"),
        ('[targets.basic]\nuser = "a"\npassword = "literal"', "", {}, "targets[0].basic.password: a secret stands in the file"),
        (f'[targets.signature]\nsecrets = ["{"A" * 43}"]', "", {}, "targets[0].signature.secrets[0]: a secret stands in the file"),
        (OAUTH2.format("http://login.example/"), "", {"S": "x"}, "targets[0].oauth2.token_url: http is not encrypted"),
        ('[[targets]]\nname = "b"\nurl = "https://b.example"', "", {}, "targets[1]: no relay has the target b"),
    ],
)
def test_what_is_hardly_meant_is_a_warning(more: str, relays: str, settings: dict[str, str], warning: str, tmp_path: Path) -> None:
    relay = '[[relays]]\ntable = "dbo.Orders"\ntarget = "api"\n'
    done = check(written(tmp_path / "relay.toml", f"{relay}{relays}", more), **(URL | settings))
    assert done.returncode == 0, done.stdout
    assert f"warning: {warning}" in done.stdout


def test_secrets_that_stand_in_the_file_are_not_shown(tmp_path: Path) -> None:
    more = '[targets.headers]\nX-Api-Key = "hunter2"\nAuthorization = "Bearer %TOKEN% hunter2"\n'
    more += '[[targets]]\nname = "b"\nurl = "https://me:hunter2@b.example/rows?code=hunter2#hunter2"\n'
    more += '[[notifications.webhooks]]\nurl = "https://hooks.example/services/hunter2"\n'
    more += '[[notifications.webhooks]]\nurl = "%HOOK%?code=hunter2"\n[notifications.email]\nsender = "a@example.com"\n'
    more += 'recipients = ["b@example.com"]\nconnection = "endpoint=https://mail.example/;accesskey=hunter2"'
    file = written(tmp_path / "relay.toml", '[[relays]]\ntable = "dbo.Orders"\ntarget = "b"\n', more)
    for arguments in ([], ["--json"]):
        done = check(file, *arguments, **URL, TOKEN="hunter2", HOOK="https://hunter2.example")
        assert done.returncode == 0, done.stdout
        assert "hunter2" not in done.stdout + done.stderr
        assert f"https://b.example/rows?{HIDDEN}" in done.stdout and f"%TOKEN% {HIDDEN}" in done.stdout


def test_how_a_target_knows_the_app_is_shown_without_secrets(tmp_path: Path) -> None:
    more = '[targets.basic]\nuser = "rowpost"\npassword = "hunter2"\n[targets.signature]\nsecrets = ["%NEWER%", "%FORMER%"]\n'
    more += '[[targets]]\nname = "c"\nurl = "https://c.example/"\n[targets.managed_identity]\nresource = "api://x"\n'
    more += "client_id = '%ID%'\n[targets.signature]\nsecrets = ['@Microsoft.KeyVault(VaultName=vault;SecretName=hook)']\n"
    more += '[[targets]]\nname = "b"\nurl = "https://b.example/"\n[targets.oauth2]\nclient_secret = "hunter2"\nclient_id = "%ID%"\n'
    more += 'token_url = "https://login.example/t?code=hunter2"\nparameters = {audience = "hunter2%ID%"}\n'
    file = written(tmp_path / "relay.toml", '[[relays]]\ntable = "dbo.Orders"\ntarget = "b"\n', more)
    for arguments in ([], ["--json"]):
        done = check(file, *arguments, **URL)  # none of the settings is known here
        assert done.returncode == 0, done.stdout
        assert "hunter2" not in done.stdout + done.stderr
        for expected in (
            "%NEWER%",
            "%FORMER%",
            "rowpost",
            f"https://login.example/{HIDDEN}?{HIDDEN}",
            "api://x",
            "VaultName=vault",
        ):
            assert expected in done.stdout, expected


CHANNELS = """
[notifications.smtp]
host = "mail.example"
sender = "a@example.com"
recipients = ["b@example.com", "%PERSON%"]
user = "rowpost"
password = "%MAIL_PASSWORD%"
[[notifications.webhooks]]
url = "https://hooks.example/hunter2"
signature = { secrets = ["%SIGNING%"] }
[[notifications.teams]]
url = "%TEAMS%"
[[notifications.slack]]
url = "https://hooks.slack.com/services/T0/B0/hunter2"
[[notifications.pagerduty]]
routing_key = "%PAGERDUTY%"
"""


def test_the_channels_of_notices_are_named_without_their_secrets(tmp_path: Path) -> None:
    file = written(tmp_path / "relay.toml", more=CHANNELS)
    for arguments in ([], ["--json"]):
        done = check(file, *arguments, **URL)  # none of the settings of the channels is known here
        assert done.returncode == 0, done.stdout
        assert "hunter2" not in done.stdout + done.stderr
        for expected in ("smtp (2), webhook (1), teams (1), slack (1), pagerduty (1)", "%MAIL_PASSWORD%", "%SIGNING%", "%TEAMS%"):
            assert expected in done.stdout, expected
        assert "notifications.slack[0].url: a secret stands in the file" in done.stdout


def test_the_requests_of_a_relay_are_shown_without_what_may_be_a_secret(tmp_path: Path) -> None:
    relay = '[[relays]]\ntable = "dbo.Orders"\nupsert = "PUT /%TENANT%/{Id}"\ndelete = "DELETE /{Id}"\ndelete_success = [404]\n'
    relay += 'numbers = "exact"\n[relays.query]\ncode = "hunter2"\nid = "{Id}"\n[relays.headers]\nX-Api-Key = "hunter2 %TOKEN%"\n'
    relay += 'Authorization = "hunter2"\n[relays.body]\nkey = "hunter2"\n'
    file = written(tmp_path / "relay.toml", relay)
    for arguments in ([], ["--json"]):
        done = check(file, *arguments, **URL, TOKEN="hunter2", TENANT="hunter2")
        assert done.returncode == 0, done.stdout
        assert "hunter2" not in done.stdout + done.stderr
        assert "PUT /%TENANT%/{Id}" in done.stdout and f"%TOKEN% {HIDDEN}" in done.stdout and "a template" in done.stdout
    found = json.loads(done.stdout)
    assert found["relays"][0]["sending"]["delete_success"] == [404]
    for field in ("query.code", "headers.Authorization"):
        assert any(text.startswith(f"relays[0].{field}: what may be a secret") for text in found["warnings"])


def test_json_is_for_tools(tmp_path: Path) -> None:
    found = json.loads(check(written(tmp_path / "relay.toml"), "--json", **URL).stdout)
    assert found["ok"] is True and found["mistakes"] == [] and found["database"] is None
    assert found["relays"][0]["function"] == "relay_dbo_Orders"
    assert found["settings"] == {"DOWNSTREAM_URL": True, "SqlConnectionString": False}
    assert {"name": "window", "shown": "7d", "default": True} in found["sections"]["retry"]
    assert found["schedule"]["rounds"][0] == {"number": 1, "delay_seconds": 60, "at_seconds": 300, "detached": False}
    found = json.loads(check(tmp_path / "none.toml", "--json").stdout)
    assert found["ok"] is False and len(found["mistakes"]) == 1


def test_a_window_beyond_every_calendar_is_a_mistake(tmp_path: Path) -> None:
    for days in ("99999999d", "9" * 400 + "d"):
        done = check(written(tmp_path / "relay.toml", more=f'[retry]\nwindow = "{days}"'), **URL)
        assert done.returncode == 1 and "retry.window: is too long" in done.stdout


def test_both_commands_are_subcommands_of_dev_py() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "dev.py")], capture_output=True, text=True)
    assert "\n  init          write relay.toml" in done.stdout and "\n  check-config  explain relay.toml" in done.stdout


def test_examine_knows_every_section_of_the_demo() -> None:
    report, config = examine(DEMO_CONFIG, SETTINGS, SITE)
    assert config is not None
    channels = ["notifications", "notifications.email", "notifications.webhooks[0]"]
    names = ["database", "targets: api", "retry", *channels, "watchdog"]
    assert list(report.sections) == names
