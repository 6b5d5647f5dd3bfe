# Solutions to 03 System prompts. They use the names that the notebook's first cell imports.

import ast

# 1. A role, a format, and what to leave out.
mine = "You are an editor. Reply with the corrected text only, in British spelling. No greeting and no list of changes."
check("03-1", mine)


# 2. The share that was saved.
def saved(terse, chatty):
    return 1 - terse.usage.output_tokens / chatty.usage.output_tokens


check("03-2", saved)


# 3. The code, with or without fences.
def code_of(message):
    lines = "".join(block.text for block in message.content if block.type == "text").strip().splitlines()
    if lines and lines[0].startswith("```"):
        lines = lines[1:]
    if lines and lines[-1] == "```":
        lines = lines[:-1]
    code = "\n".join(lines)
    try:
        ast.parse(code)
    except SyntaxError:
        return None
    return code


check("03-3", code_of)
