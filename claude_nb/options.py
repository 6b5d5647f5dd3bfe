"""The further arguments of a call, held against the installed SDK: a slip is said before anything is sent."""

from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from functools import cache
from inspect import Parameter, signature
from typing import Any

from .errors import ClaudeNbError, PromptError

_LISTED = "help(client.messages.create) lists those of the SDK; extra_body={{{name!r}: …}} sends what it does not know."

_SET_HERE = frozenset({"messages", "stream"})


def check_options(
    options: Collection[str],
    call: Callable[..., Any],
    *,
    lasting: Callable[..., Any] | None = None,
    betas: Collection[str] = (),
) -> None:
    """Refuse an argument that neither this package nor the SDK knows.

    Args:
        options: The names of the further arguments.
        call: The function they were given to.
        lasting: The class whose own arguments and attributes are often taken for those of a call.
        betas: The betas that are sent anyway.

    Raises:
        PromptError: One of them is unknown or set by this package, or the SDK takes it only with ``betas``.
    """
    from anthropic.resources.beta.messages import Messages as BetaMessages
    from anthropic.resources.messages import Messages

    plain = _names(Messages.create) | _names(Messages.stream)
    beta = _names(BetaMessages.create)
    for name in options:
        if name in _SET_HERE:
            raise PromptError(f"{call.__qualname__}() sets {name}= itself. Leave it out.")
        if name not in plain | beta:
            raise PromptError(_unknown(name, call, plain | beta, _LISTED, lasting))
        if name not in plain and "betas" not in options and not betas:
            raise PromptError(f"{name}= is an argument of the beta API. Name the beta with it: betas=[…].")


def check_client_options(options: Iterable[str], call: Callable[..., Any]) -> None:
    """Refuse an argument for a client that neither this package nor the SDK knows.

    Args:
        options: The names of the further arguments.
        call: The function they were given to.

    Raises:
        ClaudeNbError: One of them is unknown.
    """
    from anthropic import Anthropic

    known = _names(Anthropic)
    for name in options:
        if name not in known:
            raise ClaudeNbError(
                _unknown(name, call, known, "help(anthropic.Anthropic) lists those of the SDK.")
            )


def _unknown(
    name: str,
    call: Callable[..., Any],
    known: frozenset[str],
    listed: str,
    lasting: Callable[..., Any] | None = None,
) -> str:
    known |= _names(call)
    kept = _names(lasting) - known if lasting else frozenset()
    near = next(iter(get_close_matches(name, sorted(known | kept), n=1)), None)
    advice = f"Did you mean {near}=?" if near else listed.format(name=name)
    if lasting and near in kept:
        made = lasting.__name__
        advice = f"Set {near} beforehand: {made}(..., {near}=…), or {made.lower()}.{near} = …."
    return f"{call.__qualname__}() has no argument {name}=. {advice}"


@cache
def _names(call: Callable[..., Any]) -> frozenset[str]:
    """The arguments of a function that have a name, without ``self``."""
    named = (one.name for one in signature(call).parameters.values() if one.kind is not Parameter.VAR_KEYWORD)
    return frozenset(named) - {"self"}
