# Solutions to 01 First call. They use the names that the notebook's first cell imports.

# 1. One sentence about the weather on Mars.
mars = client.messages.create(
    model=MODEL, max_tokens=1000, messages=[{"role": "user", "content": "One sentence: the weather on Mars."}]
)
check("01-1", mars)


# 2. The text of any reply.
def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


check("01-2", text_of)


# 3. The size of the whole prompt. The three fields do not overlap, so their sum is the prompt.
def prompt_tokens(usage):
    written, read = usage.cache_creation_input_tokens, usage.cache_read_input_tokens
    return usage.input_tokens + (written or 0) + (read or 0)


check("01-3", prompt_tokens)
