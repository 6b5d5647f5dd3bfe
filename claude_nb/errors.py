"""What can go wrong, as one tree.

    ClaudeNbError
    ├── CredentialError     the key is missing, malformed, doubled or unreadable
    ├── PromptError         a prompt that the API would refuse: empty, or not text
    ├── ModelError          a model id that does not exist, is retired, or is not text
    ├── HistoryError        a call that would make the conversation invalid
    ├── StreamError         a stream that cannot be shown
    │   ├── NotAStream      watch() was given something else
    │   ├── StreamConsumed  the stream was read or closed before
    │   └── BadStream       the server did not answer with a stream of messages
    ├── IncompleteReply     a complete answer was asked for and did not come (in steps.py, with the message)
    │   ├── LimitReached    a limit in turns, seconds or USD came before the answer
    │   └── RefusedReply    the model declined (in shape.py)
    ├── ExtractionError     the answer is complete and does not fit the type (in shape.py)
    ├── LedgerError         the ledger cannot be opened or read
    │   └── BudgetExceeded  a call was not sent because it would not fit (in ledger/budget.py)
    └── SandboxError        the sandbox was set up wrongly

Errors of the API itself stay the SDK's own (``anthropic.APIError`` and its children). Each message here says
what happened, why, and what to type next; none ever holds a key.
"""


class ClaudeNbError(Exception):
    """Any error raised by this package itself."""


class CredentialError(ClaudeNbError, ValueError):
    """A key that cannot be used. The message names where it came from, never the key."""


class PromptError(ClaudeNbError, ValueError):
    """A prompt the API would refuse."""


class ModelError(ClaudeNbError, ValueError):
    """A model id that cannot be used."""


class HistoryError(ClaudeNbError, ValueError):
    """A call that would make the conversation invalid. The conversation is unchanged."""


class StreamError(ClaudeNbError):
    """A stream that cannot be shown."""


class NotAStream(StreamError, TypeError):  # noqa: N818 - reads as the sentence it is
    """``watch`` was given something that is not an SDK stream."""


class StreamConsumed(StreamError):  # noqa: N818 - the field's own word, as in httpx
    """The stream was read or closed before; a stream can be read once."""


class BadStream(StreamError):  # noqa: N818 - names the server's fault, not ours
    """The server answered a stream request with something that is not a stream of messages."""


class LedgerError(ClaudeNbError):
    """The ledger cannot be opened or read."""


class SandboxError(ClaudeNbError, ValueError):
    """The sandbox was set up wrongly."""
