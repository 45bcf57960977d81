"""Identity of a function towards the database: the key of its cursor and the name of its lease table."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from emulators.functions_host.sql_trigger.names import quote

SCHEMA = "[az_func]"
_HOST_TYPE = "Host.Functions"  # the type a host generates for functions of out-of-process languages
_ID_LENGTH = 16


def _shortened_hash(text: str) -> str:
    """16 hexadecimal digits. A GUID shows the first eight bytes of the hash in an order of its own."""
    digest = hashlib.sha256(text.encode()).digest()
    return uuid.UUID(bytes_le=digest[:16]).hex[:_ID_LENGTH]


def site_function_id(site_name: str, function_name: str) -> str:
    """Id of a function in a named site: stable over machines and slots."""
    return _shortened_hash(site_name + function_name)


def host_function_id(host_id: str, function_name: str) -> str:
    """Id by the host: what counts without a site name, and what earlier versions used."""
    return _shortened_hash(f"{host_id}{_HOST_TYPE}.{function_name}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Ids of one function.

    Attributes:
        function_id: the id in use.
        former_id: the host's id, whose state is taken over at start.
        from_site: False if there is no site name, so that the id depends on the host.
    """

    function_id: str
    former_id: str
    from_site: bool

    @classmethod
    def of(cls, function_name: str, app_settings: Mapping[str, str], host_id: str) -> Identity:
        """The ids of ``function_name`` in the app with these settings on this host."""
        former = host_function_id(host_id, function_name)
        site = app_settings.get("WEBSITE_SITE_NAME")
        if site:
            return cls(site_function_id(site, function_name), former, True)
        return cls(former, former, False)


def lease_table(function_id: str, table_id: int, user_defined: str | None) -> str:
    """Quoted name of the lease table. The schema is fixed; a user-defined name is one name, dots included."""
    name = user_defined if user_defined else f"Leases_{function_id}_{table_id}"
    return f"{SCHEMA}.{quote(name)}"
