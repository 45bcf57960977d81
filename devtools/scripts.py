"""Scripts for ``sqlcmd``, run through pyodbc."""

from __future__ import annotations

from pathlib import Path

import pyodbc

from infra.sql_script import read_script


def run_script(connection: pyodbc.Connection, path: Path) -> None:
    """Run a script for ``sqlcmd``, batch by batch.

    Raises:
        pyodbc.Error: a statement of it failed; a note on the error names the file and the batch.
        ScriptError: it asks for what infra/sql_script.py does not have.
    """
    for batch in read_script(path.read_text(encoding="utf-8-sig")):
        cursor = connection.cursor()
        try:
            for _ in range(batch.count):
                cursor.execute(batch.text)
                while cursor.nextset():  # an error of a later statement shows only when its result is reached
                    pass
        except pyodbc.Error as error:
            error.add_note(f"in the batch of line {batch.line} of {path}")
            raise
        finally:
            cursor.close()
