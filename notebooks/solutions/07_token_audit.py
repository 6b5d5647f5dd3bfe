# Solutions to 07 Token audit. They use the names that the notebook's first cell imports.

import statistics
from itertools import pairwise


# 1. idxmax skips what is unknown.
def dearest(frame):
    return frame.cost_usd.idxmax()


check("07-1", dearest)

# 2. A budget of nothing refuses everything.
try:
    with Budget(0, per="call"):
        Chat(client, display=False).send("Hello")
except BudgetExceeded as error:
    refused = error
check("07-2", refused)


# 3. The median is what a turn usually adds, whatever one of them did.
def spike(sizes):
    added = [after - before for before, after in pairwise(sizes)]
    if not added or max(added) <= 3 * statistics.median(added):
        return None
    return added.index(max(added)) + 1


check("07-3", spike)
