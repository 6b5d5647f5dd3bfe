# Solutions to 00 Start here. They use the names that the notebook's first cell imports.

question = [{"role": "user", "content": "What is the difference between a word and a token?"}]

# 1. Ask something of your own.
with client.messages.stream(model=MODEL, max_tokens=1000, messages=question) as stream:
    mine = watch(stream)
check("00-1", mine)

# 2. Get a reply that is cut off: many words asked for, room for fewer.
long = [{"role": "user", "content": "Tell me a long story of 500 words."}]
with client.messages.stream(model=MODEL, max_tokens=200, messages=long) as stream:
    cut = watch(stream)
check("00-2", cut)

# 3. Build a chat of three turns with a system prompt.
talk = Chat(client, system="Answer in one short sentence.")
talk.send("My favourite colour is green.")
talk.send("Name something of that colour.")
talk.send("Which colour did I name?")
check("00-3", talk)
