"""Texts with placeholders: what is one, what is a brace, and which two are too close."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.placeholders import ATTRIBUTES, Placeholder, fill, not_apart, read_text

A, B, VERSION = Placeholder("A"), Placeholder("B"), Placeholder("version", attribute=True)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("{A}", (A,)),
        ("x{A}y{ B }", ("x", A, "y", B)),
        ("{$version}", (VERSION,)),
        ("{{A}}", ("{A}",)),
        ("{{{A}}}", ("{", A, "}")),
        ("{Order Id}{Größe}", (Placeholder("Order Id"), Placeholder("Größe"))),
    ],
)
def test_a_text_is_read(written: str, parts: tuple[str | Placeholder, ...]) -> None:
    assert read_text(written) == parts


@pytest.mark.parametrize("written", ["{", "}", "{A", "A}", "{A{B}}", "{}", "{ }", "{$nothing}", "{$}", "secret {"])
def test_what_is_no_text_is_refused_without_quoting_it(written: str) -> None:
    with pytest.raises(ValueError) as error:
        read_text(written)
    assert "secret" not in str(error.value)


def test_an_unknown_attribute_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError) as error:
        read_text("{$vers}")
    assert all(f"{{${name}}}" in str(error.value) for name in ATTRIBUTES)


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    assert fill(read_text(text.replace("{", "{{").replace("}", "}}")), lambda _: "never") == text


@pytest.mark.parametrize("between", ["", "-", ".", "_", "~", "x", "%2C", "-a1-"])
def test_places_are_not_apart_if_a_value_could_hold_what_is_between_them(between: str) -> None:
    assert not_apart((A, between, B) if between else (A, B)) == (A, B)
    assert not_apart(("/x/", VERSION, *([between] if between else []), A)) == (VERSION, A)


@pytest.mark.parametrize("between", ["/", ",", ";", "-/", "=", " ", "é"])
def test_places_are_apart_if_no_value_can_hold_what_is_between_them(between: str) -> None:
    assert not_apart((A, between, B)) is None
    assert not_apart((A,)) is None and not_apart((VERSION, VERSION)) is None
