"""What the infrastructure and the app must agree on: the line that the alerts read, and settings in the form that Bicep gives."""

from __future__ import annotations

import json
import re

from devtools.data import DEMO_CONFIG
from rowpost.config.loading import load_config
from rowpost.operations.status import PLACES, STATE_LINE, state_line
from rowpost.telemetry.journal import ATTEMPT_LINE
from tests.deploy.bicep import INFRA, ROOT
from tests.deploy.test_alerts import all_queries
from tests.deploy.test_settings import LOCAL, provided


def test_the_app_starts_with_mail_by_identity() -> None:
    mail = provided()["EMAIL_CONNECTION_STRING"].replace("${emailEndpoint}", "https://acs-x.europe.communication.azure.com")
    config = load_config(DEMO_CONFIG, {**LOCAL, "EMAIL_CONNECTION_STRING": mail})
    assert config.notifications.email is not None
    assert config.notifications.email.service == ("https://acs-x.europe.communication.azure.com", None)


def test_alerts_and_workbook_read_the_line_that_the_watchdog_writes() -> None:
    lines = [query for query in all_queries().values() if "parse_json" in query or "relay_state" in query]
    readers = [query for query in lines if f'startswith "{ATTEMPT_LINE}"' not in query]
    assert len(readers) >= 6
    for query in readers:
        assert f'startswith "{STATE_LINE}"' in query
        assert query.count("substring(") == query.count(f'substring(Message, strlen("{STATE_LINE}"))')


def test_every_field_that_is_queried_is_in_the_line() -> None:
    source = (ROOT / "rowpost" / "operations" / "status.py").read_text(encoding="utf-8")
    fields = set(re.findall(r'^        "(\w+)": ', source[: source.index("def state_line")], re.MULTILINE)) | {*PLACES, "dead"}
    queried = {name for query in all_queries().values() for name in re.findall(r"\bState\.(\w+)", query)}
    assert queried and queried <= fields
    assert json.loads(state_line({"relay": "dbo.T"}).removeprefix(STATE_LINE)) == {"relay": "dbo.T"}
    assert (INFRA / "app" / "queries").is_dir()
