"""The sandbox over HTTP: the official clients of two languages, many requests at once, a clean end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx2
import pytest

from claude_nb.errors import SandboxError
from claude_nb.models import MODEL, SANDBOX_HEADER
from claude_nb.sandbox import Sandbox, faults
from claude_nb.sandbox.server import running

ASK = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "Hello"}]}


def client_of(url, **settings):
    return anthropic.Anthropic(api_key="sandbox", base_url=url, timeout=20, **settings)


def test_the_server_answers_as_the_transport_does():
    with running(Sandbox()) as url, client_of(url) as client:
        with client.messages.stream(**ASK) as stream:
            streamed = stream.get_final_message()
        created = client.messages.with_raw_response.create(**ASK)
        assert created.headers[SANDBOX_HEADER] == "1"
        assert client.models.retrieve(MODEL).id == MODEL
    http_client = anthropic.DefaultHttpxClient(transport=Sandbox())
    direct = anthropic.Anthropic(api_key="sandbox", http_client=http_client).messages.create(**ASK)
    assert streamed.to_dict() == created.parse().to_dict() == direct.to_dict()


def test_many_requests_at_once():
    with running(Sandbox()) as url, client_of(url) as client, ThreadPoolExecutor(8) as pool:
        messages = list(pool.map(lambda _: client.messages.create(**ASK), range(40)))
    assert len({message.id for message in messages}) == 1


def test_requests_are_answered_side_by_side():
    """Each of four replies waits until all four requests are there."""
    together = threading.Barrier(4, timeout=20)

    def script(_):
        together.wait()
        return "All here."

    with running(Sandbox(replies=script)) as url, client_of(url) as client, ThreadPoolExecutor(4) as pool:
        messages = list(pool.map(lambda _: client.messages.create(**ASK), range(4)))
    assert [message.content[-1].text for message in messages] == ["All here."] * 4


@pytest.mark.parametrize("fault", [faults.reset(), faults.cut(after=6), faults.connection_refused()])
def test_broken_connections_are_broken_over_http_too(fault):
    broken = pytest.raises((anthropic.APIConnectionError, httpx2.TransportError))
    with running(Sandbox(faults=[fault])) as url, client_of(url, max_retries=0) as client, broken:
        list(client.messages.create(**ASK, stream=True))


def test_closing_a_stream_early_leaves_the_server_fit():
    with running(Sandbox(pace="50 tok/s")) as url, client_of(url) as client:
        stream = client.messages.create(**ASK, stream=True)
        next(iter(stream))
        stream.close()
        assert client.messages.count_tokens(model=MODEL, messages=ASK["messages"]).input_tokens


def test_a_taken_port_is_a_clear_error():
    with running(Sandbox()) as url:
        port = int(url.rsplit(":", 1)[1])
        with (
            pytest.raises(SandboxError, match=f"Port {port} of 127.0.0.1 cannot be used"),
            running(Sandbox(), port),
        ):
            pass


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for another process on Windows")
def test_sigint_ends_the_server_cleanly():
    code = (
        "from claude_nb.sandbox import Sandbox\n"
        "from claude_nb.sandbox import server\n"
        "bound = server._bound\n"
        "def told(*args):\n"
        "    found = bound(*args)\n"
        "    print(found.server_address[1], flush=True)\n"
        "    return found\n"
        "server._bound = told\n"
        "server.serve(Sandbox(), 0)\n"
        "print('ended')\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline())
            assert httpx2.get(f"http://127.0.0.1:{port}/", timeout=10).status_code == 401
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (out.strip(), err, process.returncode) == ("ended", "", 0)


SCRIPT = """
import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic({ apiKey: "sandbox", baseURL: process.env.SANDBOX_URL });
const ask = { model: process.env.MODEL, max_tokens: 1000, messages: [{ role: "user", content: "Hello" }] };
const created = await client.messages.create(ask);
let pieces = 0;
const stream = client.messages.stream(ask).on("text", () => { pieces += 1; });
const streamed = await stream.finalMessage();
let refused = null;
try { await client.messages.create({ ...ask, model: "claude-9" }); }
catch (error) { refused = [error.constructor.name, error.status]; }
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const counted = await client.messages.countTokens({ model: ask.model, messages: ask.messages });
console.log(JSON.stringify({ created, streamed, pieces, refused, models: models.length, counted }));
"""


@pytest.fixture(scope="module")
def typescript(tmp_path_factory):
    """A folder with the official TypeScript SDK."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("Node and npm are not installed")
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", "--prefer-offline", "@anthropic-ai/sdk"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip("@anthropic-ai/sdk cannot be installed from npm here")
    (folder / "ask.js").write_text(SCRIPT)
    return node, folder


def test_the_official_typescript_sdk_works(typescript):
    node, folder = typescript
    with running(Sandbox()) as url:
        environment = os.environ | {"SANDBOX_URL": url, "MODEL": MODEL}
        command = [node, "ask.js"]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["streamed"]["content"] == found["created"]["content"]
    assert found["streamed"]["usage"]["output_tokens"] == found["created"]["usage"]["output_tokens"]
    assert found["created"]["stop_reason"] == "end_turn"
    assert found["pieces"] > 5
    assert found["refused"] == ["NotFoundError", 404]
    assert found["models"] > 15
    assert found["counted"]["input_tokens"] == found["created"]["usage"]["input_tokens"]


def test_no_thread_outlives_the_with_block():
    before = threading.active_count()
    with running(Sandbox()):
        pass
    assert threading.active_count() == before
