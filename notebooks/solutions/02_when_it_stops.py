# Solutions to 02 When it stops. They use the names that the notebook's first cell imports.


# 1. True only for a whole answer. None (a stream that was cut) and unknown reasons are not complete.
def is_complete(message):
    return outcome_of(message).complete


check("02-1", is_complete)

# 2. A stop sequence that is sure to come: a blank ends the first word.
prompt = [{"role": "user", "content": "Write three short sentences about tokens."}]
stopped = client.messages.create(model=MODEL, max_tokens=1000, messages=prompt, stop_sequences=[" "])
check("02-2", stopped)

# 3. Continue: the prompt, the partial text as the assistant's turn, and a request to go on.
question = "Tell me a story of 300 words."
story = client.messages.create(model=MODEL, max_tokens=150, messages=[{"role": "user", "content": question}])
partial = "".join(block.text for block in story.content if block.type == "text")
messages = [
    {"role": "user", "content": question},
    {"role": "assistant", "content": partial},
    {"role": "user", "content": "Go on exactly where you stopped, without repeating anything."},
]
check("02-3", messages)
