"""What a cut leaves out, what it saves, what it costs, and when it has paid for itself."""

import math
from dataclasses import dataclass

from .cut import Cut, Talk


@dataclass(frozen=True)
class Report:
    """What a cut leaves out, what it saves and what it costs. All tokens are estimates.

    Attributes:
        left_out: Stored messages that are not sent.
        cleared: Messages whose tool results are sent without content.
        told: Messages of tool loops that are sent in words.
        tokens: Tokens of the prompt.
        saved: Tokens saved in each request, compared to sending everything.
        newly_saved: How many of them are saved for the first time now.
        rewritten: Tokens behind the new gap, which the cache has to store again; 0 where nothing was cached.
        break_even: Requests after which the new cut has paid for that; None where that is unknown.
        without_thinking: Whether thinking before the gap is left out too, as the model demands.
    """

    left_out: int
    cleared: int
    told: int
    tokens: int
    saved: int
    newly_saved: int
    rewritten: int
    break_even: int | None
    without_thinking: bool

    def __str__(self) -> str:
        if not (self.left_out or self.cleared or self.told):
            return f"nothing left out, about {self.tokens:,} tokens of prompt"
        gone = [f"{self.left_out:,} messages left out"] if self.left_out else []
        gone += [f"{self.cleared:,} tool results cleared"] if self.cleared else []
        gone += [f"{self.told:,} steps told in words"] if self.told else []
        text = f"{', '.join(gone)}: about {self.saved:,} tokens saved in each request, {self.tokens:,} sent"
        if self.newly_saved and self.rewritten:
            pays = (
                "unknown when it pays"
                if self.break_even is None
                else f"pays after {self.break_even} requests"
            )
            text += f"; about {self.rewritten:,} tokens of cache rewritten, {pays}"
        elif self.newly_saved:
            text += "; no cache lost, pays at once"
        return text + ("; thinking before the gap not sent" if self.without_thinking else "")


def report(talk: Talk, cut: Cut, before: Cut, *, first_change: float, model: str | None) -> Report:
    """Say what ``cut`` does to a conversation that was last sent under ``before``.

    Args:
        talk: The conversation.
        cut: What is left out now.
        before: What was left out of the request before.
        first_change: The first place that the two treat differently.
        model: Whose prices decide when it pays; None or unknown leaves that open.
    """
    tokens, newly = talk.size(cut), talk.size(before) - talk.size(cut)
    lost = talk.cached and not talk.cold and math.isfinite(first_change)
    rewritten = talk.between(int(first_change), len(talk.items), cut) if lost else 0
    return Report(
        left_out=sum(not talk.items[place].always for place in cut.places()),
        cleared=len(cut.cleared),
        told=len(cut.told_places() - cut.places()),
        tokens=tokens,
        saved=talk.size() - tokens,
        newly_saved=max(0, newly),
        rewritten=rewritten,
        break_even=break_even(newly, rewritten, model) if newly > 0 else None,
        without_thinking=cut.thinking_from > 0,
    )


def break_even(saved: int, rewritten: int, model: str | None) -> int | None:
    """Requests after which leaving out ``saved`` tokens pays for writing ``rewritten`` ones to the cache again.

    ``(rewritten / saved) * (write - read) / read``, at the model's prices; None where they are unknown.
    """
    if rewritten == 0:
        return 0
    from claude_nb.ledger.rates import rates_of

    rates = rates_of(model, None, rewritten) if model else None
    if rates is None or not rates.read or saved <= 0:
        return None
    return math.ceil(rewritten / saved * float((rates.write_5m - rates.read) / rates.read))
