"""The line under a reply: why it stopped, what it used, what it cost. Facts only; what is unknown says so."""

from collections.abc import Mapping
from typing import Any, Literal

from .bill import price_reported
from .ledger import format_usd, is_unbilled_refusal, made_output
from .outcome import Tone, outcome_of
from .turn import Chip

Kind = Literal["badge", "stop", "tokens", "price", "time", "note", "error"]

_PARTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def footer(
    message: Any,
    *,
    simulated: bool = False,
    first_token: float | None = None,
    seconds: float | None = None,
    error: str | None = None,
) -> list[Chip]:
    """Give the footer of a reply as chips ``{"kind", "text", "title", "tone"}``.

    Args:
        message: The SDK's ``Message``, partial ones too; None when none arrived.
        simulated: Whether the sandbox answered: the price is then what a real call would cost.
        first_token: Time to the first token in seconds, for a live reply.
        seconds: Time of the whole reply in seconds, for a live reply.
        error: What went wrong, when something did.
    """
    chips: list[Chip] = []
    if simulated:
        chips.append(
            _chip("badge", "sandbox", "Simulated offline: nothing was sent, nothing is billed.", "muted")
        )
    if error:
        chips.append(_chip("error", error, "", "bad"))
    if message is None:
        return chips
    outcome = outcome_of(message)
    if not error:
        chips.append(_chip("stop", outcome.label, f"stop_reason: {outcome.stop_reason}", outcome.tone))
    final = message.stop_reason is not None
    usage = message.usage.to_dict() if message.usage is not None else {}
    chips += [_tokens(usage, final=final), _price(message, usage, final=final, simulated=simulated)]
    if first_token is not None and seconds and final:
        text = f"{first_token:.1f} s to first token"
        if (tokens := usage.get("output_tokens")) is not None:
            text += f", {tokens / max(seconds - first_token, 0.001):.0f} tokens/s"
        chips.append(_chip("time", text, f"{seconds:.1f} s in all", "muted"))
    if outcome.remedy and outcome.tone != "ok":
        chips.append(_chip("note", outcome.remedy, "", outcome.tone))
    return chips


def footer_text(chips: list[Chip]) -> str:
    """Give the footer as one line of plain text."""
    return " · ".join(entry["text"] for entry in chips)


def thinking_share(message: Any) -> str:
    """Give how much of a reply was thinking, ``"48 tokens, 24 % of the output"``; empty where it is unknown."""
    if message is None or message.stop_reason is None or message.usage is None:
        return ""
    usage = message.usage.to_dict()
    thinking, output = _thinking(usage), usage.get("output_tokens")
    if not thinking or not output:
        return ""
    return f"{thinking:,} tokens, {100 * thinking / output:.0f} % of the output"


def _tokens(usage: Mapping[str, Any], *, final: bool) -> Chip:
    known = [usage[name] for name in _PARTS if usage.get(name) is not None]
    cached, thinking = usage.get("cache_read_input_tokens"), _thinking(usage)
    sent = f"{sum(known):,}" if known else "unknown"
    back = f"{usage['output_tokens']:,}" if final and usage.get("output_tokens") is not None else "unknown"
    text = f"{sent} tokens in"
    if cached:
        text += f" ({cached:,} cached)"
    text += f", {back} out"
    if thinking and final:
        text += f" ({thinking:,} thinking)"
    title = "" if final else "An interrupted reply never reports its output tokens."
    return _chip("tokens", text, title, "muted")


def _thinking(usage: Mapping[str, Any]) -> int | None:
    details = usage.get("output_tokens_details")
    return details.get("thinking_tokens") if isinstance(details, Mapping) else None


def _price(message: Any, usage: Mapping[str, Any], *, final: bool, simulated: bool) -> Chip:
    category = getattr(message.stop_details, "category", None) if message.stop_reason == "refusal" else None
    if is_unbilled_refusal(message.stop_reason, category, produced=made_output(message.content)):
        return _chip(
            "price", "not billed", "A refusal before any output is not billed in this category.", "muted"
        )
    model = getattr(message, "model", None)
    price = price_reported(model, usage)
    if price is None:
        counts = (usage.get("input_tokens"), usage.get("output_tokens"))
        missing = None in counts or not any(counts)
        why = (
            "The server did not report all tokens."
            if missing
            else f"No dated price is known for {model or 'this model'}."
        )
        return _chip("price", "price unknown", why, "muted")
    amount = format_usd(price) if final else f"over {format_usd(price)}"
    if simulated:
        return _chip(
            "price", f"{amount} if it were live", "A real call would cost this; the sandbox is free.", "muted"
        )
    title = (
        "" if final else "The input is exact; the output of an interrupted reply is billed but not reported."
    )
    return _chip("price", amount, title, "muted")


def _chip(kind: Kind, text: str, title: str, tone: Tone) -> Chip:
    return {"kind": kind, "text": text, "title": title, "tone": tone}
