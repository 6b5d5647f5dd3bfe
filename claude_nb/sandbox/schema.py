"""The shape of a request, checked against the SDK's own parameter types.

The types that the official client publishes are the schema: required fields, allowed fields, literals and nested
blocks. So the sandbox knows every block type the installed SDK knows, and no list of ours can fall behind it.
"""

import collections.abc
import types
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

from .apierror import ApiError, invalid

_WRAPPERS = (Required, NotRequired, Annotated)
_SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "Input should be a valid string"),
    int: ((int,), "Input should be a valid integer"),
    float: ((int, float), "Input should be a valid number"),
    bool: ((bool,), "Input should be a valid boolean"),
}


def check(value: Any, kind: Any, path: str = "", extra: frozenset[str] = frozenset()) -> None:
    """Raise a 400 that names the first field of ``value`` that does not fit ``kind``.

    Args:
        value: Parsed JSON.
        kind: A type of the SDK, such as ``MessageCreateParamsBase``.
        path: Where ``value`` stands in the request, in the API's dotted form.
        extra: Top-level fields to accept besides those of ``kind``.
    """
    kind = _unwrap(kind)
    origin = get_origin(kind)
    if is_typeddict(kind):
        _check_object(value, kind, path, extra)
    elif origin in (Union, types.UnionType):
        _check_union(value, kind, path)
    elif origin is Literal:
        options = get_args(kind)
        if not any(value == option and type(value) is type(option) for option in options):
            raise _error(path, f"Input should be {_listing(options)}")
    elif origin is not None:
        _check_container(value, kind, path)
    elif kind in _SCALARS:
        accepted, message = _SCALARS[kind]
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise _error(path, message)


def _check_container(value: Any, kind: Any, path: str) -> None:
    if issubclass(get_origin(kind), collections.abc.Mapping):
        if not isinstance(value, dict):
            raise _error(path, "Input should be a valid dictionary")
    elif not isinstance(value, list):
        raise _error(path, "Input should be a valid array")
    else:
        (item,) = get_args(kind) or (object,)
        for index, member in enumerate(value):
            check(member, item, _join(path, index))


def _check_object(value: Any, kind: Any, path: str, extra: frozenset[str]) -> None:
    if not isinstance(value, dict):
        raise _error(path, "Input should be an object")
    hints = _fields(kind)
    for name in _required(kind):
        if name not in value:
            raise _error(_join(path, name), "Field required")
    for name, member in value.items():
        if name in hints:
            check(member, hints[name], _join(path, name))
        elif name not in extra and not _open(kind):
            raise _error(_join(path, name), "Extra inputs are not permitted")


def _check_union(value: Any, kind: Any, path: str) -> None:
    members = _members(kind)
    if value is None and type(None) in members:
        return
    if isinstance(value, dict):
        members = _chosen(value, members, path)
    errors = []
    for member in members:
        try:
            check(value, member, path)
        except ApiError as error:
            errors.append(error)
        else:
            return
    # The member that got furthest into the value is the one that was meant.
    raise max(errors, key=lambda error: error.message.split(":")[0].count("."))


def _chosen(value: dict[str, Any], members: tuple[Any, ...], path: str) -> tuple[Any, ...]:
    """The members of a union that the value's ``role`` or ``type`` names."""
    key, tagged, untagged = _discriminator(members)
    if key is None:
        return members
    tag = value.get(key)
    if isinstance(tag, str) and tag in tagged:
        return tagged[tag]
    if untagged and tag is None:
        return untagged
    if key not in value:
        raise _error(_join(path, key), "Field required")
    raise _error(_join(path, key), f"Input tag {tag!r} does not match any of: {', '.join(sorted(tagged))}")


@cache
def _discriminator(
    members: tuple[Any, ...],
) -> tuple[str | None, dict[str, tuple[Any, ...]], tuple[Any, ...]]:
    """What tells the objects of a union apart: the key, the members by tag, and those that need no tag."""
    objects = [member for member in members if is_typeddict(member)]
    for key in () if any(map(_is_mapping, members)) else ("role", "type"):
        tagged: dict[str, tuple[Any, ...]] = {}
        for member in objects:
            for tag in filter(None, _tags(member, key)):
                tagged[tag] = (*tagged.get(tag, ()), member)
        if tagged:
            return key, tagged, tuple(member for member in objects if key not in _required(member))
    return None, {}, ()


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)


@cache
def _members(kind: Any) -> tuple[Any, ...]:
    """The members of a union as they can appear on the wire: response models, files and dates are dropped."""
    flat: list[Any] = []
    for member in map(_unwrap, get_args(kind)):
        if get_origin(member) in (Union, types.UnionType):
            flat.extend(_members(member))
        elif _is_json(member):
            flat.append(member)
    return tuple(flat)


def _is_json(kind: Any) -> bool:
    origin = get_origin(kind)
    container = isinstance(origin, type) and issubclass(origin, collections.abc.Iterable)
    return is_typeddict(kind) or origin is Literal or container or kind in (*_SCALARS, object, type(None))


@cache
def _tags(member: Any, key: str) -> tuple[Any, ...]:
    hint = _fields(member).get(key)
    if hint is None:
        return ()
    options = _members(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return tuple(tag for option in options if get_origin(option) is Literal for tag in get_args(option))


@cache
def _required(kind: Any) -> tuple[str, ...]:
    # The SDK postpones its annotations, so ``__required_keys__`` is empty: the marks are read from the hints.
    hints = get_type_hints(kind, include_extras=True)
    return tuple(sorted(name for name, hint in hints.items() if _marked(hint)))


def _marked(hint: Any) -> bool:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return get_origin(hint) is Required


@cache
def _fields(kind: Any) -> dict[str, Any]:
    return {name: _unwrap(hint) for name, hint in get_type_hints(kind, include_extras=True).items()}


def _open(kind: Any) -> bool:
    return getattr(kind, "__pydantic_config__", {}).get("extra") == "allow"


def _unwrap(kind: Any) -> Any:
    while get_origin(kind) in _WRAPPERS:
        kind = get_args(kind)[0]
    return kind


def _listing(options: tuple[Any, ...]) -> str:
    names = [repr(option) for option in options]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" or {names[-1]}"


def _join(path: str, name: str | int) -> str:
    return f"{path}.{name}" if path else str(name)


def _error(path: str, message: str) -> ApiError:
    return invalid(f"{path}: {message}" if path else message)
