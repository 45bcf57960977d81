"""``dev.py demo``: the whole job on real rows, a week in a few minutes, on the embedded emulators in virtual time.

What happens is decided here; what is reported is read off the emulators afterwards: the database, the API and the mailboxes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from devtools.arguments import folder, new_file
from devtools.data import DEMO_CONFIG, airports, flights, weather
from devtools.log_lines import rows_lines
from devtools.real import RealStack, RealTime
from devtools.reconciliation import Reconciliation, reconcile
from devtools.stack import Stack
from emulators.clock import VirtualTime

START = datetime(2026, 1, 5, 8, tzinfo=UTC)  # a Monday
OUTAGE_HOURS = 12
WINDOW_HOURS = 168
THROTTLED = "oncall@example.com"
_ROWS_PER_TRANSACTION = 50
_ROWS_OF_A_BATCH = 100  # at most
_CHANGES_AT_HOURS = (0, 3, 6, 10)  # of the outage
_KILL_AT_HOURS = 8
_RECOVERED_MINUTES = 6  # after the API came back: the longest time between two probes, and one more


class Entry(NamedTuple):
    """A line of the timeline."""

    at: datetime
    text: str


class Demo:
    """One run of the scenario."""

    def __init__(
        self, stack: Stack, time: VirtualTime | RealTime, show: Callable[[str], None], moved: Callable[[datetime], None]
    ) -> None:
        self.stack, self.time, self._show, self._moved = stack, time, show, moved
        self.timeline: list[Entry] = []
        self.problems: list[str] = []
        self.agreed = self.cut = 0
        self.orders: list[tuple[str, str]] = []
        self.poison = flights()[40].FlightId
        self._spare_flights = list(flights()[500:])

    # --- the scenario ---

    def run(self) -> None:
        """All of it, in order."""
        self.healthy()
        self.columns_and_masks()
        self.pause()
        self.poison_row()
        self.outage()
        self.back_again()
        self.window_ends()

    def healthy(self) -> None:
        self.note("the app starts; three tables, change tracking on, nothing delivered yet")
        self.insert("dbo.Airports", airports())
        self.insert("dbo.Weather", weather())
        self.insert("dbo.Flights", flights()[:500])
        inserted = len(airports()) + len(weather()) + 500
        self.note(f"{inserted} rows are inserted with plain INSERTs, {_ROWS_PER_TRANSACTION} to a transaction")
        self.run_until(timedelta(minutes=10), lambda: self.accepted() >= inserted, "the first rows to arrive")
        self.note(f"all {inserted} rows have arrived at the API")
        self.advance(timedelta(minutes=20))
        self.check_sums()

    def columns_and_masks(self) -> None:
        self.execute("UPDATE dbo.Flights SET DepDelay = DepDelay + 1 WHERE FlightId <= ?", flights()[19].FlightId)
        self.execute("UPDATE dbo.Airports SET Alt = Alt + 1 WHERE Faa IN (N'JFK', N'EWR', N'LGA')")
        self.execute("DELETE FROM dbo.Weather WHERE Origin = N'LGA' AND Precip > 0")
        self.advance(timedelta(minutes=2))
        before = len(self.stack.downstream.attempts())
        self.execute("UPDATE dbo.Flights SET AirTime = AirTime + 1 WHERE FlightId = ?", flights()[100].FlightId)
        self.advance(timedelta(minutes=2))
        posted = len(self.stack.downstream.attempts()) - before
        self.check(posted == 0, f"the update of an unwatched column was posted {posted} times")
        self.check_sums()
        self.note("updates and deletes arrive; an update of a column outside `watch` is acknowledged, not posted")

    def pause(self) -> None:
        self.order("pause", "dbo.Airports")
        before = self.accepted()
        self.execute("UPDATE dbo.Airports SET Alt = Alt + 1 WHERE Lat > 60")
        self.advance(timedelta(hours=2))
        self.check(self.accepted() == before, "rows of a paused relay were posted")
        self.check_sums()
        self.note("an operator pauses dbo.Airports for two hours; its changes wait")
        self.order("resume", "dbo.Airports")
        self.advance(timedelta(minutes=2))
        self.check_sums()
        self.note("it is resumed, and what waited has arrived")

    def poison_row(self) -> None:
        self.stack.downstream.add_rule(match={"table": "dbo.Flights", "key": {"FlightId": self.poison}}, status=422)
        first, last = flights()[35].FlightId, flights()[44].FlightId
        self.execute("UPDATE dbo.Flights SET ArrDelay = 99 WHERE FlightId BETWEEN ? AND ?", first, last)
        self.note(f"the API rejects one row from now on (Flights {self.poison}, 422); it changes together with nine neighbours")
        self.advance(timedelta(seconds=30))
        fresh = [state for state in self.stack.downstream.state("dbo.Flights") if state.row and state.row.get("ArrDelay") == 99]
        neighbours = {state.key["FlightId"] for state in fresh if isinstance(state.key, dict)} & set(range(first, last + 1))
        self.check(len(neighbours) == 9, f"{len(neighbours)} of the nine neighbours of the poison row arrived")
        self.check_sums()
        self.note(f"{len(neighbours)} neighbours have arrived within 30 s; the poison row goes its own way")

    def outage(self) -> None:
        begin = START + timedelta(days=1)
        self.advance_to(begin)
        self.stack.downstream.set_mode("down", path="/rows")
        self.stack.email.add_fault(mailbox=THROTTLED, kind="throttle", times=3, retry_after=300)
        self.note(f"the API is down (503) for {OUTAGE_HOURS} hours; the mailbox {THROTTLED} is throttled as well")
        happenings: list[tuple[float, Callable[[], None]]] = [(hour, self.change_rows) for hour in _CHANGES_AT_HOURS]
        happenings.append((_KILL_AT_HOURS, self.kill_host))
        for hour, happening in sorted(happenings, key=lambda item: item[0]):
            self.advance_to(begin + timedelta(hours=hour))
            self.check_sums()
            happening()
            self.check_sums()
        self.advance_to(begin + timedelta(hours=OUTAGE_HOURS))
        self.check_sums()
        self.stack.downstream.set_mode("up")
        self.note("the API is back")

    def change_rows(self) -> None:
        """Rows go on changing in all three tables: updates, inserts, deletes."""
        batch, self._spare_flights = self._spare_flights[:12], self._spare_flights[12:]
        self.insert("dbo.Flights", batch)
        number = len(self._spare_flights)
        self.execute("UPDATE dbo.Flights SET DepDelay = ? WHERE FlightId BETWEEN ? AND ?", number, number + 100, number + 130)
        self.execute("UPDATE dbo.Airports SET Alt = Alt + 10 WHERE Lon < -120")
        self.execute("UPDATE dbo.Weather SET Temp = Temp + 0.5 WHERE Origin = N'JFK' AND Humid > 70")
        self.execute("DELETE FROM dbo.Weather WHERE Origin = N'EWR' AND WindDir = ?", (number * 10) % 360)
        self.note("rows go on changing: inserts, updates and deletes in all three tables")

    def kill_host(self) -> None:
        host = self.stack.host
        assert host is not None
        seen = self.stack.downstream.counters()["requests"]
        struck = threading.Event()

        def strike() -> None:  # at the very moment a post of the app has reached the API
            self.stack.downstream.wait_for(lambda: self.stack.downstream.counters()["requests"] > seen, 600)
            struck.set()  # before the kill: with the host gone nothing would keep time from running to its limit
            host.kill()

        killer = threading.Thread(target=strike)
        killer.start()
        self.run_until(timedelta(hours=7), struck.is_set, "the moment to kill the host")
        killer.join()
        self.note("the Functions host is killed with SIGKILL in the middle of a post")
        self.advance(timedelta(minutes=10))
        host.start()
        self.cut = _ROWS_OF_A_BATCH
        self.note("the host is started again, with no recovery step by anybody")

    def back_again(self) -> None:
        def recovered() -> bool:
            ((left,),) = self.stack.execute(
                "SELECT COUNT(*) FROM rowpost.Ledger WHERE State <> 'dead' AND RowKey <> ?", f'{{"FlightId":{self.poison}}}'
            )
            return int(left) == 0

        back = self.time.now()
        while not recovered() and self.time.now() - back < timedelta(minutes=_RECOVERED_MINUTES):
            self.advance(timedelta(minutes=1))
        count = round((self.time.now() - back).total_seconds() / 60)
        minutes = f"{count} minute{'' if count == 1 else 's'}"
        self.check(recovered(), f"rows of the outage are still waiting {minutes} after the API came back")
        self.check_sums()
        self.note(f"{minutes} later every row of the outage has arrived; only the poison row is still being tried")

    def window_ends(self) -> None:
        ((first,),) = self.stack.execute("SELECT FirstFailure FROM rowpost.Ledger WHERE State <> 'dead'") or ((None,),)
        if self.check(first is not None, "the poison row is not in the ledger"):
            self.advance_to(self.stack.instant(first) + timedelta(hours=WINDOW_HOURS, minutes=30))
        self.check_sums()

    # --- means ---

    def note(self, text: str) -> None:
        self.timeline.append(Entry(self.time.now(), text))
        self._show(text)

    def check(self, holds: bool, problem: str) -> bool:
        if not holds:
            self.problems.append(problem)
            self.note(f"PROBLEM: {problem}")
        return holds

    def check_sums(self) -> None:
        """What the app says is what the API has: each row that differs there waits, or is a dead letter; the lines of the log add
        up to what the API has accepted; the audit has the orders."""
        host = self.stack.host
        assert host is not None
        said = {entry["relay"]: entry["waiting"] + entry["dead"] for entry in host.request("GET", "/api/relays").json()["relays"]}
        found = {each.table: each.dead + len(each.lost) for each in reconcile(self.stack)}
        good = self.check(said == found, f"the app says that so many rows are not delivered: {said}; the API lacks {found}")
        entries = host.request("GET", "/api/audit").json()["entries"]
        audited = [(entry["action"], entry["relay"]) for entry in reversed(entries)]
        good &= self.check(audited == self.orders, f"the audit has {audited}, and {self.orders} were given")
        if not isinstance(self.time, RealTime):
            told = sum(line["delivered"] for line in rows_lines(host.log_file.read_text(encoding="utf-8", errors="replace")))
            attempts = [each for each in self.stack.downstream.attempts() if each.table is not None and each.status is not None]
            accepted = sum(each.status is not None and 200 <= each.status < 300 for each in attempts)
            # A process that is killed leaves out the line of the batch that it was posting.
            good &= self.check(0 <= accepted - told <= self.cut, f"the log tells of {told} rows, the API has accepted {accepted}")
        self.agreed += good

    def order(self, action: str, table: str) -> None:
        """An order of an operator about a whole relay, over the API."""
        assert self.stack.host is not None
        answer = self.stack.host.request("POST", f"/api/relays/{table}/{action}", json={"reason": "the API moves"})
        self.check(answer.status_code < 300, f"{action} was answered with {answer.status_code}")
        self.orders.append((action, table))

    def execute(self, sql: str, *parameters: Any) -> None:
        self.stack.execute(sql, *parameters)

    def insert(self, table: str, rows: Sequence[Any]) -> None:
        columns = rows[0]._fields
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        connection = self.stack.connection
        connection.autocommit = False
        for start in range(0, len(rows), _ROWS_PER_TRANSACTION):
            connection.cursor().executemany(sql, [tuple(row) for row in rows[start : start + _ROWS_PER_TRANSACTION]])
            connection.commit()
        connection.autocommit = True

    def accepted(self) -> int:
        return self.stack.downstream.counters()["accepted"]

    def advance_to(self, instant: datetime) -> None:
        self.time.advance_to(instant, progress=self._moved)

    def advance(self, length: timedelta) -> None:
        self.advance_to(self.time.now() + length)

    def run_until(self, limit: timedelta, condition: Callable[[], bool], what: str) -> None:
        held = self.time.advance_to(self.time.now() + limit, until=condition, progress=self._moved)
        self.check(held or condition(), f"waited {limit} in vain for {what}")

    # --- what it came to ---

    def notifications(self) -> list[Entry]:
        """Every mail that was delivered, and every notice at the webhook."""
        mails = [
            Entry(datetime.fromisoformat(message.at), f"mail to {', '.join(message.recipients)}: {message.subject}")
            for message in self.stack.email.messages()
        ]
        hooks = [
            Entry(datetime.fromisoformat(attempt.at), f"webhook: {attempt.body['subject']}")
            for attempt in self.stack.downstream.attempts()
            if attempt.path == "/alerts" and attempt.status is not None and attempt.status < 300
        ]
        return sorted(mails + hooks)

    def posting_instants(self, table: str, begin: datetime, end: datetime) -> list[datetime]:
        """The instants, to the minute, at which the app posted rows of a table."""
        instants = {
            datetime.fromisoformat(attempt.at).replace(second=0, microsecond=0)
            for attempt in self.stack.downstream.attempts()
            if attempt.table == table
        }
        return sorted(instant for instant in instants if begin <= instant < end)


def _config(directory: Path) -> Path:
    """The demo's relay.toml, but with the watchdog every 15 minutes: of a week's 2,000 runs at five, most find nothing."""
    text = DEMO_CONFIG.read_text(encoding="utf-8")
    file = directory / "relay.toml"
    file.write_text(text.replace('schedule = "0 */5 * * * *"', 'schedule = "0 */15 * * * *"'), encoding="utf-8")
    return file


def _report(demo: Demo, reconciled: list[Reconciliation], seconds: float) -> dict[str, Any]:
    counters = demo.stack.downstream.counters()
    notices = demo.notifications()
    return {
        "rows_changed": sum(table.changed for table in reconciled),
        "delivered": sum(table.delivered for table in reconciled),
        "lost": sum(len(table.lost) for table in reconciled),
        "dead_lettered": sum(table.dead for table in reconciled),
        "tables": [table.__dict__ for table in reconciled],
        "posts": counters["requests"],
        "duplicates": counters["repeated"],
        "older_after_newer": counters["stale"],
        "notifications": [{"at": entry.at.isoformat(), "what": entry.text} for entry in notices],
        "sums_agreed": demo.agreed,
        "problems": demo.problems,
        "virtual_days": round((demo.time.now() - START).total_seconds() / 86400, 1),
        "seconds": round(seconds, 1),
    }


def _print(console: Console, demo: Demo, reconciled: list[Reconciliation], report: dict[str, Any]) -> None:
    console.print("\n[bold]Timeline[/bold] (virtual time, UTC)")
    for entry in sorted([*demo.timeline, *demo.notifications()], key=lambda entry: entry.at):
        day = (entry.at - START).days + 1
        console.print(f"  day {day}  {entry.at:%a %H:%M:%S}  {entry.text}", highlight=False, markup=False)
    begin = START + timedelta(days=1)
    instants = demo.posting_instants("dbo.Airports", begin, begin + timedelta(hours=_CHANGES_AT_HOURS[1]))
    steps = [(later - earlier).total_seconds() / 60 for earlier, later in pairwise(instants)]
    console.print("\n[bold]Backoff[/bold]: minutes between the posts of dbo.Airports while the API is down")
    console.print("  " + "  ".join(f"{step:.0f}" for step in steps), highlight=False)
    table = Table("table", "rows changed", "delivered", "dead letters", "lost", title="Reconciliation: database against API")
    for each in reconciled:
        table.add_row(each.table, *map(str, (each.changed, each.delivered, each.dead, len(each.lost))))
    console.print()
    console.print(table)
    for each in reconciled:
        for text in each.lost[:10]:
            console.print(f"  [red]lost[/red] {each.table} {text}", highlight=False)
    kinds = Counter(entry["what"].split(" ")[0] for entry in report["notifications"])
    console.print(
        f"posts {report['posts']}, repeats of a change already taken {report['duplicates']}, older after newer "
        f"{report['older_after_newer']}; notifications: {kinds['mail']} mails, {kinds['webhook:']} webhook calls",
        highlight=False,
    )
    console.print(f"{report['sums_agreed']} times the status was compared with what the API has: the sums agreed", highlight=False)
    for problem in demo.problems:
        console.print(f"[red]PROBLEM[/red] {problem}", highlight=False)
    if isinstance(demo.time, RealTime):
        closing = "a real SQL Server, Core Tools and Azurite; an hour of the scenario took five seconds. The API and the mail\n"
        closing += "service are emulators."
    else:
        closing = "the embedded emulators, in virtual time: the SQL Server, the Functions host, the API and the mail service\n"
        closing += "live in emulators/ and are spoken to over the wire by the unmodified app.\nThe same on the real parts: "
        closing += "`docker compose up --detach sql`, then `python3 dev.py demo --real` (docs/local.md)."
    console.print(f"\nThis ran on {closing}", highlight=False)
    console.print(
        f"\n{report['virtual_days']} days in {report['seconds']} s\n"
        f"rows changed {report['rows_changed']}\ndelivered {report['delivered']}\nlost {report['lost']}\n"
        f"dead-lettered {report['dead_lettered']}",
        highlight=False,
    )


def main() -> int:
    """Run the scenario; 0 only if nothing is lost and the poison row is the only dead letter."""
    parser = argparse.ArgumentParser(prog="dev.py demo", description="The whole job on the embedded emulators, in virtual time.")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="also write a machine-readable report")
    parser.add_argument("--real", action="store_true", help="on a real SQL Server, Core Tools and Azurite (docs/local.md)")
    parser.add_argument("--keep", type=folder, metavar="DIR", help="keep data and logs in this folder")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    parts = "a real SQL Server, Core Tools and Azurite, in real time" if options.real else "the embedded emulators, in virtual time"
    console.print(f"Rowpost demo on {parts}: a week of the app's life.", highlight=False)
    started = monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        directory: Path = options.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        time = RealTime(START) if options.real else VirtualTime(directory, START)
        columns = (TextColumn("{task.fields[now]}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
            total = (timedelta(hours=WINDOW_HOURS + 24)).total_seconds()
            task = progress.add_task("starting", total=total, now="")

            def moved(now: datetime) -> None:
                progress.update(task, completed=(now - START).total_seconds(), now=f"{now:%a %d %b %H:%M}")

            def show(text: str) -> None:
                progress.update(task, description=text)
                if not console.is_terminal:
                    print(f"  {time.now():%a %d %b %H:%M}  {text}", flush=True)

            with (
                RealStack(directory, time) if isinstance(time, RealTime) else Stack(directory, time.spec, config=_config(directory))
            ) as stack:
                demo = Demo(stack, time, show, moved)
                demo.run()
                reconciled = reconcile(stack)
                report = _report(demo, reconciled, monotonic() - started)
                progress.stop()
                _print(console, demo, reconciled, report)
        time.close()
    if options.json:
        options.json.write_text(json.dumps(report, indent=2, default=str) + "\n")
    with_dead_letters = [each.table for each in reconciled if each.dead]
    good = not report["lost"] and not demo.problems and with_dead_letters == ["dbo.Flights"] and report["dead_lettered"] == 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
