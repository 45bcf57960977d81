"""The base of the masks of changed columns follows the trigger's cursor, but is not compared while many changes wait."""

from __future__ import annotations

from collections.abc import Callable

from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.database.connection import Database
from rowpost.watchdog.adopt import move_watch_base
from tests.harness.running_relay import CONFIG, PAUSED, Relay


def test_it_is_not_compared_while_many_changes_wait(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG + 'watch = ["Total"]\n')
    relay.insert(1)
    relay.advance(30)
    relay.restart(**{PAUSED: "true"})
    relay.insert(2)
    relay.insert(3)
    relay.execute("UPDATE rowpost.Relays SET WatchBase = 0")
    settings = relay.stack.settings
    odbc = translate(settings["SqlConnectionString"], "SqlConnectionString", settings["ODBC_DRIVER"])
    app = App(relay.stack.config, Database(odbc), settings["WEBSITE_SITE_NAME"])

    def base() -> int:
        ((found,),) = relay.execute("SELECT WatchBase FROM rowpost.Relays")
        return int(found)

    statement = app.table("dbo.Orders").statement("move_watch_base", compared_rows=1)
    app.database.run(statement)
    assert base() == 0, "two changes wait"
    move_watch_base(app, "dbo.Orders")
    ((cursor,),) = relay.execute("SELECT MAX(LastSyncVersion) FROM az_func.GlobalState")
    assert base() == cursor > 0
