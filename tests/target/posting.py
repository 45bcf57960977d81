"""Events, and posts of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from rowpost.config.sections import Duration, TargetConfig
from rowpost.rules.answer import Answer
from rowpost.rules.row import ClaimedRow
from rowpost.target.delivery import Deliverer
from rowpost.target.event import Event, build_event
from rowpost.target.shape import Shape

SECRET_VALUE = "value-of-the-row"
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SHORT = Duration(0.3)


def events(count: int = 1, first: int = 1) -> list[Event]:
    rows = [ClaimedRow({"Id": n}, 100 + n, 1, True, {"Id": n, "Name": SECRET_VALUE}) for n in range(first, first + count)]
    return [build_event(Shape("dbo.Orders"), row, 0, None, NOW) for row in rows]


def deliverer(url: str, **values: Any) -> Deliverer:
    return Deliverer(TargetConfig(name="api", url=url, **({"concurrency": 1, "timeout": Duration(5)} | values)))


def post(url: str, **values: Any) -> Answer:
    (answer,) = deliverer(url, **values).deliver(events())
    return answer
