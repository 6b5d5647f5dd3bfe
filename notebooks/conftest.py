"""Validation never spends money: the notebooks' kernels run on the sandbox, with a ledger of their own."""

import os
import tempfile

os.environ["CLAUDE_NB_MODE"] = "sandbox"
os.environ["CLAUDE_NB_LEDGER"] = f"{tempfile.mkdtemp(prefix='claude_nb-validation-')}/ledger.db"
