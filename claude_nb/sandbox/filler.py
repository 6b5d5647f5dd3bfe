"""Text of a length the prompt asks for: enough to see a reply stream, and to see it cut."""

import re

_COUNT_TO = re.compile(r"\bcount\b.*?\bto\s+(\d[\d,]*)", re.IGNORECASE | re.DOTALL)
_LENGTH = re.compile(r"\b(\d[\d,]*)[\s-]*(word|sentence|line|paragraph|page)s?\b", re.IGNORECASE)
_LONG = re.compile(
    r"\b(?:long|detailed|lengthy|in depth|comprehensive)\b|\b(?:story|essay|article)\b", re.IGNORECASE
)
_SENTENCES = (
    "Sentence {n} only takes up room, so that you can watch a longer reply use up its budget.",
    "Sentence {n} stands where a model would have written your text; the sandbox only counts.",
    "By sentence {n}, `output_tokens` has grown with every word, and the price with it.",
    "Sentence {n} would break off here if `max_tokens` ran out, and `stop_reason` would say so.",
    "After sentence {n} comes a new paragraph, to give the page some shape.",
)
_PER_PARAGRAPH, _PER_PAGE = len(_SENTENCES), 25
_LONG_WORDS, _MOST = 600, 100_000


def text(asked: str) -> str | None:
    """A counted, a measured or a long text; ``None`` when the prompt asks for no length."""
    if found := _COUNT_TO.search(asked):
        last = _number(found.group(1))
        return "From the sandbox: " + ", ".join(str(number) for number in range(1, last + 1)) + "."
    if found := _LENGTH.search(asked):
        return _measured(_number(found.group(1)), found.group(2).lower())
    return _measured(_LONG_WORDS, "word") if _LONG.search(asked) else None


def _measured(number: int, unit: str) -> str:
    start = f"From the sandbox: filler of {number:,} {unit}{'' if number == 1 else 's'}, as asked."
    if unit == "word":
        return _words(start, number)
    if unit == "line":
        return "\n".join([start, "", *(f"- {_sentence(n)}" for n in range(1, number + 1))])
    sentences = number * {"sentence": 1, "paragraph": _PER_PARAGRAPH, "page": _PER_PAGE}[unit]
    return "\n\n".join([start, *_paragraphs([_sentence(n) for n in range(1, min(sentences, _MOST) + 1)])])


def _words(start: str, number: int) -> str:
    """Whole sentences, as close to ``number`` words as they come."""
    sentences: list[str] = []
    left = number - len(start.split())
    while left > 0:
        sentence = _sentence(len(sentences) + 1)
        size = len(sentence.split())
        if size > 2 * left:
            break
        sentences.append(sentence)
        left -= size
    return "\n\n".join([start, *_paragraphs(sentences)])


def _paragraphs(sentences: list[str]) -> list[str]:
    return [" ".join(sentences[at : at + _PER_PARAGRAPH]) for at in range(0, len(sentences), _PER_PARAGRAPH)]


def _sentence(number: int) -> str:
    return _SENTENCES[(number - 1) % _PER_PARAGRAPH].format(n=number)


def _number(digits: str) -> int:
    return min(int(digits.replace(",", "")[:9]), _MOST)
