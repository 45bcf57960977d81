"""What an operator can order: try again now, and replay dead letters. The order is written down; recovery carries it out."""

from __future__ import annotations

from rowpost.app import App
from rowpost.database.ledger import CHUNK_ROWS, change_in_chunks


def retry_now(app: App, relay: str) -> int:
    """Close the table's circuit breaker, end what the target has asked to wait, and make every row that waits due at once.

    Another instance of the app waits on, for at most ``probe`` of the target.

    Returns:
        How many rows become due.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; nothing was changed.
    """
    table = app.table(relay)
    ((row,),) = app.database.run(table.statement("retry_now"))
    app.deliverers[app.config.target(table.relay.target).name].resume()
    return int(row[0])


def replay_dead_letters(app: App, relay: str) -> int:
    """Give every dead letter of the table a new window, starting now; recovery redelivers the rows' current state.

    Returns:
        How many rows were taken back.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; some may be taken back already, and the next order takes the others.
    """
    table = app.table(relay)
    (((started,),),) = app.database.run("SELECT CONVERT(nvarchar(40), SYSUTCDATETIME(), 126);")  # a row that dies again stays dead
    return change_in_chunks(app.database, table.statement("replay", chunk_rows=CHUNK_ROWS), started)
