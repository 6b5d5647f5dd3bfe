"""What to leave out of a long conversation, and what that saves or costs.

With cache reads at 2.5 to 10 % of the price of input, leaving out a few messages each turn usually costs more than
it saves: everything behind the gap is written to the cache again. So each policy here cuts rarely and in large
steps, and rather when the cache has expired anyway. Turns are cut whole, so tool calls keep their results and the
conversation still begins with the user; pinned turns stay. Nothing is ever removed from what is stored.

>>> history = History(trim=keep_tokens(100_000))
>>> history.request()  # cut as needed; history.report says what was left out and when that pays
"""

from .cut import WHOLE, Cut, Item, Talk, Turn
from .policies import (
    Policy,
    ServerSide,
    Summarize,
    Trim,
    apply,
    drop_tool_results,
    keep_last,
    keep_tokens,
    policies,
    server_clearing,
    server_compaction,
    server_side,
    summarize,
)
from .report import Report, break_even, report

__all__ = [
    "WHOLE",
    "Cut",
    "Item",
    "Policy",
    "Report",
    "ServerSide",
    "Summarize",
    "Talk",
    "Trim",
    "Turn",
    "apply",
    "break_even",
    "drop_tool_results",
    "keep_last",
    "keep_tokens",
    "policies",
    "report",
    "server_clearing",
    "server_compaction",
    "server_side",
    "summarize",
]
