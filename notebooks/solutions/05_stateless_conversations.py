# Solutions to 05 Stateless conversations. They use the names that the notebook's first cell imports.

# 1. Two turns, one taken back, another one instead.
mine = Chat(client)
mine.send("My favourite number is seven.")
mine.send("What is the capital of France?")
mine.history.undo()
mine.send("What is my favourite number?")
check("05-1", mine)

# 2. A tool call and its result.
call = {"type": "tool_use", "id": "toolu_1", "name": "temperature", "input": {"city": "Paris"}}
with_tool = History()
with_tool.user("How warm is it in Paris?")
with_tool.reply({"role": "assistant", "content": [call], "stop_reason": "tool_use"})
with_tool.results({"toolu_1": "21 degrees"})
check("05-2", with_tool)


# 3. Pairs of prompt and reply: the reply to a prompt is the last text before the next prompt.
def replay(history):
    pairs = []
    for entry in history.entries:
        if entry.role == "user" and not entry.is_results:
            pairs.append([entry.text, ""])
        elif entry.role == "assistant" and entry.text:
            pairs[-1][1] = entry.text
    return pairs


check("05-3", replay)
