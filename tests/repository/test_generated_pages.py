"""What pages have from the code is what the code has now."""

from __future__ import annotations

from devtools import pages


def test_the_pages_are_up_to_date() -> None:
    texts = [page.read_text(encoding="utf-8") for page in pages.PAGES]
    assert texts == [pages.updated(text) for text in texts], "run `python -m devtools.pages`"
    assert all(f"<!-- generated: {name} -->" in "".join(texts) for name in pages.BLOCKS)


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
        "auth",
        "telemetry",
        "http",
        "config",
        "rules",
    ]
    assert arrows and all(order.index(upper.strip()) < order.index(lower.strip()) for upper, lower in arrows)
