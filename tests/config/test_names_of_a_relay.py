"""The names that follow from that of a relay: they fit where they are used, and those of different relays differ."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rowpost.config.sections import RelayConfig
from tests.config.relay_toml import changed, load

FUNCTION = re.compile(r"(?i)[a-z][a-z0-9_-]{0,127}")  # what the host takes
PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="[]."), min_size=1, max_size=128)
PLAIN = st.text("abcXYZ09_", min_size=1, max_size=128)
TABLES = st.tuples(PLAIN | PARTS, PLAIN | PARTS).map(".".join)


@pytest.mark.parametrize("name", ["dbo.Orders", "dbo.Order Lines", "dbo.Größe", "売上.注文", "a-b.c;d"])
def test_slugs_fit_function_names_and_differ(name: str, tmp_path: Path) -> None:
    other = name[:-1] + "ß"
    config = load(changed("relays", [{"table": name}, {"table": other}]), tmp_path)
    for relay in config.relays:
        assert relay.slug.isascii() and relay.slug.replace("_", "a").isalnum(), relay.slug


@pytest.mark.parametrize(("one", "other"), [("sales.eu_Orders", "sales_eu.Orders"), ("a.b_c", "a_b.c"), ("a_.b", "a._b")])
def test_names_that_differ_only_by_dots_and_underscores_are_two_names(one: str, other: str, tmp_path: Path) -> None:
    config = load(changed("relays", [{"table": one}, {"table": other}]), tmp_path)
    assert len({relay.function for relay in config.relays}) == 2
    assert len({relay.lease_table("site") for relay in config.relays}) == 2


def table(letters: int) -> RelayConfig:
    return RelayConfig(table=f"dbo.{'a' * letters}")


@given(TABLES, st.text(min_size=1, max_size=100))
@example(f"dbo.{'a' * 128}", "site")
@example(f"{'a' * 128}.{'b' * 128}", "site")
@example(f"{'ß' * 128}.{'b' * 128}", "site")
def test_names_of_any_length_fit(name: str, site: str) -> None:
    relay = RelayConfig(table=name)
    assert FUNCTION.fullmatch(relay.function)
    assert len(relay.lease_table(site)) <= 128


@given(TABLES, TABLES, st.sampled_from(["table", "name"]))
@example(f"dbo.{'a' * 127}b", f"dbo.{'a' * 127}c", "table")
def test_names_of_different_relays_differ(one: str, other: str, what: str) -> None:
    made = [RelayConfig(table="dbo.T", **{what: name}) if what == "name" else RelayConfig(table=name) for name in (one, other)]
    same = one.lower() == other.lower()
    assert (made[0].function.lower() == made[1].function.lower()) == same
    assert (made[0].lease_table("site").lower() == made[1].lease_table("site").lower()) == same


@pytest.mark.parametrize("letters", [1, 50, 100, 118])
def test_a_name_that_fits_is_in_the_function_as_it_is(letters: int) -> None:
    """A function of another name would begin anew: it is part of the trigger's identity."""
    assert table(letters).function == f"relay_dbo_{'a' * letters}"


@pytest.mark.parametrize("letters", [1, 50, 100])
def test_a_name_that_fits_is_in_the_lease_table_as_it_is(letters: int) -> None:
    assert table(letters).lease_table("site").startswith(f"Leases_rowpost_dbo_{'a' * letters}_")
