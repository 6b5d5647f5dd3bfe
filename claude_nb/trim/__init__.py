"""What to leave out of a long conversation, and what that saves or costs.

With cache reads at 2.5 to 10 % of the price of input, leaving out a few messages each turn usually costs more than
it saves: everything behind the gap is written to the cache again. So each policy here cuts rarely and in large
steps, and rather when the cache has expired anyway. Turns are cut whole, so tool calls keep their results and the
conversation still begins with the user; pinned turns and instructions stay. A tool loop that outgrows the limit while
it runs goes on as words of its prompt. Nothing is ever removed from what is stored.

>>> history = History(trim=keep_tokens(100_000))
>>> history.request()  # cut as needed; history.report says what was left out and when that pays
"""

from .cut import WHOLE, Cut, Item, Talk, Told, Turn
from .kept import described, restored
from .policies import (
    Policy,
    Summarize,
    Trim,
    apply,
    apply_in_loop,
    drop_tool_results,
    keep_last,
    keep_tokens,
    policies,
    summarize,
)
from .report import Report, break_even, report
from .server import ServerSide, server_clearing, server_compaction, server_side

__all__ = [
    "WHOLE",
    "Cut",
    "Item",
    "Policy",
    "Report",
    "ServerSide",
    "Summarize",
    "Talk",
    "Told",
    "Trim",
    "Turn",
    "apply",
    "apply_in_loop",
    "break_even",
    "described",
    "drop_tool_results",
    "keep_last",
    "keep_tokens",
    "policies",
    "report",
    "restored",
    "server_clearing",
    "server_compaction",
    "server_side",
    "summarize",
]
