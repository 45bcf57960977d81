"""The drawings of the architecture are those of the code."""

from __future__ import annotations

from devtools import pages


def test_the_drawings_are_up_to_date() -> None:
    text = pages.PAGE.read_text(encoding="utf-8")
    assert text == pages.updated(text), "run `python -m devtools.pages`"
    assert all(f"<!-- generated: {name} -->" in text for name in pages.BLOCKS)


def test_a_stale_drawing_is_noticed() -> None:
    page = "before\n<!-- generated: lifecycle -->\nstale\n<!-- end -->\nafter\n"
    assert "stateDiagram-v2" in pages.updated(page) and "stale" not in pages.updated(page)


def test_the_drawing_of_the_rooms_points_down_only() -> None:
    arrows = [tuple(line.split(" --> ")) for line in pages.rooms().splitlines() if " --> " in line]
    order = [
        "watchdog",
        "operations",
        "recovery",
        "relay",
        "app",
        "contract",
        "notices",
        "database",
        "target",
        "http",
        "config",
        "rules",
    ]
    assert arrows and all(order.index(upper.strip()) < order.index(lower.strip()) for upper, lower in arrows)
