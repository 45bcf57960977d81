"""The dashboard for Grafana: its form, and that each metric and label it asks for is one that the app sends."""

from __future__ import annotations

import json
import re
from typing import Any

from grafana_foundation_sdk.models.dashboard import Dashboard

from rowpost.telemetry.instruments import INSTRUMENTS
from tests.deploy.bicep import INFRA

DASHBOARD: dict[str, Any] = json.loads((INFRA / "grafana" / "rowpost.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
_UNITS = {"s": "_seconds", "1": "", "{row}": "", "{event}": ""}


def prometheus_names() -> dict[str, set[str]]:
    """The metrics as Prometheus names them, each with its labels: dots are underscores, the unit and the kind follow."""
    found = {}
    for name, instrument in INSTRUMENTS.items():
        labels = {attribute.replace(".", "_") for attribute in instrument.attributes}
        base = name.replace(".", "_") + _UNITS[instrument.unit]
        for suffix in {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count"]}[instrument.kind]:
            found[base + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def plain(each: Any) -> Any:
    """A model as JSON values."""
    return json.loads(json.dumps(each, default=lambda model: model.to_json()))


def lost(mine: Any, again: Any, place: str = "") -> list[str]:
    """What of a document is not there any more."""
    if isinstance(mine, dict) and isinstance(again, dict):
        return [text for key in mine for text in lost(mine[key], again.get(key), f"{place}.{key}")]
    if isinstance(mine, list) and isinstance(again, list) and len(mine) == len(again):
        return [text for number, each in enumerate(mine) for text in lost(each, again[number], f"{place}[{number}]")]
    return [] if mine == again else [f"{place}: {mine!r} became {again!r}"]


def test_the_models_of_grafanas_own_sdk_read_all_of_it_and_write_it_again() -> None:
    assert lost(DASHBOARD, plain(Dashboard.from_json(DASHBOARD))) == []
    wrong = {**DASHBOARD, "pannels": []}
    assert lost(wrong, plain(Dashboard.from_json(wrong))) != []


def test_panels_have_their_place() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells


def test_each_query_asks_for_metrics_and_labels_that_the_app_sends() -> None:
    known, asked = prometheus_names(), set()
    for query in [*QUERIES, *(each["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query")]:
        names = set(re.findall(r"\b(?:rowpost|http)_\w+", query))
        (metric,) = names & set(known)
        labels = {label for text in re.findall(r"by \(([^)]*)\)", query) for label in text.split(", ")}
        assert labels | (names - {metric}) <= known[metric], query
        asked.add(re.sub("_(bucket|count)$", "", metric))
    assert asked == {re.sub("_(bucket|count)$", "", name) for name in known}, "a metric that nobody looks at"
