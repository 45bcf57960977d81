"""What depends on a column."""

from __future__ import annotations

from emulators.sql_server.catalogue.objects import SecurityPolicy
from emulators.sql_server.parser.batches import parse_expression
from emulators.sql_server.parser.walk import columns_in


def depends_on(policy: SecurityPolicy, table_id: int, column: str) -> bool:
    """Whether a predicate of the policy uses a column (in lower case) of a table."""
    return any(
        column in columns_in(parse_expression(text))
        for predicate in policy.predicates
        if predicate.table_id == table_id
        for text in predicate.arguments
    )
