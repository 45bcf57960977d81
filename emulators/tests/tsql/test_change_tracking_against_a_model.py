"""Change tracking of the SQL Server emulator against a model: random transactions, every version asked."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.tests.tsql.database import Server

KEYS = 4
Step = tuple[str, int]


@dataclass
class Model:
    """All committed changes in order, as (version, key, operation, columns)."""

    rows: set[int] = field(default_factory=set)
    history: list[tuple[int, int, str, tuple[int, ...]]] = field(default_factory=list)
    version: int = 0

    def net(self, since: int) -> dict[int, tuple[str, int, int | None, tuple[int, ...] | None]]:
        """Operation, version, creation version and columns of each key changed after ``since``."""
        found = {}
        for key in {change[1] for change in self.history if change[0] > since}:
            changes = [change for change in self.history if change[0] > since and change[1] == key]
            last, first = changes[-1], changes[0]
            operation = "D" if last[2] == "D" else "I" if first[2] == "I" else "U"
            created = max((change[0] for change in changes if change[2] == "I"), default=None)
            columns: tuple[int, ...] | None = None
            if last[2] != "D" and all(change[2] == "U" for change in changes):
                columns = tuple(dict.fromkeys(column for change in changes for column in change[3]))
            found[key] = (operation, last[0], created, columns)
        return found


steps = st.lists(
    st.tuples(st.sampled_from(["insert", "update 2", "update 3", "delete", "move"]), st.integers(1, KEYS)), min_size=1, max_size=4
)
transactions = st.lists(st.tuples(steps, st.booleans()), min_size=1, max_size=8)


def perform(step: Step, rows: set[int]) -> tuple[str, list[tuple[int, str, tuple[int, ...]]]]:
    """The statement of a step and the changes it makes; does nothing where the row does not fit."""
    action, key = step
    if action == "insert":
        if key in rows:
            return "", []
        rows.add(key)
        return f"INSERT dbo.T VALUES ({key}, 0, 0, 0);", [(key, "I", ())]
    if key not in rows:
        return "", []
    if action == "delete":
        rows.remove(key)
        return f"DELETE dbo.T WHERE Id = {key};", [(key, "D", ())]
    if action == "move":
        rows.remove(key)
        rows.add(key + KEYS)
        return f"UPDATE dbo.T SET Id = {key + KEYS} WHERE Id = {key};", [(key, "D", ()), (key + KEYS, "I", ())]
    column = int(action[-1])
    return f"UPDATE dbo.T SET {'AB'[column - 2]} = 1 WHERE Id = {key};", [(key, "U", (column,))]


@settings(max_examples=40, deadline=None)
@given(transactions)
def test_net_changes_are_those_of_the_model(plan: list[tuple[list[Step], bool]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        client = server.client()
        client.rows("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; CREATE TABLE dbo.T (Id int PRIMARY KEY, A int, B int, C int)")
        client.rows("ALTER TABLE dbo.T ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
        model = Model()
        for members, commits in plan:
            rows = set(model.rows)
            statements, changes = [], []
            for step in members:
                if step[0] == "move" and step[1] + KEYS in rows:
                    continue
                text, made = perform(step, rows)
                statements.append(text)
                changes += made
            client.rows("BEGIN TRAN; " + "".join(statements) + ("COMMIT" if commits else "ROLLBACK"))
            if commits:
                model.rows = rows
                model.version += bool(changes)
                model.history += [(model.version, *change) for change in changes]
        assert client.value("SELECT CHANGE_TRACKING_CURRENT_VERSION()") == model.version
        for since in range(model.version + 1):
            found = {
                key: (operation, version, created, None if mask is None else tuple(mask[i] for i in range(4, len(mask), 4)))
                for key, operation, version, created, mask in client.rows(
                    "DECLARE @v bigint = @p; SELECT Id, SYS_CHANGE_OPERATION, SYS_CHANGE_VERSION, "
                    "SYS_CHANGE_CREATION_VERSION, SYS_CHANGE_COLUMNS "
                    "FROM CHANGETABLE(CHANGES dbo.T, @v) c",
                    p=since,
                )
            }
            assert found == model.net(since)
        server.database.close()
