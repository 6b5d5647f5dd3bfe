"""The same structured output for every row of a table: a few dozen at once, or any number as a batch."""

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from warnings import warn

from .attach import content
from .bar import Progress
from .batch import Batch
from .bill import cost_of
from .client import client_for
from .errors import ClaudeNbError, PromptError
from .ledger import format_usd
from .ledger.blocks import carried
from .models import MODEL, usable
from .options import check_options
from .outcome import in_words
from .servers import checked, streaming, streaming_async
from .shape import Shape
from .stream import Reading, read, read_async

if TYPE_CHECKING:
    import pandas as pd

_INT64 = 2**63
_USAGE = ("input_tokens", "cache_read_input_tokens", "output_tokens")


@dataclass
class Row:
    """One row on its way: what is asked (nothing of a blank row), and what came of it."""

    request: dict[str, Any]
    found: dict[str, Any] = field(default_factory=dict)
    message: Any = None
    error: str | None = "no reply"
    simulated: bool = False


def extract_many(
    data: Any,
    shape: Any,
    *,
    column: str | None = None,
    system: str | None = None,
    client: Any = None,
    model: str = MODEL,
    max_tokens: int = 1024,
    batch: bool | str | Iterable[str] = False,
    at_once: int = 8,
    poll: float = 30.0,
    quiet: bool = False,
    **options: Any,
) -> "pd.DataFrame":
    """Give a frame with a row for each row of ``data``: the fields that were extracted, or the error.

    Rows do not see each other. A bar shows how far it is, and one printed line gives the number of errors and the
    total price.

    Args:
        data: A frame, a series, or a list of texts, figures or images.
        shape: The type to extract: a pydantic model, dataclass, TypedDict, enum, or a list of these.
        column: The column of a frame to read.
        system: What to do with each row, as the system prompt.
        client: An SDK client; default ``connect()``.
        model: The model to ask.
        max_tokens: Ceiling of each reply in tokens.
        batch: True sends the rows through the Message Batches API at half the price, and waits for it; it may take
            up to 24 hours. The printed id, given here instead of True with the same data, collects the results later,
            also in another kernel.
        at_once: Requests under way at the same time, without ``batch``.
        poll: Seconds between two looks at a batch, at most.
        quiet: Print nothing.
        **options: Further arguments of ``client.messages.create``.

    Returns:
        A frame with the index of ``data``: a column for each field (or one column ``value``), then ``error``,
        ``stop_reason``, the tokens as reported, and ``cost_usd`` (missing where unknown). ``frame.attrs["cost_usd"]``
        is the total, exact. After an interrupt the rows without a reply say so. It goes to a database by pandas'
        ``to_sql``; with nested fields by :func:`storable`.

    Raises:
        PromptError: The data, column or type cannot be used; nothing was sent.
        anthropic.APIError: No request can succeed (key, permission, model); other errors stand in their row.
    """
    _check(at_once, poll)
    job = _Job(data, shape, column, _request(model, max_tokens, system, options))
    client = client_for(client, is_async=False, instead="await aextract_many(...)", quiet=quiet)
    if batch is not False:
        Batch(job.rows, client, quiet=quiet).run(batch, poll=poll)
        job.settle()
        return job.frame(quiet=quiet)
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="claude_nb extract")
    try:
        futures = [pool.submit(carried().run, _ask, client, row) for row in job.todo()]
        with Progress(len(futures), quiet=quiet) as progress:
            for future in as_completed(futures):
                progress.step(cost_of(future.result().message))
    except KeyboardInterrupt:
        warn("interrupted: rows without a reply say so in the column error.", stacklevel=2)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    job.settle()
    return job.frame(quiet=quiet)


async def aextract_many(
    data: Any,
    shape: Any,
    *,
    column: str | None = None,
    system: str | None = None,
    client: Any = None,
    model: str = MODEL,
    max_tokens: int = 1024,
    at_once: int = 8,
    quiet: bool = False,
    **options: Any,
) -> "pd.DataFrame":
    """Do the same as :func:`extract_many` with an async client; batches are for the sync one."""
    _check(at_once)
    job = _Job(data, shape, column, _request(model, max_tokens, system, options))
    client = client_for(client, is_async=True, instead="extract_many(...)", quiet=quiet)
    free = asyncio.Semaphore(at_once)

    async def one(row: Row) -> None:
        async with free:
            await _ask_async(client, row)
            progress.step(cost_of(row.message))

    tasks = [asyncio.ensure_future(one(row)) for row in job.todo()]
    with Progress(len(tasks), quiet=quiet) as progress:
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
    job.settle()
    return job.frame(quiet=quiet)


class _Job:
    """All rows of one extraction."""

    def __init__(self, data: Any, shape: Any, column: str | None, request: dict[str, Any]) -> None:
        self.shape = Shape(shape)
        given = request.pop("output_config", None) or {}
        request["output_config"] = {**given, **self.shape.output_config}
        self.index, values = _values(data, column)
        self.rows = [_row(value, request) for value in values]

    def todo(self) -> Iterator[Row]:
        return (row for row in self.rows if row.request)

    def settle(self) -> None:
        """Turn the replies into fields or errors."""
        for row in self.rows:
            if row.message is None or row.error is not None:
                continue
            try:
                row.found = self.shape.fields(self.shape.read(row.message))
            except ClaudeNbError as error:
                row.error = str(error).removesuffix(" It is in error.message.")

    def frame(self, *, quiet: bool) -> "pd.DataFrame":
        import pandas as pd

        table = pd.DataFrame([_columns(row) for row in self.rows], index=self.index, dtype=object)
        if table.empty:
            table = pd.DataFrame(columns=list(_columns(Row({}))))
        table = table.astype({name: "Int64" for name in table if _is_whole(table[name])}).infer_objects()
        names = dict.fromkeys(name for row in self.rows for name in row.found)
        table = table[[*names, *(name for name in table.columns if name not in names)]]
        asked = [row for row in self.rows if row.message is not None]
        costs = [cost_of(row.message) for row in asked]
        total = None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))
        failed = sum(row.error is not None for row in self.rows)
        simulated = any(row.simulated for row in asked)
        table.attrs = {"cost_usd": total, "errors": failed, "simulated": simulated}
        if not quiet:
            price = f"{format_usd(total)}{' if it were live' if simulated else ''}"
            price = "price unknown" if total is None else price
            print(f"claude_nb: {len(self.rows):,} rows, {failed:,} with errors, {price}.")  # noqa: T201 - as announced
        return table


def storable(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Give a frame that a database takes: nested values (lists, objects) as JSON text, decimals as floats.

    A frame of plain fields can go to a table as it is.

    Example:
        >>> storable(found).to_sql("people", engine, index=False)
    """
    import pydantic_core

    def plain(value: Any) -> Any:
        if isinstance(value, dict | list | tuple | set | frozenset):
            return pydantic_core.to_json(value, fallback=str).decode()
        return float(value) if isinstance(value, Decimal) else value

    made = frame.map(plain)
    made.attrs = {}
    return made


def _check(at_once: int, poll: float = 1) -> None:
    if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
        raise PromptError(
            f"at_once is {at_once!r}; it is the number of requests at the same time, 1 or more."
        )
    if not isinstance(poll, int | float) or poll < 0:
        raise PromptError(f"poll is {poll!r}; it takes seconds, 0 or more.")


def _request(model: str, max_tokens: int, system: str | None, options: dict[str, Any]) -> dict[str, Any]:
    check_options(options, extract_many)
    return {
        "model": usable(model),
        "max_tokens": max_tokens,
        **({"system": system} if system else {}),
        **options,
    }


def _values(data: Any, column: str | None) -> tuple[Any, list[Any]]:
    """The index and the values to read."""
    if hasattr(data, "columns"):
        names = list(data.columns)
        column = names[0] if column is None and len(names) == 1 else column
        if column not in names:
            wrong = "several columns" if column is None and names else f"no column {column!r}"
            there = ", ".join(map(repr, names)) or "none"
            raise PromptError(f"the frame has {wrong}. Say which to read, as column='…'; there are {there}.")
        return data.index, list(data[column])
    if hasattr(data, "index") and hasattr(data, "to_list"):
        return data.index, data.to_list()
    if isinstance(data, str | bytes | dict) or not isinstance(data, Iterable):
        raise PromptError(
            f"extract_many() takes a frame, a series or a list, not {type(data).__name__}. For one text use "
            "chat.extract(text, Model)."
        )
    return None, list(data)


def _row(value: Any, request: dict[str, Any]) -> Row:
    missing = value is None or type(value).__name__ in ("NAType", "NaTType") or value != value  # noqa: PLR0124 - NaN
    is_blank = missing or (isinstance(value, str) and not value.strip())
    if is_blank:
        return Row({}, error="empty")
    return Row({**request, "messages": [{"role": "user", "content": content(value)}]})


def _ask(client: Any, row: Row) -> Row:
    try:
        with streaming(client, row.request) as stream:
            _keep(row, checked(read(stream, display=False), stream.response.request.url.host))
    except Exception as error:
        if _is_hopeless(error):
            raise
        row.error = in_words(error)
    return row


async def _ask_async(client: Any, row: Row) -> None:
    try:
        async with streaming_async(client, row.request) as stream:
            _keep(row, checked(await read_async(stream, display=False), stream.response.request.url.host))
    except Exception as error:
        if _is_hopeless(error):
            raise
        row.error = in_words(error)


def _is_hopeless(error: Exception) -> bool:
    """Whether no other row can succeed either; otherwise an error stands in its row."""
    import anthropic

    return isinstance(
        error,
        anthropic.AuthenticationError | anthropic.PermissionDeniedError | anthropic.NotFoundError | TypeError,
    )


def _keep(row: Row, reading: Reading) -> None:
    row.message, row.simulated = reading.message, reading.simulated
    row.error = None if reading.error is None else in_words(reading.error)


def _is_whole(column: "pd.Series[Any]") -> bool:
    """Whether it holds whole numbers with gaps, which pandas would make floats of."""
    known = column.dropna()
    return 0 < len(known) < len(column) and all(
        isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INT64 for value in known
    )


def _columns(row: Row) -> dict[str, Any]:
    """One line of the frame; a field of the user's keeps its name, ours gives way."""
    message = row.message
    usage = message.usage.to_dict() if message is not None and message.usage is not None else {}
    told = {"error": row.error, "stop_reason": message.stop_reason if message is not None else None}
    told |= {name: usage.get(name) for name in _USAGE}
    cost = cost_of(message)
    told["cost_usd"] = None if cost is None else float(cost)
    return {**row.found, **{f"{name}_" if name in row.found else name: value for name, value in told.items()}}
