# Solutions to 08 Structured outputs. They use the names that the notebook's first cell imports.


# 1. What a text may not say has room for None.
class Recipe(BaseModel):
    name: str
    minutes: int
    ingredients: list[str]
    vegetarian: bool | None


check("08-1", Recipe)


# 2. Only rows without an error.
def load(table, database):
    right = table[table.error.isna()]
    return right[["product", "stars", "kind"]].to_sql("reviews", database, index=False)


check("08-2", load)


# 3. A cut answer does not parse; a refused one may, so the stop reason decides.
def value_or_none(client, request, shape):
    try:
        message = client.messages.parse(**request, output_format=shape)
    except ValidationError:
        return None
    return message.parsed_output if message.stop_reason == "end_turn" else None


check("08-3", value_or_none)
