"""Numbers that a policy takes, checked at the call."""

from claude_nb.errors import HistoryError


def whole(policy: str, name: str, value: object, least: int, *, such_as: str) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises:
        HistoryError: What was given, what is taken, and an example.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise HistoryError(
            f"{policy}() takes {name} as a whole number, {least} or more, not {value!r}: {such_as}."
        )
