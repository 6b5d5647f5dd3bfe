"""``%load_ext claude_nb``: a cell that begins with ``%%claude`` is a prompt.

    %%claude --system "Answer in one sentence."
    What stands out in {{sales}}?

Python values go into the prompt only where ``{{name}}`` says so, and only by name: text as it is, frames as CSV,
figures and pictures as images. Nothing else in the cell is interpreted: no format strings, no environment.
"""

# mypy: disable-error-code="no-untyped-call,untyped-decorator"
# IPython's decorators and its argument parser have no types.

import re
import warnings
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from .attach import content
from .chat import Chat
from .errors import PromptError
from .models import MODEL, as_of, find, known, usable

_NAME = re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}")
_WORDS = ("spend", "history", "model")
_FLAGS = ("--model", "--system", "--chat", "--max-tokens", "--to", "--extract")


def load_ipython_extension(shell: Any) -> None:
    """Make ``%%claude`` and ``%claude`` known to IPython; called by ``%load_ext claude_nb``."""
    shell.register_magics(ClaudeMagics(shell))
    for name, completer in (("%%claude", _complete_cell), ("%claude", _complete_line)):
        shell.set_hook("complete_command", completer, str_key=name)


@magics_class
class ClaudeMagics(Magics):
    """The magics, with the default model and the chat that was used last."""

    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.model = MODEL
        self.chat: Chat | None = None
        self._client: Any = None

    @no_var_expand
    @magic_arguments()
    @argument("--model", help="Ask this model (default: see %%claude model).")
    @argument("--system", help="The system prompt, quoted; or {{name}} for a text of that name.")
    @argument(
        "--chat", metavar="NAME", help="Go on with the chat of this name; without it each cell stands alone."
    )
    @argument("--max-tokens", type=int, help="Ceiling of the reply in tokens.")
    @argument("--to", metavar="VAR", help="Put the reply (or what was extracted) into this variable.")
    @argument(
        "--extract", metavar="TYPE", help="Extract a value of this type, such as Person or list[Person]."
    )
    @line_cell_magic
    def claude(self, line: str, cell: str | None = None) -> Any:
        """Send the cell's text to Claude and show the reply as it arrives.

        In a line: %claude spend, %claude history, %claude model [id].
        """
        if cell is None:
            return self._told(line)
        flags = parse_argstring(self.claude, line)
        for name in (flags.to, flags.chat):
            if name is not None and not name.isidentifier():
                raise UsageError(f"{name!r} is no name for a variable.")
        prompt = fill(cell, self.shell.user_ns)
        chat = self._chat(flags)
        if flags.extract:
            kind = self.shell.ev(flags.extract)
            found = chat.extract(prompt, kind, max_tokens=flags.max_tokens)
        else:
            found = chat.send(prompt, max_tokens=flags.max_tokens)
        if flags.to:
            self.shell.user_ns[flags.to] = found
        return None

    def _told(self, line: str) -> Any:
        """What a line asks for."""
        word, *rest = line.split() or [""]
        if word == "spend":
            from .ledger import Ledger

            total = Ledger().session().total()
            return total if total.calls else Ledger().session().total(simulated=True)
        if word == "history":
            if self.chat is None:
                raise UsageError("there is no conversation yet. Begin one with a cell: %%claude --chat NAME")
            return self.chat.history
        if word == "model":
            if rest:
                self.model = _named(rest[0])
            return self.model
        raise UsageError(f"%claude takes {', '.join(_WORDS)}. To ask something, begin a cell with %%claude.")

    def _chat(self, flags: Any) -> Chat:
        """The chat of the flags: a named one from the notebook's variables, or a new one."""
        chat = self.shell.user_ns.get(flags.chat) if flags.chat else None
        if chat is not None and not isinstance(chat, Chat):
            raise UsageError(f"{flags.chat} is a {type(chat).__name__}, not a Chat. Choose another name.")
        if chat is None:
            system = fill(flags.system.strip("\"'"), self.shell.user_ns) if flags.system else None
            chat = Chat(
                self._connected(), model=_named(flags.model) if flags.model else self.model, system=system
            )
        elif flags.system:
            raise UsageError(
                f"{flags.chat} has its system prompt already. Leave --system out and write {flags.chat}.instruct(…), "
                "or begin a new chat."
            )
        elif flags.model:
            chat.model = _named(flags.model)
        if flags.chat:
            self.shell.user_ns[flags.chat] = chat
        self.chat = chat
        return chat

    def _connected(self) -> Any:
        if self._client is None:
            from .client import connect

            self._client = connect()
        return self._client


def _named(model: str) -> str:
    """The model of this id; of one that is not known, a warning: it may be newer, or mistyped."""
    if find(usable(model)) is None:
        near = get_close_matches(model, [one.id for one in known()], n=1, cutoff=0.8)
        meant = f" Did you mean {near[0]}?" if near else ""
        warnings.warn(f"{model} is not among the models known on {as_of()}.{meant}", stacklevel=2)
    return model


def fill(text: str, names: Any) -> Any:
    """Give a prompt with the values of ``{{name}}`` in place: text, or content blocks where one is a picture.

    Args:
        text: The prompt. Single braces, ``$`` and everything else stay as they are, also inside inserted values.
        names: Values by name.

    Raises:
        PromptError: There is no such name.
    """
    parts: list[dict[str, Any]] = []
    for place, piece in enumerate(_NAME.split(text.strip())):
        if place % 2 and piece not in names:
            raise PromptError(
                f"{{{{{piece}}}}} names no variable. Define {piece} first, or write the braces apart."
            )
        blocks = _given(piece, names[piece]) if place % 2 else [{"type": "text", "text": piece}]
        for block in blocks:
            if parts and block["type"] == parts[-1]["type"] == "text":
                parts[-1] = {"type": "text", "text": parts[-1]["text"] + block["text"]}
            else:
                parts.append(block)
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return [part for part in parts if part["type"] != "text" or part["text"].strip()]


def _given(name: str, value: Any) -> list[dict[str, Any]]:
    if callable(value) or isinstance(value, ModuleType):
        raise PromptError(
            f"{{{{{name}}}}} is a {type(value).__name__}, which says nothing as text. Insert data or text."
        )
    return content(value)


def _complete_cell(_: Any, event: Any) -> list[str]:
    if event.line.rstrip().endswith("--model") or event.line.split()[-2:-1] == ["--model"]:
        return [model.id for model in known()]
    return list(_FLAGS)


def _complete_line(_: Any, event: Any) -> list[str]:
    return [model.id for model in known()] if "model" in event.line.split()[1:2] else list(_WORDS)
