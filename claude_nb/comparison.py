"""The same question asked in several ways at once: models, prompts or system prompts, side by side."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from .answers import Answer, Asked, Interrupted, ask_all, ask_all_async, chips_of
from .client import client_for
from .errors import PromptError
from .history import History
from .join import words
from .models import MODEL, usable
from .options import check_options
from .outcome import outcome_of
from .screens import in_notebook, saved_bundle

if TYPE_CHECKING:
    import pandas as pd

_COLUMN = "flex:1 1 20em;min-width:0;padding:0 12px;border-left:2px solid rgba(128,128,128,.4)"
_NO_MATH = "tex2jax_ignore mathjax_ignore"  # "$5 and $6" is money
_SHOWN = 40  # characters of a prompt as a heading


@dataclass(frozen=True, repr=False)
class Comparison:
    """Answers side by side: columns in a notebook, one after the other elsewhere, and a frame behind them."""

    answers: tuple[Answer, ...]

    def frame(self) -> "pd.DataFrame":
        """Give a row an answer: stop reason, tokens as reported, ``cost_usd``, ``simulated``, seconds, and the text."""
        import pandas as pd

        simulated = any(answer.simulated for answer in self.answers)  # one client; what failed does not say
        return pd.DataFrame([_row(answer, simulated=simulated) for answer in self.answers])

    def __getitem__(self, key: int | str) -> Answer:
        if isinstance(key, int):
            return self.answers[key]
        for answer in self.answers:
            if answer.label == key:
                return answer
        raise KeyError(f"{key!r}; there are {', '.join(repr(answer.label) for answer in self.answers)}")

    def __len__(self) -> int:
        return len(self.answers)

    def __repr__(self) -> str:
        return "\n\n".join(f"== {answer.label}\n{_bundle(answer)['text/plain']}" for answer in self.answers)

    def _repr_html_(self) -> str:
        columns = "\n".join(
            f'<div style="{_COLUMN}">{_heading(answer.label)}\n{_bundle(answer)["text/html"]}</div>'
            for answer in self.answers
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:1em">\n{columns}\n</div>'


def compare(
    prompt: Any = None,
    *,
    models: Sequence[str] | None = None,
    prompts: Sequence[Any] | None = None,
    systems: Sequence[str] | None = None,
    client: Any = None,
    model: str = MODEL,
    system: str | None = None,
    max_tokens: int = 1024,
    display: bool = True,
    **options: Any,
) -> Comparison:
    """Give the answers to one prompt over several models or system prompts, or to several prompts.

    All are asked at the same time and stream side by side. An answer that fails stands in its column with the reason.

    Args:
        prompt: Text or content blocks; leave it out when ``prompts`` are given.
        models: Ids of the models to compare.
        prompts: The prompts to compare.
        systems: The system prompts to compare.
        client: An SDK client; default ``connect()``.
        model: The model, where models are not compared.
        system: The system prompt, where system prompts are not compared.
        max_tokens: Ceiling of each answer in tokens.
        display: Whether a notebook shows the answers in columns while they stream; afterwards the value shows them.
        **options: Further arguments of ``client.messages.stream``.

    Raises:
        ModelError: A model is no text, or is known to be retired.
        PromptError: Not exactly one of ``models``, ``prompts`` and ``systems`` was given, or a prompt is empty.
        KeyboardInterrupt: The kernel was interrupted. What had come stays in the cell, and in ``error.answers``.

    Example:
        >>> compare("What is a token?", models=["claude-haiku-5-5", "claude-opus-5-5"]).frame()
    """
    check_options(options, compare)
    asked = list(
        _requests(prompt, models=models, prompts=prompts, systems=systems, model=model, system=system)
    )
    client = client_for(client, is_async=False, instead="await acompare(...)")
    try:
        return Comparison(ask_all(client, asked, display=display, max_tokens=max_tokens, **options))
    except Interrupted as stopped:
        if display and in_notebook():
            from IPython.display import display as show

            show(Comparison(stopped.answers))  # type: ignore[no-untyped-call]  # IPython's own
        raise


async def acompare(
    prompt: Any = None,
    *,
    models: Sequence[str] | None = None,
    prompts: Sequence[Any] | None = None,
    systems: Sequence[str] | None = None,
    client: Any = None,
    model: str = MODEL,
    system: str | None = None,
    max_tokens: int = 1024,
    display: bool = True,
    **options: Any,
) -> Comparison:
    """Do the same as :func:`compare` with an async client."""
    check_options(options, compare)
    asked = list(
        _requests(prompt, models=models, prompts=prompts, systems=systems, model=model, system=system)
    )
    client = client_for(client, is_async=True, instead="compare(...)")
    return Comparison(await ask_all_async(client, asked, display=display, max_tokens=max_tokens, **options))


def _requests(
    prompt: Any,
    *,
    models: Sequence[str] | None,
    prompts: Sequence[Any] | None,
    systems: Sequence[str] | None,
    model: str,
    system: str | None,
) -> Iterator[Asked]:
    """Label and request of each answer, checked before anything is sent."""
    if isinstance(prompt, list | tuple) and prompt and all(isinstance(one, str) for one in prompt):
        raise PromptError("the prompt is a list of texts. To compare prompts write compare(prompts=[…]).")
    given = {
        name: value
        for name, value in (("models", models), ("prompts", prompts), ("systems", systems))
        if value
    }
    if len(given) != 1:
        raise PromptError(
            f"compare() takes exactly one of models=[…], prompts=[…] and systems=[…], not {', '.join(given) or 'none'}."
        )
    ((varied, values),) = given.items()
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise PromptError(f"{varied}= takes a list, not {type(values).__name__}. Write {varied}=[…].")
    if (prompt is None) != (varied == "prompts"):
        raise PromptError(
            "compare() takes a prompt, or prompts=[…], not both." if prompt else "the prompt is missing."
        )
    for place, value in enumerate(values, 1):
        usable(value if varied == "models" else model)
        history = History(system=value if varied == "systems" else system)
        history.user(value if varied == "prompts" else prompt)
        label = value if varied == "models" else f"{place}. {short(value)}"
        yield label, {"model": value if varied == "models" else model, **history.request()}


def _row(answer: Answer, *, simulated: bool) -> dict[str, Any]:
    message = answer.message
    usage = message.usage.to_dict() if message is not None and message.usage is not None else {}
    final = message is not None and message.stop_reason is not None
    return {
        "label": answer.label,
        "model": message.model if message is not None else None,
        "stop_reason": message.stop_reason if message is not None else None,
        "complete": answer.error is None and message is not None and outcome_of(message).complete,
        "input_tokens": usage.get("input_tokens"),
        "cache_read_input_tokens": usage.get("cache_read_input_tokens"),
        "output_tokens": usage.get("output_tokens") if final else None,
        "cost_usd": answer.cost_usd,
        "simulated": simulated,
        "first_token": answer.first_token,
        "seconds": answer.seconds,
        "error": answer.error,
        "text": words(message) if message is not None else None,
    }


def _bundle(answer: Answer) -> dict[str, str]:
    return saved_bundle(list(answer.blocks), chips_of(answer), {"phase": "done", "text": ""})


def _heading(label: str) -> str:
    return f'<p class="{_NO_MATH}"><b>{escape(label)}</b></p>'


def short(value: Any) -> str:
    """Give a prompt as a heading: its beginning, in one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
