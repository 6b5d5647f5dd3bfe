"""The offline Messages API: a transport under the official client.

>>> import anthropic
>>> from claude_nb import Sandbox
>>> http_client = anthropic.DefaultHttpxClient(transport=Sandbox())
>>> client = anthropic.Anthropic(api_key="sandbox", http_client=http_client)

An explicit ``api_key="sandbox"`` makes the client ignore every credential variable, so a real key stays home.
Every response carries the header ``x-claude-nb-sandbox: 1``. Invented text says where it comes from; so do the values
of an invented tool call or structured reply, wherever the prompt offers no better ones.

A reply comes from the tape, else from the script (``replies=``), else it is invented. The same request always gets
the same reply, ids included; only its cache usage depends on what was asked before.

================================  ==================================================================================
Imitated
================================  ==================================================================================
Endpoints                         messages (JSON and SSE), count_tokens, models, message batches; also over HTTP on
                                  127.0.0.1 (:mod:`claude_nb.sandbox.server`)
Request shape                     every field and block the installed SDK declares; beta fields with a beta header
Refusals                          status, ``error.type``, ``error_code``, ``request-id``; the texts only resemble the
                                  API's, which are unstable by contract
Roles and tool pairs              merging, system messages, prefill, results first, open server tools
Thinking                          defaults, modes, effort and display per model; signatures bound to system, tools and
                                  all that came before, so that an edited history is refused where the API refuses it
Events                            order and shape as in recorded traffic, for text, thinking, tools, server tools,
                                  citations, refusals and truncation
Stop reasons                      all of the GA ones
Prompt cache                      breakpoints, automatic caching, minimum, lookback, both lifetimes, invalidation, and
                                  ``diagnostics.cache_miss_reason``
Faults                            on demand (:mod:`claude_nb.sandbox.faults`)
================================  ==================================================================================

================================  ==================================================================================
Approximated
================================  ==================================================================================
Token counts                      a fixed rule of bytes per token, by tokenizer generation; images by size (PNG) or flat
Thinking tokens                   a fixed number for each effort
Order of validation               key, size, JSON, model, shape, rules, rate limit (the API documents none)
Rate-limit headers                the limits of one tier; nothing is ever used up
Batches                           progress with polling: half at the first, the rest at the second
Server tools                      web search is invented with one source; the others are accepted and never run
Structured outputs                documented limits of schemas, not every one of the grammar compiler
Foreign signatures                a thinking block that looks like a live one is dropped, not verified
================================  ==================================================================================

================================  ==================================================================================
Absent
================================  ==================================================================================
Files, skills, agents, admin      404
Message threads                   400 ``thread_unsupported_request``, after which the SDK goes on without
Compaction, context editing       accepted by shape under a beta header, without effect
Fallbacks, MCP, task budgets      accepted by shape under a beta header, without effect
Fine print of images and PDFs     pixels and pages are not checked
================================  ==================================================================================
"""

from . import faults
from .recorder import Recorder
from .transport import Sandbox

__all__ = ["Recorder", "Sandbox", "faults"]
