"""The ledger's tables. One row is one HTTP attempt, or one item of a batch."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from .total import TOKEN_CLASSES

SCHEMA = 4
"""Raised with every change of the tables: an older program then leaves the file alone and says so."""

HOUR = literal_column("substr(ts, 1, 13)", String)
SIZE = literal_column(
    "(CASE WHEN {prompt} > 200000 THEN 200000 WHEN {prompt} > 100000 THEN 100000 ELSE 0 END)".format(
        prompt="coalesce(input_tokens, 0) + coalesce(ephemeral_5m_input_tokens, 0)"
        " + coalesce(ephemeral_1h_input_tokens, 0) + coalesce(cache_read_input_tokens, 0)"
    ),
    Integer,
)
"""The size of prompt, in tokens, past which some model has changed its price. Both are literal text, without bound
values, since that is how SQLite knows an indexed expression again."""

_SUMMED = (
    "simulated",
    "op",
    "outcome",
    "attempt",
    "cost_pico",
    "cost_low_pico",
    "cost_high_pico",
    "usage_final",
)
_SQLITE = {"only": "sqlite"}  # which would sort the whole table to group it; PostgreSQL does not

metadata = MetaData()

meta = Table(
    "claude_nb_ledger",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

attempts = Table(
    "claude_nb_attempts",
    metadata,
    Column("id", String, primary_key=True),
    Column("ts", String, nullable=False),  # UTC, ISO 8601: sorts as text and reads the same in every database
    Column("session", String, nullable=False),  # one life of one process
    Column("host", String),
    Column("pid", Integer),
    Column("sdk_version", String),
    Column("provider", String),
    Column("call_id", String),  # shared by the attempts of one call
    Column("attempt", Integer),
    Column("op", String, nullable=False),  # as attempt.operation names it, batch_item or imported
    Column("source", String),  # of an imported row: who counted it; NULL is this package
    Column("stream", Boolean),
    Column("simulated", Boolean, nullable=False),
    Column("project", String),
    Column("user", String),
    Column("notebook", String),
    Column("cell", String),
    Column("cell_id", String),
    Column("conversation", String),
    Column("tags", String),
    Column("model_requested", String),
    Column("model", String),
    Column("message_id", String),
    Column("request_id", String),
    Column("workspace_id", String),
    Column("organization_id", String),
    Column("batch_id", String),
    Column("status", Integer),
    Column("outcome", String, nullable=False),
    Column("usage_final", Boolean, nullable=False),
    Column("stop_reason", String),
    Column("refusal_category", String),
    Column("unbilled_refusal", Boolean),
    Column("input_tokens", BigInteger),
    Column("ephemeral_5m_input_tokens", BigInteger),
    Column("ephemeral_1h_input_tokens", BigInteger),
    Column("cache_read_input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("thinking_tokens", BigInteger),
    Column("web_search_requests", BigInteger),
    Column("web_fetch_requests", BigInteger),
    Column("unpriced_tools", String),  # what ran that is billed by the hour, which no reply tells
    Column("speed", String),
    Column("inference_geo", String),
    Column("service_tier", String),
    Column("regional", Boolean),
    Column("cache_miss_reason", String),
    Column("cache_missed_input_tokens", BigInteger),
    Column("first_ms", Integer),
    Column("total_ms", Integer),
    Column("streamed_chars", BigInteger),
    Column("max_tokens", BigInteger),
    Column("cost_pico", BigInteger),  # 1e-12 USD, exact for every published rate; NULL is unknown
    Column("cost_low_pico", BigInteger),
    Column("cost_high_pico", BigInteger),
    Column(
        "reserved_pico", BigInteger
    ),  # what a budget set aside, and counts where nobody can price the reply
    Column("price_version", String),
    # long texts last: sums then read no overflow page
    Column("prompt", Text),  # JSON: the parts of prompt.py, shortened by lineage.py; never text
    Column("worst", Text),  # JSON: the usage to assume at most when nothing arrived
    Column("usage", Text),  # JSON, as the API sent it
    Column("note", Text),
    Column("error", Text),
    Index("claude_nb_attempts_ts", "ts"),
    Index("claude_nb_attempts_session", "session"),
    Index("claude_nb_attempts_conversation", "conversation"),
    Index("claude_nb_attempts_outcome", "outcome"),
    # all that is summed of a long ledger, in the order it is grouped by
    Index(
        "claude_nb_attempts_hours",
        "model",
        HOUR,
        SIZE,
        "speed",
        *_SUMMED,
        *TOKEN_CLASSES,
        "unpriced_tools",
        info=_SQLITE,
    ),
    Index("claude_nb_attempts_cells", "notebook", "cell", "ts", *_SUMMED, info=_SQLITE),
)

prompts = Table(
    "claude_nb_prompts",
    metadata,
    Column("digest", String, primary_key=True),  # as in the parts of a row's prompt
    Column("text", Text, nullable=False),
)
"""Empty unless its owner asked to keep the text of prompts."""

_ADDED = ("source", "project", "user", "unpriced_tools", "reserved_pico")  # since schema 1


def create_tables(connection: Connection, insert: Any) -> int:
    """Make what is missing, whoever else is making it too; bring an older ledger up to date, row by row unchanged.

    Args:
        connection: Open, committing by itself.
        insert: The dialect's ``insert``, which knows ``ON CONFLICT``.

    Returns:
        The schema the database has: ours, or a newer one, which is left as it is.
    """
    connection.execute(CreateTable(meta, if_not_exists=True))
    ours = insert(meta).on_conflict_do_nothing(index_elements=["key"])
    connection.execute(ours, {"key": "schema", "value": str(SCHEMA)})
    found = int(connection.execute(select(meta.c.value).where(meta.c.key == "schema")).scalar_one())
    if found > SCHEMA:
        return found
    for table in (attempts, prompts):
        connection.execute(CreateTable(table, if_not_exists=True))
    if found < SCHEMA:
        for name in _ADDED:
            _add_column(connection, name)
        connection.execute(update(meta).where(meta.c.key == "schema").values(value=str(SCHEMA)))
    for index in sorted(attempts.indexes, key=lambda index: str(index.name)):
        if index.info.get("only", connection.dialect.name) == connection.dialect.name:
            connection.execute(CreateIndex(index, if_not_exists=True))
    return SCHEMA


def _add_column(connection: Connection, name: str) -> None:
    """Add a column, unless it is there or another process adds it at this very moment."""

    def is_there() -> bool:
        return name in {column["name"] for column in inspect(connection).get_columns(attempts.name)}

    if is_there():
        return
    try:
        kind = attempts.c[name].type.compile(connection.dialect)
        connection.exec_driver_sql(f'ALTER TABLE {attempts.name} ADD COLUMN "{name}" {kind}')
    except DBAPIError:
        if not is_there():
            raise
