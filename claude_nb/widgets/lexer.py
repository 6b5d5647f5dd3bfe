"""Finds the comments, keywords, strings and numbers of code: what Jupyter's own style colours, and no more.

The rules are data (``languages.json``) that the live view reads too (``js/src/lexer.js``), so that a reply does not
change its colours when it is saved. Each rule is a regular expression in the syntax that Python and JavaScript share,
and takes time in proportion to the text: code of a model is hostile text, and must not stop the kernel.

A rule ends within its line, or where it has no end goes on to the end of the code; and it looks ahead no further than
its line. So what stands before a line is certain before the line has come, and code can be coloured while it arrives.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

LIMIT: Final = 20_000  # characters; code beyond is not coloured, each token is an element on the page

ROLES: Final = {"c": "comment", "k": "keyword", "s": "string", "m": "number"}  # by Pygments' class names


def tokens(source: str, language: str) -> Iterator[tuple[str, str]]:
    """Give the code in pieces ``(role, text)``; the role is one of ``ROLES``, or empty for everything else."""
    known = _languages().get(language.lower())
    done = 0
    if known is not None:
        pattern, roles, words, fold = _compiled(known)
        for match in pattern.finditer(source[:LIMIT]):
            text = match.group()
            role = roles[(match.lastindex or 1) - 1] or (
                "k" if (text.lower() if fold else text) in words else ""
            )
            if role:
                if done < match.start():
                    yield "", source[done : match.start()]
                yield role, text
                done = match.end()
    if done < len(source):
        yield "", source[done:]


def is_known(language: str) -> bool:
    """Tell whether code of this language is coloured."""
    return language.lower() in _languages()


@cache
def _data() -> Any:
    return json.loads(Path(__file__).with_name("languages.json").read_text(encoding="utf-8"))


@cache
def _languages() -> dict[str, int]:
    """The place of each language in the data, by its names."""
    return {
        name: place
        for place, language in enumerate(_data()["languages"])
        for name in language["names"].split()
    }


@cache
def _compiled(place: int) -> tuple[re.Pattern[str], list[str], frozenset[str], bool]:
    language = _data()["languages"][place]
    whole = "|".join(f"({rule})" for _, rule in language["rules"])
    for _ in range(2):  # a shared part may name another
        for name, part in _data()["shared"].items():
            whole = whole.replace(f"{{{name}}}", f"(?:{part})")
    words = frozenset(language.get("words", "").split())
    return re.compile(whole), [role for role, _ in language["rules"]], words, language.get("fold", False)
