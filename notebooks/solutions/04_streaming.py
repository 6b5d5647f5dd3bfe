# Solutions to 04 Streaming. They use the names that the notebook's first cell imports.

# 1. Collect the pieces.
pieces = []
with client.messages.stream(**ask) as stream:
    for text in stream.text_stream:
        pieces.append(text)
check("04-1", pieces)


# 2. Leave as soon as there is enough; `with` closes the connection.
def first_words(client, request, n):
    text = ""
    with client.messages.stream(**request) as stream:
        for piece in stream.text_stream:
            text += piece
            if len(text) >= n:
                return text
    return text


check("04-2", first_words)


# 3. Whatever happens: the text that came, and whether it is all of it.
def stream_text(client, request):
    text, reason = "", None
    try:
        with client.messages.stream(**request) as stream:
            for piece in stream.text_stream:
                text += piece
            reason = stream.get_final_message().stop_reason
    except (anthropic.APIError, httpx2.HTTPError, ValueError):  # ValueError: damaged data
        pass
    return text, reason in ("end_turn", "stop_sequence")


check("04-3", stream_text)
