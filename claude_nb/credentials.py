"""Finds the key for the Claude API without ever showing it.

The order is: argument, environment, ``.env`` found upward from the notebook's folder, Colab secrets, the SDK's
own profile. The first that has something wins; an empty value counts as absent, as in the SDK.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from .errors import CredentialError

API_KEY = "ANTHROPIC_API_KEY"
AUTH_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the variable's name
BASE_URL = "ANTHROPIC_BASE_URL"
KEYS_PAGE = "https://platform.claude.com/settings/keys"

_PLACEHOLDER = re.compile(r"your|xxx|\.\.\.|…|<|>|changeme|placeholder|example", re.IGNORECASE)
_KEY_MINIMUM = 20  # characters; real keys have over 100


class Secret:
    """A key that prints as a mask everywhere; ``reveal()`` is the one way to the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the key itself, for the SDK's constructor."""
        return self._text

    @property
    def masked(self) -> str:
        """The start that names the kind of key and the last four characters, as the Console shows it."""
        if len(self._text) < 2 * _KEY_MINIMUM:
            return "…"
        kind = re.match(r"sk-ant-[a-z]+\d*-", self._text)
        return f"{kind.group() if kind else ''}…{self._text[-4:]}"

    def __repr__(self) -> str:
        return f"Secret({self.masked})"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never pickled: connect() again where the key is needed")


@dataclass(frozen=True)
class Credential:
    """A credential and where it was found.

    Attributes:
        kind: ``"api_key"``, ``"auth_token"`` or ``"profile"`` (the SDK resolves that one itself).
        source: Where it came from, in words.
        secret: The masked key or token; None for a profile.
        base_url: A server address found beside the key in ``.env``, if any.
    """

    kind: Literal["api_key", "auth_token", "profile"]
    source: str
    secret: Secret | None = None
    base_url: str | None = None


def notebook_folder() -> Path:
    """Give the folder of the running notebook, or the current folder outside one."""
    session = os.environ.get("JPY_SESSION_NAME", "")  # set by Jupyter Server 2 and later
    if session.endswith(".ipynb") and Path(session).is_absolute() and Path(session).parent.is_dir():
        return Path(session).parent
    return Path.cwd()


def find_credential(
    api_key: str | Secret | None = None, *, base_url: str | None = None, folder: Path | None = None
) -> Credential | None:
    """Give the first credential found, or None when there is none.

    Args:
        api_key: A key given in code; it wins over everything.
        base_url: The server it is for. Keys for other servers than Anthropic's may have any form.
        folder: Where the search for ``.env`` starts, upward. Default: the notebook's folder.

    Raises:
        CredentialError: The first place that has something has something unusable.
    """
    given = Secret(api_key) if isinstance(api_key, str) else api_key
    del api_key
    try:
        return _find(given, base_url, folder or notebook_folder())
    except CredentialError as error:
        problem, cause = str(error), error.__cause__
    # Raised anew: the frames below hold keys, and IPython's verbose tracebacks print every variable of a frame.
    raise CredentialError(problem) from cause


def _find(given: object, base_url: str | None, folder: Path) -> Credential | None:
    if given is not None:
        source = "the api_key argument"
        return Credential("api_key", source, _checked(given, source, base_url))
    return (
        _from_mapping(os.environ, "the environment", base_url)
        or _from_dotenv(folder, base_url)
        or _from_colab()
        or _from_profile(base_url)
    )


def without_secrets(address: str) -> str:
    """Give a server's address without user name, password and query."""
    parts = urlsplit(address)
    host = parts.hostname or "an address that cannot be read"
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def find_dotenv(folder: Path) -> Path | None:
    """Give the nearest ``.env`` in ``folder`` or above it, or None."""
    for place in (folder, *folder.parents):
        if (place / ".env").is_file():
            return place / ".env"
    return None


def _from_mapping(values: Mapping[str, str | None], source: str, base_url: str | None) -> Credential | None:
    key, token = values.get(API_KEY) or None, values.get(AUTH_TOKEN) or None
    if key and token:
        raise CredentialError(
            f"{source} holds two credentials, {API_KEY} and {AUTH_TOKEN}, and only one can be sent. Remove one of them."
        )
    if not key and not token:
        return None
    base_url = base_url or values.get(BASE_URL) or None
    if key:
        return Credential("api_key", source, _checked(key, f"{API_KEY} in {source}", base_url), base_url)
    secret = _checked(token or "", f"{AUTH_TOKEN} in {source}", "any server's token")
    return Credential("auth_token", source, secret, base_url)


def _from_dotenv(folder: Path, base_url: str | None) -> Credential | None:
    path = find_dotenv(folder)
    if path is None:
        return None
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = (
            "is not UTF-8 text"
            if isinstance(error, UnicodeDecodeError)
            else f"cannot be read ({error.strerror})"
        )
        raise CredentialError(
            f"{path} {why}. Save it as a plain text file with the line {API_KEY}=<your key>, "
            "or move it away to use the sandbox."
        ) from None
    if API_KEY in values and values[API_KEY] is None:
        raise CredentialError(
            f"{path} names {API_KEY} without a value. Write the line as {API_KEY}=<your key>, no spaces around '='."
        )
    found = _from_mapping(values, str(path), base_url)
    if found is None and "sk-ant-" in path.read_text(encoding="utf-8-sig"):
        raise CredentialError(
            f"{path} holds what looks like a key, but no line that names it. Write the line as {API_KEY}=<your key>, "
            "in capitals, with '=' and without spaces around it."
        )
    return found


def _from_colab() -> Credential | None:
    if "google.colab" not in sys.modules:
        return None
    from google.colab import userdata

    source = f"the Colab secret {API_KEY}"
    try:
        key = userdata.get(API_KEY)
    except userdata.SecretNotFoundError:
        return None
    except userdata.NotebookAccessError:
        raise CredentialError(
            f"{source} exists, but this notebook may not read it. Click the key symbol on the left and switch on "
            "'Notebook access' for it, then run the cell again."
        ) from None
    return Credential("api_key", source, _checked(key, source, None)) if key else None


def _from_profile(base_url: str | None) -> Credential | None:
    from anthropic import AnthropicError
    from anthropic.lib.credentials import default_credentials

    try:
        found = default_credentials(**({"base_url": base_url} if base_url else {}))
    except (AnthropicError, OSError) as error:
        raise CredentialError(
            f"the SDK's profile cannot be used: {error}. Sign in again, or set {API_KEY} instead."
        ) from error
    return Credential("profile", "the SDK's own profile") if found else None


def _checked(text: object, source: str, base_url: str | None) -> Secret:
    """Refuse what cannot be a key, without quoting any of it."""
    if isinstance(text, Secret):
        text = text.reveal()
    if not isinstance(text, str):
        raise CredentialError(f"{source} is {type(text).__name__}, not text. Pass the key as a string.")
    key = text.strip()
    problem = _malformed(key)
    if problem is None and (base_url is None or "api.anthropic.com" in base_url):
        problem = _not_anthropic(key)
    if problem:
        raise CredentialError(f"{source} {problem}. Copy the key again from {KEYS_PAGE}.")
    return Secret(key)


def _malformed(key: str) -> str | None:
    """What no key of any server is like."""
    if not key:
        return "is empty"
    if len(key) < 2 * _KEY_MINIMUM and _PLACEHOLDER.search(key):
        return "is still the placeholder from an example"
    if re.search(r"\s", key):
        return "has white space inside (two values, or a broken line?)"
    if key[0] in "\"'“‘" or key[-1] in "\"'”’":
        return "has quotation marks around it"
    if not key.isascii() or not key.isprintable():
        return "has characters that no key has (copied from a formatted text?)"
    return "holds two keys, one behind the other" if key.count("sk-ant-") > 1 else None


def _not_anthropic(key: str) -> str | None:
    if key.startswith("sk-ant-admin"):
        return "is an Admin key, which cannot call the Messages API. Make an ordinary API key"
    if key.startswith("sk-ant-oat"):
        return f"is a sign-in token, not an API key. Put it in {AUTH_TOKEN} instead, or make an API key"
    if not key.startswith("sk-ant-"):
        return "does not start with sk-ant-, as keys of the Claude API do"
    if len(key) < _KEY_MINIMUM:
        return "is too short for a key: a part of it, or the placeholder from an example"
    return None
