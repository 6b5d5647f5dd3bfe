"""Which JSON schemas structured outputs and strict tools accept."""

from typing import Any

from .apierror import invalid

Json = dict[str, Any]

_UNSUPPORTED = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems", "contains"),
    "object": ("minProperties", "maxProperties", "patternProperties"),
}
_COMBINATIONS = ("anyOf", "allOf", "oneOf")
_MOST_OPTIONAL, _MOST_UNIONS = 24, 16


def check(body: Json) -> None:
    """Raise a 400 for a schema of the request that cannot be compiled to a grammar.

    Args:
        body: A request of the right shape.
    """
    found = [
        (f"tools.{index}.input_schema", tool["input_schema"])
        for index, tool in enumerate(body.get("tools") or ())
        if tool.get("strict") and "input_schema" in tool
    ]
    wanted = (body.get("output_config") or {}).get("format")
    if wanted:
        found.append(("output_config.format.schema", wanted["schema"]))
    optional = unions = 0
    for where, schema in found:
        walk = _Walk(where, schema)
        walk.visit(schema, ())
        optional, unions = optional + walk.optional, unions + walk.unions
    if optional > _MOST_OPTIONAL or unions > _MOST_UNIONS:
        raise invalid(
            f"Schema is too complex for compilation: {optional} optional parameters (at most {_MOST_OPTIONAL}), "
            f"{unions} parameters with union types (at most {_MOST_UNIONS})."
        )


def resolve(schema: Json, root: Json) -> Json:
    """The schema a local ``$ref`` points to; other schemas are returned as they are.

    Raises:
        KeyError: The reference leads nowhere.
    """
    while "$ref" in schema:
        found: Any = root
        for step in schema["$ref"].removeprefix("#").strip("/").split("/"):
            if step:
                found = found[step.replace("~1", "/").replace("~0", "~")]
        schema = found
    return schema


class _Walk:
    def __init__(self, where: str, root: Json) -> None:
        self.where, self.root = where, root
        self.optional = self.unions = 0

    def visit(self, schema: Any, above: tuple[str, ...]) -> None:
        if not isinstance(schema, dict):
            raise self._refuse("Schema must be an object")
        if "$ref" in schema:
            self._reference(str(schema["$ref"]), above)
            return
        if any(name in schema for name in _COMBINATIONS) or isinstance(schema.get("type"), list):
            self.unions += 1
        kinds = schema.get("type", [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            self._keywords(schema, kind)
        for name in _COMBINATIONS:
            for member in schema.get(name) or ():
                self.visit(member, above)
        if "items" in schema:
            self.visit(schema["items"], above)
        properties = schema.get("properties") or {}
        self.optional += len(properties.keys() - set(schema.get("required") or ()))
        for member in properties.values():
            self.visit(member, above)

    def _reference(self, target: str, above: tuple[str, ...]) -> None:
        if not target.startswith("#"):
            raise self._refuse(f"External reference '{target}' is not supported")
        if target in above or target == "#":
            raise self._refuse(f"Recursive schema reference '{target}' is not supported")
        try:
            schema = resolve({"$ref": target}, self.root)
        except (KeyError, TypeError, AttributeError):
            raise self._refuse(f"Reference '{target}' cannot be resolved") from None
        self.visit(schema, (*above, target))

    def _keywords(self, schema: Json, kind: str) -> None:
        if kind == "object" and schema.get("additionalProperties") is not False:
            raise self._refuse("For 'object' type, 'additionalProperties' must be explicitly set to false")
        for name in _UNSUPPORTED.get(kind, ()):
            if name in schema:
                raise self._refuse(f"For '{kind}' type, property '{name}' is not supported")
        if kind == "array" and schema.get("minItems", 0) not in (0, 1):
            raise self._refuse("For 'array' type, 'minItems' values other than 0 or 1 are not supported")

    def _refuse(self, reason: str) -> Exception:
        return invalid(f"{self.where}: {reason}")
