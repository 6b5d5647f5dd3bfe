"""Experiments: what a choice does to tokens and cost, measured over several runs instead of guessed from one."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .answers import Answer, Asked, ask_all, ask_all_async
from .client import client_for
from .comparison import short
from .errors import PromptError
from .history import Content, History
from .ledger import format_usd
from .models import MODEL, usable
from .options import check_options
from .outcome import outcome_of

if TYPE_CHECKING:
    import pandas as pd

_PICO = 12  # digits of a dollar, as the ledger keeps them

Systems = Mapping[str, str | None] | Sequence[str | None]


@dataclass(frozen=True, repr=False)
class Effect:
    """Runs of one prompt under several system prompts, and what the system prompts did to them.

    Attributes:
        runs_of: The answers by the label of their system prompt, in the order given.
    """

    runs_of: dict[str, tuple[Answer, ...]]

    def runs(self) -> "pd.DataFrame":
        """Give a row a run: tokens as reported, ``cost_usd``, ``complete`` and ``error``; what is unknown is None."""
        import pandas as pd

        answers = (answer for runs in self.runs_of.values() for answer in runs)
        simulated = any(answer.simulated for answer in answers)  # one client; what failed does not say
        rows = [
            {"system": label, "run": run, **_row(answer), "simulated": simulated}
            for label, answers in self.runs_of.items()
            for run, answer in enumerate(answers, 1)
        ]
        return pd.DataFrame(rows)

    def frame(self) -> "pd.DataFrame":
        """Give a row a system prompt.

        ``runs`` that were asked and how many of them are ``complete``; mean tokens in and out and mean cost in USD
        of the runs that reported them; ``_sd`` is their standard deviation (of a sample), None below two runs.
        ``output_change`` compares the mean output with the first row's: -0.25 is a quarter less. ``total_usd`` is
        None as soon as one run has no known price.
        """
        import pandas as pd

        table = pd.DataFrame([_summary(label, answers) for label, answers in self.runs_of.items()])
        first = table["output_tokens"][0]
        table.insert(
            6,
            "output_change",
            [mean / first - 1 if mean and first else None for mean in table["output_tokens"]],
        )
        return table

    def __repr__(self) -> str:
        return "\n".join(_in_words(row) for _, row in self.frame().iterrows())

    def _repr_html_(self) -> str:
        html: str = self.frame().to_html(index=False, na_rep="unknown", escape=True)
        return f'<div class="tex2jax_ignore mathjax_ignore">{html}</div>'


def system_effect(
    prompt: Content,
    systems: Systems,
    *,
    n: int = 5,
    client: Any = None,
    model: str = MODEL,
    max_tokens: int = 1024,
    **options: Any,
) -> Effect:
    """Measure what a system prompt does to output tokens and cost, by asking ``n`` times under each.

    Replies differ from run to run, so one pair of them shows nothing; look at the spread. Runs that were cut at
    ``max_tokens`` make the mean too low: the column ``complete`` counts those that were not.

    Args:
        prompt: Text or content blocks, the same for every run.
        systems: The system prompts: a list, or a dict of label and prompt. None is no system prompt; put what the
            others are compared with first.
        n: Runs of each system prompt.
        client: An SDK client; default ``connect()``.
        model: The model to ask.
        max_tokens: Ceiling of each reply in tokens.
        **options: Further arguments of ``client.messages.stream``.

    Raises:
        PromptError: A prompt is empty, ``systems`` is no list or dict, or ``n`` is no number from 1 up.

    Example:
        >>> effect = system_effect("What is a token?", [None, "Answer in one sentence."], n=5)
        >>> effect.frame()  # a row a system prompt
        >>> plots.effect(effect)
    """
    check_options(options, system_effect)
    labels, asked = _asked(prompt, systems, n, model)
    client = client_for(client, is_async=False, instead="await asystem_effect(...)")
    return _effect(labels, ask_all(client, asked, max_tokens=max_tokens, **options))


async def asystem_effect(
    prompt: Content,
    systems: Systems,
    *,
    n: int = 5,
    client: Any = None,
    model: str = MODEL,
    max_tokens: int = 1024,
    **options: Any,
) -> Effect:
    """Do the same as :func:`system_effect` with an async client."""
    check_options(options, system_effect)
    labels, asked = _asked(prompt, systems, n, model)
    client = client_for(client, is_async=True, instead="system_effect(...)")
    return _effect(labels, await ask_all_async(client, asked, max_tokens=max_tokens, **options))


def _asked(prompt: Content, systems: Systems, n: int, model: str) -> tuple[list[str], list[Asked]]:
    """The labels, and what is asked, run by run, so that a slow minute of the server meets all of them."""
    if isinstance(systems, str) or not isinstance(systems, Mapping | Sequence) or not systems:
        raise PromptError(
            "systems takes a list of system prompts, or a dict of label and prompt: "
            '[None, "Answer in one sentence."].'
        )
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise PromptError(f"n is {n!r}; it is the number of runs of each system prompt, 1 or more.")
    named = dict(systems) if isinstance(systems, Mapping) else dict(_labelled(systems))
    requests = []
    for system in named.values():
        history = History(system=system)
        history.user(prompt)
        requests.append({"model": usable(model), **history.request()})
    return list(named), [asked for _ in range(n) for asked in zip(named, requests, strict=True)]


def _labelled(systems: Sequence[str | None]) -> Iterator[tuple[str, str | None]]:
    for place, system in enumerate(systems, 1):
        yield f"{place}. {'no system prompt' if system is None else short(system)}", system


def _effect(labels: list[str], answers: Sequence[Answer]) -> Effect:
    runs = {label: tuple(answer for answer in answers if answer.label == label) for label in labels}
    return Effect(runs)


def _row(answer: Answer) -> dict[str, Any]:
    message = answer.message
    final = message is not None and message.stop_reason is not None and message.usage is not None
    usage = message.usage.to_dict() if final else {}
    parts = [
        usage.get(name) for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    ]
    return {
        "stop_reason": message.stop_reason if message is not None else None,
        "complete": answer.error is None and message is not None and outcome_of(message).complete,
        "prompt_tokens": sum(filter(None, parts)) if parts[0] is not None else None,
        "output_tokens": usage.get("output_tokens"),
        "cost_usd": answer.cost_usd,
        "simulated": answer.simulated,
        "error": answer.error,
    }


def _summary(label: str, answers: Sequence[Answer]) -> dict[str, Any]:
    rows = [_row(answer) for answer in answers]
    known = {name: [row[name] for row in rows if row[name] is not None] for name in rows[0]}
    out, costs = known["output_tokens"], known["cost_usd"]
    return {
        "system": label,
        "runs": len(rows),
        "complete": sum(known["complete"]),
        "prompt_tokens": statistics.fmean(known["prompt_tokens"]) if known["prompt_tokens"] else None,
        "output_tokens": statistics.fmean(out) if out else None,
        "output_tokens_sd": statistics.stdev(out) if len(out) > 1 else None,
        "cost_usd": _usd(statistics.mean(costs)) if costs else None,
        "cost_usd_sd": _usd(statistics.stdev(costs)) if len(costs) > 1 else None,
        "total_usd": sum(costs, Decimal(0)) if len(costs) == len(rows) else None,
        "simulated": any(known["simulated"]),
    }


def _usd(amount: Decimal) -> Decimal:
    """Without the endless digits of a quotient."""
    return round(amount, _PICO).normalize() + 0


def _in_words(row: Any) -> str:
    out = row["output_tokens"]
    spread = f" ± {row['output_tokens_sd']:,.1f}" if row["output_tokens_sd"] is not None else ""
    tokens = "output tokens unknown" if out is None else f"{out:,.1f}{spread} output tokens"
    live = " if it were live" if row["simulated"] else ""
    return (
        f"{row['system']}: {tokens}, {format_usd(row['cost_usd'])} a run{live} "
        f"({row['complete']} of {row['runs']} complete)"
    )
