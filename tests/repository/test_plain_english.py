"""Plain English: short sentences on every page, and the standard word for a thing that has one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# --- sentences ---

WORDS_AT_MOST = 18  # in a sentence, on the average of a page
SENTENCES_AT_LEAST = 8  # of a page whose average is judged
COUNTED_WORDS = 3  # a sentence with fewer is none: "Run it." is a label
_NOT_PROSE = [
    re.compile(r"(?ms)^<!-- generated: .*? -->$.*?^<!-- end -->$"),
    re.compile(r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1`*~* *$"),  # code
    re.compile(r"(?s)<!--.*?-->"),
    re.compile(r"(?m)^ *\|.*$"),  # tables
    re.compile(r"(?m)^ {0,3}#{1,6} .*$"),  # headings
    re.compile(r"(?m)^ {0,3}\[[^\]]+\]:.*$"),  # addresses of links
]
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
_BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+[.)])\s)")
_END = re.compile(r"(?<=[.!?])[)\"”*_]*\s+")


def sentences(page: str) -> list[str]:
    """The sentences of a page's prose. What stands between backticks counts as one word, and a link as its text."""
    for pattern in _NOT_PROSE:
        page = pattern.sub("\n\n", page)
    page = _TAG.sub(" ", _LINK.sub(r"\1", _CODE.sub("code", page)))
    blocks = (re.sub(r"^\s*(?:[-*+>]|\d+[.)])\s+", "", block) for block in _BLOCK.split(page))
    found = (sentence for block in blocks for sentence in _END.split(block.strip()))
    return [sentence for sentence in found if len(words(sentence)) >= COUNTED_WORDS]


def words(sentence: str) -> list[str]:
    """The words of a sentence: whatever has a letter or a digit in it."""
    return [word for word in sentence.split() if re.search(r"\w", word)]


def words_per_sentence(page: str) -> float | None:
    """The average length of a page's sentences; None if it has too few to judge."""
    lengths = [len(words(sentence)) for sentence in sentences(page)]
    return sum(lengths) / len(lengths) if len(lengths) >= SENTENCES_AT_LEAST else None


def listed(*patterns: str) -> list[Path]:
    """The files that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in sorted(set(names)) if (ROOT / name).is_file()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", listed("*.md"), ids=name_of)
def test_sentences_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    average = words_per_sentence(text)
    longest = sorted(sentences(text), key=lambda sentence: len(words(sentence)))[-3:]
    assert average is None or average <= WORDS_AT_MOST, f"{average:.1f} words a sentence; split these first: {longest}"


def test_long_sentences_are_seen() -> None:
    short, long = "This is a short sentence. ", f"{'word ' * 30}. "
    assert words_per_sentence(short * 10) == 5
    assert words_per_sentence(long * 10) == 30
    assert words_per_sentence(long * (SENTENCES_AT_LEAST - 1)) is None


def test_what_is_no_prose_does_not_count() -> None:
    page = """# A heading of several words

First there is `python3 dev.py test` here. It has [a link](somewhere.md "x") and
goes on in the next line! Short one.
- An item of a list
- And one more item: what then?

| a table | with many | words |
|---|---|---|

```sh
a block of code. With sentences.
```
<!-- generated: views -->
This was written by a program.
<!-- end -->
<!-- a comment of several words -->
1. The last <b>of them</b> all
"""
    assert [len(words(sentence)) for sentence in sentences(page)] == [5, 11, 5, 6, 5]


# --- words ---

STANDARD_WORDS = {  # what must not stand anywhere: the standard word instead
    r"[Ss]tand[-_]ins?(?![A-Za-z])": "emulator",
    r"(?<![A-Za-z])[Kk]nobs?(?![a-z])": "setting",
    r"\b[Tt]he\s+books\b": "reconciliation",
    # The noun, also as a part of a name (`gate_sql`, `GateUntil`, `nextGate`, `GATE`), but not the end of "aggregate".
    r"(?<![A-Za-z])[Gg]ate[ds]?(?![a-z])|(?<![A-Za-z])GATE[DS]?(?![A-Za-z])|(?<=[a-z])Gate[ds]?(?![a-z])": "circuit breaker",
}
READ_BY_USERS = ["*.md", "devtools/demo_relay.toml", "function_app.py", ":(glob)infra/sql/*.sql", "infra/app/queries"]
READ_BY_USERS += [".github/ISSUE_TEMPLATE"]
APP = ["rowpost", "triggers", "orchestrators", "activities", "entities"]


def forbidden(text: str) -> list[str]:
    """The words of a text that have a better one, each with its line and the remedy."""
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}: say {remedy}"
        for pattern, remedy in STANDARD_WORDS.items()
        for match in re.finditer(pattern, text)
    ]


@pytest.mark.parametrize("path", listed(*READ_BY_USERS, *APP), ids=name_of)
def test_standard_words_are_used(path: Path) -> None:
    assert forbidden(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("on the stand-ins", "emulator"),
        ("Stand-in for SQL Server", "emulator"),
        ("../stand-ins/sql-server.md", "emulator"),
        ("STAND_IN = stand_in", "emulator"),
        ("every knob", "setting"),
        ("then the books balance", "reconciliation"),
        ("balance the\nbooks", "reconciliation"),
        ("the gate closes", "circuit breaker"),
        ("Gates of all tables", "circuit breaker"),
        ("gated_settlement(row)", "circuit breaker"),
        ("SET GateUntil = NULL", "circuit breaker"),
        ("GATE_PARAMETERS", "circuit breaker"),
        ("class nextGate:", "circuit breaker"),
    ],
)
def test_a_forbidden_word_is_seen_with_its_remedy(text: str, remedy: str) -> None:
    assert [found.rpartition("say ")[2] for found in forbidden(text)] == [remedy]


@pytest.mark.parametrize(
    "text", ["aggregates navigate, investigated, delegated", "mitigateAll", "calls that stand in three modules", "accounting books"]
)
def test_other_words_are_left_alone(text: str) -> None:
    assert forbidden(text) == []


def test_there_is_something_to_check() -> None:
    names = {name_of(path) for path in listed(*READ_BY_USERS, *APP)}
    assert {"README.md", "docs/glossary.md", "devtools/demo_relay.toml"} <= names
    assert {"infra/sql/20-rowpost.sql", "triggers/operator_api.py"} <= names
    assert any(name.startswith("emulators/") for name in names) or any(name.startswith("docs/stand") for name in names)
    judged = [path for path in listed("*.md") if words_per_sentence(path.read_text(encoding="utf-8")) is not None]
    assert len(judged) > 8
