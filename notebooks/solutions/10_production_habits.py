# Solutions to 10 Production habits. They use the names that the notebook's first cell imports.

import json


# 1. What the server calls temporary, and a line that does not answer.
def worth_retrying(error):
    if isinstance(error, anthropic.EnforcedSpendLimitReachedError):
        return False
    if isinstance(error, anthropic.APIStatusError):
        return error.status_code in (408, 409, 429) or error.status_code >= 500
    return isinstance(error, anthropic.APIConnectionError)


check("10-1", worth_retrying)

# 2. A tape of two prompts.
mine = Path(mkdtemp()) / "mine.jsonl"
lines = [
    {"tape": 1, "made": "by hand"},
    {"prompt": "Praise or complaint? It shines.", "reply": "praise"},
    {"prompt": "Praise or complaint? It hums.", "reply": "complaint"},
]
mine.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
check("10-2", mine)


# 3. Trouble gives None, a mistake of ours is raised.
def ask_safely(client, request):
    try:
        with client.messages.stream(**request) as stream:
            message = stream.get_final_message()
    except anthropic.BadRequestError:
        raise
    except (anthropic.APIError, httpx2.HTTPError):
        return None
    if message.stop_reason not in ("end_turn", "stop_sequence"):
        return None
    return "".join(block.text for block in message.content if block.type == "text")


check("10-3", ask_safely)
