"""Answers made of parts and then spoilt, byte by byte: what must hold whatever a target sends. At the wire.

The target knows which request it answered, and with what. Everything that lies beyond the end of an answer comes together with
that end: what comes later, while the next request is under way, nobody could tell from an answer to it.
"""

from __future__ import annotations

import os
import threading

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rowpost.config.sections import Duration
from rowpost.rules.answer import Answer, Verdict
from tests.harness.scripted_target import Script, ScriptedTarget, Then, final_head
from tests.harness.threads import everything_logged, left_behind
from tests.target.posting import SECRET_VALUE, deliverer, events

MARK = "said-by-the-target"
TIMEOUT, BUDGET = Duration(0.4), Duration(20)
STATUSES = st.one_of(st.sampled_from([200, 201, 202, 204, 206, 301, 302, 304, 400, 409, 429, 500, 503, 101]), st.integers(100, 999))
VERSIONS = st.sampled_from(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/0.9", "HTTP/2", "HTTP/1.10", "http/1.1", "ICY", ""])
FIELDS = st.sampled_from(
    [
        "Content-Length: 0",
        "Content-Length: 4",
        "Content-Length: 5, 5",
        "Content-Length: -1",
        "Content-Length: 99999",
        "Content-Length:",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Content-Encoding: gzip",
        "Connection: close",
        "Connection: keep-alive",
        "Location: //[",
        f"Location: http://x/{MARK}",
        f"Set-Cookie: {MARK}=\xff; Expires=x",
        "Retry-After: 7",
        f"Retry-After: {MARK}",
        "Date: \xff",
        f"X: {MARK}",
        f" {MARK}",
        MARK,
        ": x",
        f"X : {MARK}",
        f"X: a\r{MARK}: b",
        "\0: \0",
        f"X: {MARK * 500}",
    ]
)
BODIES = st.sampled_from(
    [
        b"",
        b"body",
        MARK.encode(),
        b"4\r\nbody\r\n0\r\n\r\n",
        b"4;x=y\r\nbody\r\n0\r\nT: x\r\n\r\n",
        b"5\r\nbody\r\n0\r\n\r\n",
        b"zz\r\n",
        b"-1\r\n",
        b"0\r\n",
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xff",
        b"x" * 20000,
        b"x" * 200000,
        b"HTTP/1.1 200 Stray\r\nContent-Length: 0\r\n\r\n",
    ]
)


@st.composite
def heads(draw: st.DrawFn, statuses: st.SearchStrategy[int]) -> bytes:
    line = f"{draw(VERSIONS)} {draw(statuses)} {MARK}"
    end = draw(st.sampled_from(["\r\n"] * 9 + ["\n"]))
    lines = [line, *draw(st.lists(FIELDS, max_size=5)), "", ""]
    return end.join(lines).encode("latin-1")


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """A row of interim answers, a final one, a body and what does not belong there; then some of it is spoilt."""
    interim = draw(st.lists(heads(st.sampled_from([100, 102, 103, 199])), max_size=4))
    answer = b"".join(interim) + draw(heads(STATUSES)) + draw(BODIES) + draw(st.one_of(st.just(b""), BODIES))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(0, min(len(answer), 400))))
        match draw(st.sampled_from(["cut", "insert", "remove", "replace"])):
            case "cut":
                answer = answer[:place]
            case "insert":
                answer = answer[:place] + draw(st.binary(min_size=1, max_size=6)) + answer[place:]
            case "remove":
                answer = answer[:place] + answer[place + draw(st.integers(1, 8)) :]
            case _:
                answer = answer[:place] + draw(st.binary(min_size=1, max_size=1)) + answer[place + 1 :]
    head = final_head(answer)
    last = head[1] - 1 if head else len(answer)
    cuts = draw(st.lists(st.integers(1, last), max_size=6)) if last > 1 else []
    return Script(answer, cuts, draw(st.sampled_from([Then.KEEP, Then.CLOSE, Then.CLOSE, Then.RESET])))


EXAMPLES = 10_000 if os.environ.get("ROWPOST_LONG") else 40
OWN = Script(b"HTTP/1.1 222 Own\r\nContent-Length: 0\r\n\r\n")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=st.lists(scripts(), min_size=1, max_size=4), concurrency=st.sampled_from([1, 1, 3]))
@example(rows=[Script(b"HTTP/1.1 102 X\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"), OWN], concurrency=1)
@example(rows=[Script(b"HTTP/1.1 302 X\r\nLocation: //[\r\nContent-Length: 0\r\n\r\n"), OWN], concurrency=1)
@example(rows=[Script(OWN.answer + OWN.answer), Script(b"no", then=Then.CLOSE)], concurrency=1)
def test_whatever_is_answered_each_row_has_its_own_verdict_and_nothing_is_left(rows: list[Script], concurrency: int) -> None:
    scripted = [*rows, OWN]
    batch = events(len(scripted))
    keys = [event.id for event in batch]
    before = set(threading.enumerate())
    with everything_logged() as lines, ScriptedTarget(lambda key: scripted[keys.index(key)]) as target:
        url = f"{target.url}?code=secret-code"
        sender = deliverer(
            url,
            concurrency=concurrency,
            timeout=TIMEOUT,
            breaker_failures=100,
            batch_budget=BUDGET,
            headers={"X-Key": "secret-key"},
        )
        answers: list[Answer] = []
        sending = threading.Thread(target=lambda sender=sender: answers.extend(sender.deliver(batch)))
        sending.start()
        sending.join(BUDGET.seconds + 2 * TIMEOUT.seconds + 5)
        assert not sending.is_alive(), "the batch is over within its budget and the time of a post"
    assert len(answers) == len(batch)
    for key, answer in zip(keys, answers, strict=True):
        said = target.said.get(key)
        if answer.verdict is Verdict.DELIVERED:
            assert said is not None and 200 <= said < 300 and answer.status == said
        assert answer.status in (None, said), "no row has the answer to another"
        assert MARK not in str(answer)
    asked = [key for key, _ in target.asked]
    assert len(asked) == len(set(asked)), "no row is posted twice"
    told = "\n".join(lines)
    for text in (MARK, SECRET_VALUE, "secret-code", "secret-key"):
        assert text not in told
    del sender, sending
    assert left_behind(before, 2 * TIMEOUT.seconds + 5) == []
