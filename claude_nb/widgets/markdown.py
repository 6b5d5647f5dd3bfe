"""Model text as HTML that is safe to save in a notebook, in line with what the live view draws.

Model text is hostile until it has been through here: raw HTML is shown as text, an image becomes a link (loading
it would tell its server what was said), and a link leads only to the web, to a mail address or into the page.
The live view follows the same rules in ``js/src/markdown.js``; a test compares the two.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from .lexer import is_known, tokens
from .tex import is_formula, math_rules

MAX_NESTING: Final = 50
CITATION: Final = re.compile("\u2e28([0-9]{1,4})\u2e29")
_FRAME: Final = "margin:0 0 1em;padding:8px 12px;border-radius:6px;background:rgba(128,128,128,.1)"
_CODE: Final = "display:block;overflow-x:auto;white-space:pre;background:none"
_TYPESET: Final = ' class="tex2jax_process mathjax_process"'
_SAFE_HREF: Final = re.compile(r"https?://|mailto:|#", re.IGNORECASE)


def citation_mark(number: int) -> str:
    """What stands for a citation inside Markdown until it is drawn; its brackets count as punctuation."""
    return f"\u2e28{number}\u2e29"


def link(url: str, content: str, *, title: str = "") -> str:
    """``content`` (safe HTML) as a link, or without a target where a reader should not follow the URL."""
    return f"<a{_target(url)}{_attribute('title', title)}>{content}</a>"


def render(source: str, urls: Sequence[str] = ()) -> str:
    """Safe HTML for model text.

    Args:
        source: Markdown: CommonMark, tables and strikethrough.
        urls: Where the citation marks in the source lead, by number from 1.
    """
    env = {"urls": urls}
    tokens = _MARKDOWN.parse(source, env)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):  # the parser drops what is nested deeper
        return code(source)
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, env))


def code(source: str, language: str = "") -> str:
    """A code block, in colours where the language is known.

    The classes are Pygments': Jupyter and its exports style them, also where styles are taken out of a notebook
    that is not trusted. Elsewhere the colours come from the page of the reply, see ``saved``.
    """
    coloured = is_known(language)
    named = _attribute("class", language and f"{'highlight ' if coloured else ''}language-{language}")
    inside = "".join(_token(role, escape(text, quote=False)) for role, text in tokens(source, language))
    return f'<pre style="{_FRAME}"><code{named} style="{_CODE}">{inside}</code></pre>\n'


def _token(role: str, text: str) -> str:
    return f'<span class="{role}" style="color:var(--h{role})">{text}</span>' if role else text


def _untypeset(text: str) -> str:
    """Text that no typesetter takes for mathematics, also where our classes are taken out: they look in one piece."""
    return re.sub(r"([$\\])", r"<span>\1</span>", escape(text, quote=False))


def _attribute(name: str, value: str) -> str:
    return f' {name}="{escape(value)}"' if value else ""


def _target(url: str) -> str:
    if not _SAFE_HREF.match(url):
        return ""
    away = "" if url.startswith("#") else ' rel="noopener noreferrer" target="_blank"'
    return f"{_attribute('href', url)}{away}"


class _SafeHTML(RendererHTML):
    """markdown-it's renderer with the rules of this module; each method is the rule for the token it names."""

    def text(self, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
        urls = env.get("urls", ())

        def cite(match: re.Match[str]) -> str:
            number = int(match[1])
            known = 0 < number <= len(urls)
            return f"<sup>{link(urls[number - 1], f'[{number}]')}</sup>" if known else match[0]

        return CITATION.sub(cite, _untypeset(tokens[idx].content))

    def math(self, tokens: Sequence[Token], idx: int, _options: Any, _env: Any) -> str:
        source = tokens[idx].content
        return f"<span{_TYPESET}>{escape(source)}</span>" if is_formula(source) else _untypeset(source)

    def math_block(self, tokens: Sequence[Token], idx: int, _options: Any, _env: Any) -> str:
        source = tokens[idx].content
        return (
            f"<p{_TYPESET}>{escape(source)}</p>\n" if is_formula(source) else f"<p>{_untypeset(source)}</p>\n"
        )

    def fence(self, tokens: Sequence[Token], idx: int, _options: Any, _env: Any) -> str:
        language = (tokens[idx].info.split() or [""])[0]
        return code(tokens[idx].content, language)

    def code_block(self, tokens: Sequence[Token], idx: int, _options: Any, _env: Any) -> str:
        return code(tokens[idx].content)

    def table_open(self, *_: Any) -> str:
        return '<div style="overflow-x:auto"><table style="margin-left:0">\n'

    def table_close(self, *_: Any) -> str:
        return "</table></div>\n"

    def td_open(self, tokens: Sequence[Token], idx: int, _options: Any, _env: Any) -> str:
        align = str(tokens[idx].attrGet("style") or "text-align:left")  # JupyterLab's own tables go right
        return f"<{tokens[idx].tag}{_attribute('style', align)}>"

    th_open = td_open

    def link_open(self, tokens: Sequence[Token], idx: int, _options: Any, _env: Any) -> str:
        token = tokens[idx]
        title = _attribute("title", str(token.attrGet("title") or ""))
        return f"<a{_target(str(token.attrGet('href') or ''))}{title}>"

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        for child in token.children or ():
            child.type = "text" if child.type == "math" else child.type
        alt = self.renderInlineAsText(token.children, options, env) if token.children else ""
        shown = escape(alt or "image", quote=False)
        inside_link = sum(before.nesting for before in tokens[:idx] if before.tag == "a") > 0
        return shown if inside_link else link(str(token.attrGet("src") or ""), shown)


_MARKDOWN: Final = MarkdownIt(
    "commonmark", {"html": False, "maxNesting": MAX_NESTING}, renderer_cls=_SafeHTML
).enable(["table", "strikethrough"])
math_rules(_MARKDOWN)
