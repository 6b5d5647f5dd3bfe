# Solutions to 06 Pruning and caching. They use the names that the notebook's first cell imports.


# 1. What was read from the cache, as a share of the whole prompt. A count that is not reported is None.
def hit_rate(usage):
    read = usage.cache_read_input_tokens or 0
    prompt = usage.input_tokens + (usage.cache_creation_input_tokens or 0) + read
    return read / prompt


check("06-1", hit_rate)

# 2. A limit in tokens is kept by the policy that counts tokens.
policy = keep_tokens(2_000)
check("06-2", policy)


# 3. The last prompts and all behind them, without thinking. A result is never cut from its call, because a
# message of results is no prompt.
def prune(messages, keep):
    def is_prompt(message):
        content = message["content"]
        return message["role"] == "user" and (
            isinstance(content, str) or all(block["type"] != "tool_result" for block in content)
        )

    def without_thinking(message):
        if message["role"] == "user":
            return message
        return message | {"content": [block for block in message["content"] if block.type != "thinking"]}

    starts = [place for place, message in enumerate(messages) if is_prompt(message)]
    return [without_thinking(message) for message in messages[starts[-keep] :]]


check("06-3", prune)
