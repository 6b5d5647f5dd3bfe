"""What each message of a conversation is in tokens."""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import HistoryError

from . import sizes

if TYPE_CHECKING:
    import pandas as pd

    from .history import History


def tokens(history: "History", client: Any = None, *, model: str | None = None) -> "pd.DataFrame":
    """Give the input tokens of each message, from the prompts that the server measured.

    The prompt of a reply less that of the reply before it is exact: the first reply and the message after it.
    How the two share it is an estimate, marked in the column ``estimated``. Where the prompt before changed (a
    cut, another model) what cannot be told is a row ``residual``.

    Args:
        history: The conversation.
        client: An SDK client that counts what was not sent yet, in one free call. Default: it is estimated.
        model: Whose tokens to count; default the model that replied last.

    Returns:
        A row a message: ``at`` (its place), ``role``, ``tokens``, ``estimated`` and ``text``.

    Raises:
        HistoryError: The client is none, or there is nothing to be counted: the conversation ends with a reply.
        anthropic.APIError: What the SDK raised while it counted.
    """
    now = None
    if client is not None:
        if not hasattr(client, "messages"):
            raise HistoryError(f"tokens() takes a client of the SDK, not {type(client).__name__}.")
        chosen = model or sizes.model_of(history._tree.path()).id
        request = history.fork().request(model=chosen)
        counter = client.beta.messages if "betas" in request else client.messages
        now = counter.count_tokens(model=chosen, **request).input_tokens
    return history._sizes.frame(history._tree, now)
