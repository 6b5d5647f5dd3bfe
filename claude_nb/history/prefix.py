"""The prompt of a request as the prompt cache sees it: a key and a size for each part."""

from collections.abc import Hashable, Sequence
from typing import Any

from claude_nb.trim import Cut, Item


class Prefix:
    """Keys and sizes of the parts of a prompt, made on from the request before where that was its beginning."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._line: list[int] = []
        self._chain: list[Hashable] = []
        self._upto: list[int] = []

    def extended(
        self,
        parts: Sequence[int],
        line: list[int],
        items: Sequence[Item],
        cut: Cut,
        *,
        fixed: int,
        model: str,
    ) -> tuple[list[Hashable], list[int]]:
        """The key of the prompt up to each part, and the tokens before each part and of all of them.

        Args:
            parts: Blocks of each message, by number.
            line: Numbers of the messages; below 0 for a summary that was never written.
            items: Their sizes.
            cut: What is left out.
            fixed: Tokens of system prompt and tools.
            model: Who is asked.
        """
        done = len(self._line)
        key = (cut.left_out, cut.cleared, cut.told, model)
        if key != self._key or done > len(line) or line[:done] != self._line:
            self._key, done = key, 0
            self._chain, self._upto = [hash((model, "system"))], [0, fixed]
        left_out, cleared, told = cut.places(), cut.cleared_places(), cut.told_places()
        for place in range(done, len(line)):
            number, item = line[place], items[place]
            if (place in left_out or place in told) and not item.always:
                words = next((one for one in cut.told if one.first == place), None)
                if words is None or place in left_out:
                    continue
                state, size, blocks = f"told {words}", words.tokens, 1
            else:
                blocks = parts[number] if number >= 0 else 1
                state = "cleared" if place in cleared else ""
                size = item.cleared_tokens if state else item.tokens
            for block in range(blocks):
                self._chain.append(hash((self._chain[-1], number, block, state)))
                self._upto.append(self._upto[-1] + (size if block == blocks - 1 else 0))
        self._line = list(line)
        return self._chain, self._upto
