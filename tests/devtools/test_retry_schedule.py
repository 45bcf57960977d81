"""The schedule of a row that fails for ever: properties of every configuration, and the app itself keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.retry_schedule import RetrySchedule, Round, retry_schedule
from rowpost.config.notifications import NotificationsConfig
from rowpost.config.sections import RetryConfig
from rowpost.config.units import Duration
from tests.harness.running_relay import Relay, changed_config

DAY = 86400
ROUNDS_ALONE = NotificationsConfig(after=Duration(400.0 * DAY))
TIMES = st.integers(1, 30 * DAY).map(lambda seconds: Duration(float(seconds)))
PEOPLE = st.builds(NotificationsConfig, after=TIMES, after_rounds=st.integers(1, 40))


@st.composite
def retries(draw: st.DrawFn) -> RetryConfig:
    first = draw(st.integers(1, DAY))
    longest = draw(st.integers(first, 3 * DAY))
    window = draw(st.integers(longest, 30 * DAY))
    return RetryConfig(
        attempts=draw(st.integers(1, 5)),
        strategy=draw(st.sampled_from(["exponential", "fixed"])),
        first_delay=Duration(float(first)),
        factor=draw(st.floats(1.1, 50)),
        max_delay=Duration(float(longest)),
        window=Duration(float(window)),
        detach_after_rounds=draw(st.integers(1, 40)),
    )


def every_round(schedule: RetrySchedule, retry: RetryConfig) -> list[Round]:
    """All rounds within the window, one after the other: the slow way to what the schedule sums up."""
    found, at = [], schedule.attempts[-1].at_seconds
    while True:
        number = len(found) + 1
        delay = retry.backoff.delay_seconds(number)
        at += delay
        if at >= retry.window.seconds:
            return found
        found.append(Round(number, delay, at, number > retry.detach_after_rounds))


def test_the_defaults_spell_out() -> None:
    schedule = retry_schedule(RetryConfig(), ROUNDS_ALONE)
    assert [attempt.at_seconds for attempt in schedule.attempts] == [0, 60, 120, 180, 240]
    assert [each.delay_seconds for each in schedule.rounds] == [60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600]
    assert [each.detached for each in schedule.rounds] == [False] * 5 + [True] * 5
    assert schedule.told_seconds == schedule.rounds[8].at_seconds == 240 + 60 * (2**9 - 1)
    assert retry_schedule(RetryConfig(), NotificationsConfig()).told_seconds == 900, "by default after fifteen minutes"
    assert schedule.dead_seconds == 168 * 3600
    assert schedule.last is not None and schedule.count == schedule.last.number == 35
    assert 168 * 3600 - 21600 <= schedule.last.at_seconds < 168 * 3600


@settings(max_examples=300, deadline=None)
@given(retry=retries().filter(lambda retry: retry.window.seconds / retry.first_delay.seconds < 5000))
def test_it_sums_up_all_the_rounds(retry: RetryConfig) -> None:
    schedule, rounds = retry_schedule(retry, ROUNDS_ALONE), every_round(retry_schedule(retry, ROUNDS_ALONE), retry)
    assert (schedule.count, schedule.last) == (len(rounds), rounds[-1] if rounds else None)
    assert schedule.rounds == rounds[: len(schedule.rounds)]
    left_out = rounds[len(schedule.rounds) :]
    assert all(each.delay_seconds == schedule.rounds[-1].delay_seconds for each in left_out), "only what repeats is left out"


@settings(max_examples=300, deadline=None)
@given(retry=retries(), people=PEOPLE)
def test_times_grow_and_stay_within_the_window(retry: RetryConfig, people: NotificationsConfig) -> None:
    schedule = retry_schedule(retry, people)
    times = [attempt.at_seconds for attempt in schedule.attempts] + [each.at_seconds for each in schedule.rounds]
    assert all(one < other for one, other in pairwise(times)) and times[0] == 0
    assert all(each.at_seconds < retry.window.seconds <= schedule.dead_seconds for each in schedule.rounds)
    assert all(one.delay_seconds <= other.delay_seconds for one, other in pairwise(schedule.rounds))
    assert len(schedule.rounds) <= 200, "short enough to print, whatever the configuration"
    if schedule.told_seconds is not None:
        assert schedule.attempts[-1].at_seconds <= schedule.told_seconds < schedule.dead_seconds
    late = schedule.count < people.after_rounds - 1 and people.after.seconds >= retry.window.seconds
    assert (schedule.told_seconds is None) == (late or schedule.attempts[-1].at_seconds >= retry.window.seconds)


def test_the_app_keeps_it(make_relay: Callable[..., Relay]) -> None:
    """One row that the API refuses for ever, with delays that end in a repeated one."""
    told_by_rounds = '4\nafter = "10h"'
    window = '"2h"\nattempts = 3\nfirst_delay = "4m"'
    relay = make_relay(changed_config(after_rounds=told_by_rounds, max_delay='"15m"', window=window))
    schedule = retry_schedule(relay.stack.config.retry, relay.stack.config.notifications)
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=3)
    posts = [datetime.fromisoformat(attempt.at) for attempt in relay.posts(1)]
    expected = [attempt.at_seconds for attempt in schedule.attempts]
    expected += [each.at_seconds for each in every_round(schedule, relay.stack.config.retry)]
    assert schedule.count > len(schedule.rounds), "some rounds repeat the longest delay"
    seen = [(post - posts[0]).total_seconds() for post in posts]
    assert len(seen) == len(expected)
    for number, (found, wanted) in enumerate(zip(seen, expected, strict=True)):
        assert abs(found - wanted) <= 5 * (number + 1), "each look of the trigger and of recovery may add a few seconds"
    (alarm,), (dead,) = relay.alerts("alarm"), relay.alerts("dead_letter")
    assert schedule.told_seconds is not None
    told = datetime.fromisoformat(alarm["at"]).replace(tzinfo=posts[0].tzinfo) - posts[0]
    assert abs(told - timedelta(seconds=schedule.told_seconds)) < timedelta(seconds=60)
    died = datetime.fromisoformat(dead["at"]).replace(tzinfo=posts[0].tzinfo) - posts[0]
    assert abs(died - timedelta(seconds=schedule.dead_seconds)) < timedelta(seconds=60)
