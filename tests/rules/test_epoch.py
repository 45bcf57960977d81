"""The comparison of a database with what is remembered of it, against a model of restores, crashes and signals that are late."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from dataclasses import replace as copy_of

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rowpost.rules.epoch import Found, Memory, Recorded, Seen, Verdict, Verified, judge, same_mark


@dataclass(frozen=True)
class Database:
    """What a backup holds, and the mark that a restore changes."""

    mark: str = "made fork0 guid"
    version: int = 0
    epoch: int = 0
    recorded: Recorded | None = None

    @property
    def found(self) -> Found:
        return Found(self.mark, self.version, self.epoch, self.recorded)


@dataclass
class World:
    """An app that looks at its database; ``fresh`` numbers are never used twice."""

    database: Database = field(default_factory=Database)
    memory: Memory | None = None
    signals: list[Memory] = field(default_factory=list)
    backups: list[Database] = field(default_factory=list)
    known: Verified | None = None
    fresh: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    clock: int = 1000
    restored: bool = False
    epochs: list[int] = field(default_factory=lambda: [0])

    def look(self, *, away: bool = False, killed: bool = False) -> Verdict:
        """One look: what orchestrators/lives.py and the statements do. ``killed``: it ends before the memory is told."""
        memory = None if away else self.memory
        database, recorded = self.database, self.database.recorded
        verdict = judge(database.found, memory, self.known)
        token = f"token{next(self.fresh)}"
        if verdict is Verdict.NEW:
            highest = max(database.epoch, memory.epoch if memory else 0, recorded.life if recorded else 0)
            epoch = max(self.clock, highest + 1)
            number = max(recorded.number if recorded else 0, memory.number if memory else 0) + 1
            written = Recorded(database.mark, token, number, database.version, epoch)
            self.database = copy_of(database, epoch=epoch, recorded=written)
            self.epochs.append(epoch)
            self.restored = False
        elif verdict is Verdict.SAME and not away:
            before = recorded or Recorded("", "", 0, 0, 0)
            written = Recorded(database.mark, token, before.number + 1, database.version, before.life)
            self.database = copy_of(database, recorded=written)
        now = self.database.recorded
        if killed:
            self.known = None
        else:
            life, number = (now.life, now.number) if now else (0, 0)
            self.known = Verified(self.database.mark, life, number, self.database.version)
            if now is not None and not away:
                epoch = max(self.database.epoch, now.life)
                self.signals.append(Memory(now.mark, now.token, now.number, now.version, epoch))
        return verdict

    def deliver(self, place: int) -> None:
        """One signal arrives, in any order, and perhaps not for the last time."""
        if self.signals:
            given = self.signals[place % len(self.signals)]
            if given.follows(self.memory):
                self.memory = given

    def restore(self, place: int, *, marked: bool) -> None:
        """A backup is put back. Without a new mark it is a copy of the files, which only its age gives away."""
        if self.backups:
            self.database = self.backups[place % len(self.backups)]
            if marked:
                created, _, guid = self.database.mark.split()
                self.database = copy_of(self.database, mark=f"{created} fork{next(self.fresh)} {guid}")
            self.restored = True


CALM = ("change", "look", "killed", "away", "deliver", "backup", "restart")
STEPS = st.lists(st.tuples(st.sampled_from(CALM), st.integers(0, 5)), max_size=30)


def run(world: World, steps: list[tuple[str, int]]) -> list[Verdict]:
    verdicts = []
    for step, number in steps:
        world.clock += number
        if step == "change":
            world.database = copy_of(world.database, version=world.database.version + number)
        elif step in ("look", "killed", "away"):
            verdicts.append(world.look(away=step == "away", killed=step == "killed"))
        elif step == "deliver":
            world.deliver(number)
        elif step == "backup":
            world.backups.append(world.database)
        elif step == "restart":
            world.known = None
        elif step == "restore":
            world.restore(number, marked=True)
    return verdicts


@settings(max_examples=250, deadline=None)
@given(steps=STEPS)
def test_no_look_finds_a_new_life_in_a_database_that_goes_on(steps: list[tuple[str, int]]) -> None:
    assert Verdict.NEW not in run(World(), steps)


@settings(max_examples=250, deadline=None)
@given(before=STEPS, place=st.integers(0, 5), between=st.integers(0, 20), away=st.booleans(), restarted=st.booleans())
def test_the_first_look_after_a_restore_begins_an_epoch_beyond_all_others(
    before: list[tuple[str, int]], place: int, between: int, away: bool, restarted: bool
) -> None:
    world = World()
    run(world, [("look", 0), ("deliver", 0), *before, ("backup", 0), ("change", 3), ("look", 0)])
    for signal in range(len(world.signals)):
        world.deliver(signal)
    world.restore(place, marked=True)
    world.database = copy_of(world.database, version=world.database.version + between)
    world.clock += 1
    if restarted:
        world.known = None
    earlier = max(world.epochs)
    assert world.look(away=away) is Verdict.NEW
    assert world.database.epoch > earlier or away  # without the memory only the clock and the database speak
    assert world.database.epoch >= world.clock or world.database.epoch > earlier


@settings(max_examples=250, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from((*CALM, "restore")), st.integers(0, 5)), max_size=40))
def test_a_restore_is_found_once_however_many_looks_and_late_signals_follow(steps: list[tuple[str, int]]) -> None:
    world = World()
    run(world, [("look", 0), ("deliver", 0), *steps])
    for signal in range(len(world.signals)):
        world.deliver(signal)
    world.look()
    world.deliver(len(world.signals) - 1)
    calm = [("change", 1), ("look", 0), ("restart", 0), ("killed", 0), ("look", 0)]
    assert Verdict.NEW not in run(world, calm)


@settings(max_examples=300, deadline=None)
@given(before=STEPS, place=st.integers(0, 5), looks=st.integers(1, 4))
def test_a_copy_without_a_mark_of_its_own_is_told_by_its_token(before: list[tuple[str, int]], place: int, looks: int) -> None:
    world = World()
    run(world, [("look", 0), ("deliver", 0), *before, ("backup", 0)])
    for _ in range(looks + 1):  # the first one may only tell the memory what stands in the database
        for signal in range(len(world.signals)):
            world.deliver(signal)
        run(world, [("change", 1), ("look", 0)])
    for signal in range(len(world.signals)):
        world.deliver(signal)
    world.backups = world.backups[-1:]
    world.restore(place, marked=False)
    world.database = copy_of(world.database, version=world.database.version + 100)  # beyond all that was seen
    world.known = None
    assert world.look() is Verdict.NEW


@settings(max_examples=100, deadline=None)
@given(turns=st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12))
def test_two_memories_of_one_database_find_no_new_life(turns: list[tuple[bool, int]]) -> None:
    """Two workers whose durable storage is not the same."""
    worlds = [World(), World()]
    for number, (which, changes) in enumerate(turns):
        mine, other = worlds[which], worlds[not which]
        mine.database = copy_of(mine.database, version=mine.database.version + changes)
        mine.fresh = itertools.count(100 * number)
        assert mine.look() is not Verdict.NEW
        mine.deliver(len(mine.signals) - 1)
        other.database = mine.database


MEMORY = Memory("made fork guid", "t2", 2, 10, 5)
RECORDED = Recorded("made fork guid", "t2", 2, 10, 0)


@pytest.mark.parametrize(
    ("found", "memory", "verdict"),
    [
        (Found("made fork guid", 10, 5, RECORDED), MEMORY, Verdict.SAME),
        (Found("made fork guid", 9, 5, RECORDED), MEMORY, Verdict.NEW),  # the numbers have begun again
        (Found("made fork guid", None, 5, RECORDED), MEMORY, Verdict.UNKNOWN),  # change tracking is off
        (Found("made - -", 12, 5, RECORDED), MEMORY, Verdict.SAME),  # the view gives no row any more: that says nothing
        (Found("made other guid", 12, 5, RECORDED), None, Verdict.NEW),  # the database alone says it
        (Found("made fork guid", 12, 5, RECORDED), None, Verdict.AHEAD),  # a new storage account
        (Found("made fork guid", 12, 0, None), MEMORY, Verdict.NEW),  # a new database in place of the one that is remembered
        (Found("made fork guid", 12, 0, None), None, Verdict.SAME),
        (Found("made fork guid", 12, 5, RECORDED), replace(MEMORY, token="t1", number=1), Verdict.AHEAD),
        (Found("made fork guid", 9, 5, replace(RECORDED, version=9)), replace(MEMORY, token="t1", number=1), Verdict.NEW),
        (Found("made fork guid", 12, 5, RECORDED), replace(MEMORY, token="t3"), Verdict.NEW),
        (Found("made fork guid", 12, 5, RECORDED), replace(MEMORY, token="t3", number=3), Verdict.NEW),
        (Found("made fork guid", 10, 9, replace(RECORDED, life=9)), replace(MEMORY, token="t3"), Verdict.AHEAD),
    ],
)
def test_what_a_look_says(found: Found, memory: Memory | None, verdict: Verdict) -> None:
    assert judge(found, memory) is verdict


@given(versions=st.lists(st.integers(0, 50), min_size=1), number=st.integers(0, 9))
def test_a_batch_doubts_a_database_that_has_gone_back(versions: list[int], number: int) -> None:
    known = Verified("made fork guid", 0, 5, max(versions))
    for version in versions:
        assert known.contradicts(Seen("made fork guid", 5, version)) is (version < max(versions))
    assert known.contradicts(Seen("made fork guid", number, max(versions))) is (number < 5)
    assert known.contradicts(Seen("made other guid", 5, max(versions)))
    assert known.contradicts(Seen("made fork guid", 5, None))


@given(one=st.tuples(*[st.sampled_from("abc-")] * 3), other=st.tuples(*[st.sampled_from("abc-")] * 3))
def test_an_unknown_part_of_a_mark_says_nothing(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    differ = any(a != b for a, b in zip(one, other, strict=True) if "-" not in (a, b))
    assert same_mark(" ".join(one), " ".join(other)) is not differ
    assert same_mark(" ".join(other), " ".join(one)) is not differ


@given(memories=st.lists(st.builds(Memory, st.just("m"), st.text(), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))))
def test_the_memory_only_grows(memories: list[Memory]) -> None:
    known: Memory | None = None
    for given_now in memories:
        before = known
        known = given_now if given_now.follows(known) else known
        assert known is not None
        assert before is None or (known.epoch, known.number) >= (before.epoch, before.number)
