"""A recovery that sleeps through a deployment wakes up in new code, whose steps its history does not fit: rows are delivered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.stack import ROOT
from emulators.launch import FunctionsHost
from tests.harness.running_relay import Relay

APP = ("function_app.py", "host.json", "activities", "entities", "orchestrators", "rowpost", "triggers")
SURVEY = 'survey = yield context.call_activity("survey_relay", known)'
INPUT = "state: dict[str, Any] = dict(context.get_input() or {})"
NEXT = "context.continue_as_new(known)"
FORMER_STEPS = {
    "one step more": [(SURVEY, f"yield context.call_activity('redeliver_relay', known); {SURVEY}")],
    "a timer before": [(SURVEY, f"yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1)); {SURVEY}")],
    "steps of other names": [(SURVEY, SURVEY.replace("survey_relay", "survey_of_before"))],
    "an event of another name": [("wait_for_external_event(WAKE)", "wait_for_external_event('wake_of_before')")],
    "no number": [(NEXT, 'context.continue_as_new({"relay": relay})')],
    "more that it carries": [(NEXT, 'context.continue_as_new({**known, "incident": "5", "alarmed": True, "untold": {}})')],
}


@pytest.mark.parametrize("former", FORMER_STEPS)
def test_a_recovery_of_the_former_code_goes_on_in_the_new_code(
    former: str, make_relay: Callable[..., Relay], tmp_path: Path
) -> None:
    relay = make_relay()
    relay.stack.host.stop()  # type: ignore[union-attr]
    stack = relay.stack
    stack.host = FunctionsHost(_former_app(tmp_path / "former", former), relay.directory, stack.clock_spec, stack.settings)
    stack.host.start()
    stack.downstream.set_mode("down", path="/rows")
    relay.insert(1, 2)
    relay.advance(hours=1)
    stack.host.stop()
    assert [state for _, state, *_ in relay.ledger()] in (["held"] * 2, ["detached"] * 2)
    relay.accept_all()
    stack.start_host()
    assert relay.advance(hours=1, until=lambda: relay.accepted(1) is not None and relay.accepted(2) is not None)
    assert relay.advance(hours=1, until=lambda: relay.ledger() == [])
    relay.insert(3)
    assert relay.advance(60, until=lambda: relay.accepted(3) is not None)


def _former_app(directory: Path, former: str) -> Path:
    directory.mkdir()
    for name in APP:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, directory / name)
    recovery = directory / "orchestrators" / "recovery.py"
    text = recovery.read_text()
    for now, before in FORMER_STEPS[former]:
        assert text.count(now) == 1
        text = text.replace(now, before)
    recovery.write_text(text)
    steps = directory / "activities" / "recovery_steps.py"
    if "other names" in former:
        steps.write_text(steps.read_text().replace('"survey_relay"', '"survey_of_before"'))
    return directory
