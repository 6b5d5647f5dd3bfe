import pickle
import sys
import traceback
import types
from pathlib import Path

import pytest

from claude_nb.credentials import Secret, find_credential, find_dotenv, notebook_folder
from claude_nb.errors import CredentialError


def test_nothing_found_is_none():
    assert find_credential() is None


def test_the_argument_wins_over_everything(monkeypatch, key):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "garbage that would be refused")
    found = find_credential(key)
    assert (found.kind, found.secret.reveal()) == ("api_key", key)


def test_the_environment_wins_over_dotenv(monkeypatch, key):
    Path(".env").write_text("ANTHROPIC_API_KEY=sk-ant-api03-FAKE-KEY-FROM-THE-FILE\n")
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    assert find_credential().secret.reveal() == key


def test_dotenv_is_found_upward_from_the_notebook(monkeypatch, tmp_path, key):
    (tmp_path / ".env").write_text(f"ANTHROPIC_API_KEY={key}\n")
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "lesson.ipynb"))
    assert notebook_folder() == folder
    found = find_credential()
    assert found.secret.reveal() == key
    assert str(tmp_path / ".env") in found.source


def test_the_nearest_dotenv_wins(tmp_path):
    (tmp_path / ".env").write_text("ANTHROPIC_API_KEY=\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / ".env").write_text("")
    assert find_dotenv(tmp_path / "inner") == tmp_path / "inner" / ".env"


def test_a_notebook_name_that_is_no_path_is_ignored(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "0b8a-uuid")
    assert notebook_folder() == Path.cwd()


@pytest.mark.parametrize("line", ["ANTHROPIC_API_KEY=", "ANTHROPIC_API_KEY=''", "# nothing", ""])
def test_an_empty_value_counts_as_absent(line):
    Path(".env").write_text(line + "\n")
    assert find_credential() is None


def test_dotenv_with_a_byte_order_mark_and_a_dollar_sign_is_read_as_it_stands(key):
    Path(".env").write_text(f"ANTHROPIC_API_KEY={key}$HOME\n", encoding="utf-8-sig")
    assert find_credential().secret.reveal() == f"{key}$HOME"


def test_dotenv_can_name_another_server():
    Path(".env").write_text("ANTHROPIC_API_KEY=local\nANTHROPIC_BASE_URL=http://127.0.0.1:9\n")
    found = find_credential()
    assert (found.secret.reveal(), found.base_url) == ("local", "http://127.0.0.1:9")


def test_a_token_is_found_as_a_token(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-ant-oat01-" + "x" * 40)
    assert find_credential().kind == "auth_token"


@pytest.mark.parametrize("where", ["environment", "dotenv"])
def test_two_credentials_are_refused_by_name(monkeypatch, key, where):
    if where == "environment":
        monkeypatch.setenv("ANTHROPIC_API_KEY", key)
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", key)
    else:
        Path(".env").write_text(f"ANTHROPIC_API_KEY={key}\nANTHROPIC_AUTH_TOKEN={key}\n")
    with pytest.raises(CredentialError, match="two credentials, ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN"):
        find_credential()


@pytest.mark.parametrize(
    ("mangle", "says"),
    [
        (lambda key: "  ", "is empty"),
        (lambda key: key[:30] + " " + key[30:], "white space inside"),
        (lambda key: f'"{key}"', "quotation marks"),
        (lambda key: f"“{key}”", "quotation marks"),
        (lambda key: key + "é", "characters that no key has"),
        (lambda key: "sk-proj-" + key[8:], "does not start with sk-ant-"),
        (lambda key: key.replace("api03", "admin01"), "is an Admin key"),
        (lambda key: key.replace("api03", "oat01"), "ANTHROPIC_AUTH_TOKEN"),
        (lambda key: "sk-ant-your-key-goes-right-here", "placeholder"),
        (lambda key: "sk-ant-abc", "too short"),
        (lambda key: "<your key>", "placeholder"),
        (lambda key: key + key, "two keys"),
    ],
)
def test_a_malformed_key_is_refused_and_never_shown(monkeypatch, key, mangle, says):
    bad = mangle(key)
    monkeypatch.setenv("ANTHROPIC_API_KEY", bad)
    with pytest.raises(CredentialError, match=says) as caught:
        find_credential()
    shown = "".join(traceback.format_exception(caught.value))
    assert "ANTHROPIC_API_KEY in the environment" in shown
    if len(bad.strip()) > 12:
        assert bad.strip() not in shown
        assert bad.strip()[-12:] not in shown


def test_a_key_that_is_no_text_is_refused():
    with pytest.raises(CredentialError, match="is int, not text"):
        find_credential(12345)


def test_white_space_around_a_key_is_forgiven(key):
    assert find_credential(f" {key}\n").secret.reveal() == key


def test_a_dotenv_that_is_no_text_is_named():
    Path(".env").write_bytes("ANTHROPIC_API_KEY=x".encode("utf-16"))
    with pytest.raises(CredentialError, match=r"\.env is not UTF-8 text. Save it as a plain text file"):
        find_credential()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that root cannot read either")
def test_a_dotenv_that_cannot_be_read_is_named():
    Path(".env").symlink_to("/proc/self/mem")
    with pytest.raises(CredentialError, match=r"\.env cannot be read \(.*plain text file"):
        find_credential()


def test_a_folder_named_dotenv_is_a_virtual_environment_and_not_ours():
    Path(".env").mkdir()
    assert find_credential() is None


def test_a_dotenv_line_without_equals_sign_is_explained():
    Path(".env").write_text("ANTHROPIC_API_KEY\n")
    with pytest.raises(CredentialError, match="without a value"):
        find_credential()


@pytest.mark.parametrize(
    "line",
    [
        "ANTHROPIC_API_KEY: {key}",
        "{key}",
        "ANTHROPIC_API_KEY='{key}",
        "ANTHROPIC_KEY={key}",
        "anthropic_api_key={key}",
    ],
)
def test_a_dotenv_with_a_key_on_a_wrong_line_says_how_to_write_it(key, line):
    Path(".env").write_text(line.format(key=key) + "\n")
    with pytest.raises(CredentialError) as caught:
        find_credential()
    assert "ANTHROPIC_API_KEY" in str(caught.value)
    assert key not in str(caught.value)


def test_a_dotenv_for_other_things_is_no_error():
    Path(".env").write_text("DATABASE_URL=postgres://localhost\n")
    assert find_credential() is None


def colab(get) -> types.ModuleType:
    class SecretNotFoundError(Exception):
        pass

    class NotebookAccessError(Exception):
        pass

    userdata = types.SimpleNamespace(
        SecretNotFoundError=SecretNotFoundError, NotebookAccessError=NotebookAccessError
    )
    userdata.get = lambda name: get(userdata, name)
    module = types.ModuleType("google.colab")
    module.userdata = userdata
    return module


def test_colab_secrets_are_read(monkeypatch, key):
    monkeypatch.setitem(sys.modules, "google.colab", colab(lambda _, name: key))
    found = find_credential()
    assert (found.source, found.secret.reveal()) == ("the Colab secret ANTHROPIC_API_KEY", key)


def test_a_colab_secret_without_access_says_where_to_click(monkeypatch):
    def refuse(userdata, name):
        raise userdata.NotebookAccessError

    monkeypatch.setitem(sys.modules, "google.colab", colab(refuse))
    with pytest.raises(CredentialError, match="Notebook access"):
        find_credential()


def test_colab_without_the_secret_goes_on(monkeypatch):
    def absent(userdata, name):
        raise userdata.SecretNotFoundError

    monkeypatch.setitem(sys.modules, "google.colab", colab(absent))
    assert find_credential() is None


def test_a_broken_sdk_profile_is_explained(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_PROFILE", "nowhere")
    with pytest.raises(CredentialError, match="profile cannot be used"):
        find_credential()


def test_a_secret_shows_only_its_kind_and_its_end(key):
    secret = Secret(key)
    assert repr(secret) == f"Secret(sk-ant-api03-…{key[-4:]})"
    assert key not in f"{secret} {secret!r} {[secret]} {vars(type(secret))}"
    assert repr(Secret("short")) == "Secret(…)"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)
