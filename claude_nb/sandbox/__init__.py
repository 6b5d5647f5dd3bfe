"""The offline Messages API: a transport under the official client.

>>> import anthropic
>>> from claude_nb import Sandbox
>>> http_client = anthropic.DefaultHttpxClient(transport=Sandbox())
>>> client = anthropic.Anthropic(api_key="sandbox", http_client=http_client)

An explicit ``api_key="sandbox"`` makes the client ignore every credential variable, so a real key stays home.
Every response carries the header ``x-claude-nb-sandbox: 1``, and every invented reply says where it comes from.
"""

from . import faults
from .recorder import Recorder
from .transport import Sandbox

__all__ = ["Recorder", "Sandbox", "faults"]
