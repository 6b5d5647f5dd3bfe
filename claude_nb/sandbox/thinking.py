"""Whether, how long and how visibly a request makes the model think, and the block that comes of it."""

from typing import Any

from claude_nb.models import Model

from . import prompt, sealing, tokens

Json = dict[str, Any]

# Not measured: enough to matter in a budget, small enough that short lessons stay short.
_TOKENS = {"low": 0, "medium": 48, "high": 96, "xhigh": 192, "max": 384}
_SUMMARY = (
    "This is the sandbox: nothing was thought. Here a summary of the model's reasoning would stand, "
    "because the request asks to display it. The thinking tokens are billed as output either way."
)


def mode(body: Json, model: Model) -> str:
    """``"adaptive"``, ``"enabled"``, ``"disabled"`` or ``"between_tools"``, defaults applied."""
    config = body.get("thinking") or {}
    return str(config.get("type") or ("adaptive" if model.thinks_by_default else "disabled"))


def is_on(body: Json, model: Model) -> bool:
    """Whether the request thinks before it answers."""
    return mode(body, model) in ("adaptive", "enabled")


def effort(body: Json, model: Model) -> str | None:
    """``output_config.effort`` with the model's default applied; ``None`` where the model has none."""
    return (body.get("output_config") or {}).get("effort") or model.default_effort


def is_shown(body: Json, model: Model) -> bool:
    """Whether the text of the thinking comes back, or only a signature."""
    display = (body.get("thinking") or {}).get("display") or model.thinking_display
    return bool(display == "summarized")


def block(body: Json, model: Model) -> tuple[Json, int] | None:
    """The thinking block of an invented reply and its tokens, or ``None`` when this request needs no thought.

    At effort ``low`` the sandbox answers at once, as adaptive thinking may; ``enabled`` always thinks.
    """
    if not is_on(body, model):
        return None
    spent = _TOKENS[effort(body, model) or "high"]
    if mode(body, model) == "enabled":
        spent = max(spent, _TOKENS["medium"])
    if spent == 0:
        return None
    text = _SUMMARY if is_shown(body, model) else ""
    return {"type": "thinking", "thinking": text}, spent


def sign(thought: Json, spent: int, body: Json, model: Model, before: list[Json]) -> Json:
    """The block with a signature that binds it to the conversation so far.

    Args:
        thought: A thinking block without signature.
        spent: Its thinking tokens.
        body: The request it answers.
        model: The model that answers.
        before: Blocks of the same reply that come before it.
    """
    messages = [*body["messages"], {"role": "assistant", "content": before}]
    history = trail(body, messages)
    seal = sealing.Seal(
        model=model.id,
        tokens=spent,
        text=sealing.digest(thought["thinking"]),
        prefix=history.prefix(),
        earlier=tuple(history.thoughts),
        within=history.within,
    )
    return {**thought, "signature": sealing.sign(seal)}


class Trail:
    """Digests of a conversation up to a point: what a thinking block is bound to.

    Attributes:
        thoughts: A digest of each thinking block met so far, oldest first.
        within: How many of them stand in the current turn.
    """

    def __init__(self, body: Json) -> None:
        fixed = [prompt.text_of(body.get("tools") or []), prompt.text_of(prompt.blocks(body.get("system")))]
        self._chain = sealing.digest("\n".join(fixed), 16)
        self.thoughts: list[str] = []
        self.within = 0

    def turn(self, role: str) -> None:
        """Begin a turn."""
        self._chain = sealing.digest(f"{self._chain} {role}", 16)
        self.within = 0

    def add(self, one: Json) -> None:
        """Pass one block."""
        if one["type"] in prompt.THINKING:
            self.thoughts.append(sealing.digest(one.get("signature") or one.get("data") or ""))
            self.within += 1
        else:
            self._chain = sealing.digest(f"{self._chain} {prompt.text_of(one)}", 16)

    def prefix(self) -> str:
        """Digest of everything passed so far, thinking excepted."""
        return self._chain


def trail(body: Json, messages: list[Json]) -> Trail:
    """The trail at the end of ``messages``."""
    found = Trail(body)
    for role, content in prompt.turns(messages):
        found.turn(role)
        for _, _, one in content:
            found.add(one)
    return found


def tokens_of(thought: Json, model: Model) -> int:
    """Thinking tokens a block stands for: what its seal says, otherwise its text."""
    seal = sealing.read(thought)
    return seal.tokens if seal else tokens.count_text(thought.get("thinking", ""), model)


def before_calls(content: list[Json]) -> dict[str, str]:
    """For each tool call of a reply, by id, the digest of the last thinking block before it."""
    last, found = "", {}
    for one in content:
        if one["type"] == "thinking":
            last = sealing.digest(one["signature"])
        elif one["type"] == "tool_use" and last:
            found[one["id"]] = last
    return found
