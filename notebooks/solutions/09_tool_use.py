# Solutions to 09 Tool use. They use the names that the notebook's first cell imports.


# 1. The docstring is for the model.
def opening_hours(day: str) -> str:
    """Give the hours at which the shop is open.

    Args:
        day: A day of the week in English, such as "Monday".
    """
    return "closed" if day == "Sunday" else "9:00 to 18:00"


check("09-1", opening_hours)


# 2. Two tools, one conversation.
def stock(product: str) -> int:
    """Give how many pieces of a product are in stock."""
    return LAMPS[product]


busy = Chat(client, tools=[stock, opening_hours], display=False)
busy.send('How many of "brass lamp" do we have? Use the tool stock.')
busy.send('Are we open? Use the tool opening_hours for "Monday".')
check("09-2", busy)


# 3. All results of a reply go back in one message, whatever happened to them.
def run_tools(client, request, functions):
    messages = list(request["messages"])
    while True:
        message = client.messages.create(**(request | {"messages": messages}))
        if message.stop_reason != "tool_use":
            return message
        results = []
        for call in message.content:
            if call.type == "tool_use":
                result = {"type": "tool_result", "tool_use_id": call.id}
                try:
                    result["content"] = str(functions[call.name](**call.input))
                except Exception as error:
                    result |= {"content": f"{type(error).__name__}: {error}", "is_error": True}
                results.append(result)
        messages += [message.to_param(), {"role": "user", "content": results}]


check("09-3", run_tools)
