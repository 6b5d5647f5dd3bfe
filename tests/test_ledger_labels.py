"""Where a call came from: the cell IPython runs, the notebook Jupyter names, the labels in force."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_server import REQUEST, Reply, message, serving

from claude_nb import Chat, Sandbox, compare, connect, extract_many
from claude_nb.errors import LedgerError
from claude_nb.ledger import Ledger, label
from claude_nb.ledger.blocks import carried
from claude_nb.ledger.labels import current

CELLS = """
import sys
from IPython.core.interactiveshell import InteractiveShell
url, path = sys.argv[1:]
shell = InteractiveShell.instance()
run = lambda code: shell.run_cell(code, store_history=True).raise_error()
run(f'''
import threading, anthropic
from claude_nb.ledger import Ledger, label
ledger = Ledger({path!r})
client = ledger.meter(anthropic.Anthropic(api_key="test", base_url={url!r}, max_retries=0))
def call():
    client.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=[dict(role="user", content="Hi")])
call()
''')
run("call()")
run("worker = threading.Thread(target=call); worker.start(); worker.join()")
run("with label(conversation='c1', cell='mine'): call()")
run('''
import asyncio
async def later(): await more.wait(); call()
more = asyncio.Event(); task = asyncio.create_task(later()); await asyncio.sleep(0)
''')
run("more.set(); await task; call()")
"""


def test_calls_carry_their_cell_and_notebook_even_from_worker_threads(tmp_path):
    path = tmp_path / "spend.db"
    with serving(Reply(message())) as server:
        command = [sys.executable, "-c", CELLS, server.url, str(path)]
        environment = {
            **os.environ,
            "JPY_SESSION_NAME": "/home/ada/lessons/first.ipynb",
            "IPYTHONDIR": str(tmp_path),
        }
        subprocess.run(command, check=True, env=environment, capture_output=True)
    frame = Ledger(path).frame()
    assert list(frame["cell"]) == ["1", "2", "3", "mine", "5", "6"]
    assert set(frame["notebook"]) == {"first.ipynb"}
    assert list(frame["conversation"].dropna()) == ["c1"]


def test_labels_nest_and_end_with_their_block():
    with label(notebook="n", tags=("a",)), label(conversation="c", cell="3", tags=("b", "a")):
        inner = current()
    assert (inner.notebook, inner.conversation, inner.cell, inner.tags) == ("n", "c", "3", ("a", "b"))
    assert current().conversation is None
    assert current().tags == ()


# ---- tasks, threads and generators


def tags():
    return current().tags


def in_thread(work=tags):
    """What a thread of its own finds, which is started here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@contextmanager
def started_thread():
    """A function that asks a thread which is there already."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(tags).result()
        yield lambda work=tags: pool.submit(work).result()


def test_rows_of_concurrent_tasks_carry_only_their_own_labels(tmp_path):
    ledger = Ledger(tmp_path / "spend.db")

    async def ask(client, barrier, *labels, **more):
        with label(tags=labels, **more):
            await barrier.wait()  # all blocks are open when the calls are made
            await client.messages.create(**REQUEST)

    async def main(url):
        client = ledger.meter(anthropic.AsyncAnthropic(api_key="test", base_url=url))
        barrier = asyncio.Barrier(3)
        await asyncio.gather(
            ask(client, barrier, "A", conversation="a"),
            ask(client, barrier, "B", project="b"),
            ask(client, barrier),
        )

    with serving(Reply(message())) as server:
        asyncio.run(main(server.url))
    frame = ledger.frame()
    assert sorted(frame["tags"]) == [(), ("A",), ("B",)]
    rows = frame.set_index("tags")
    assert rows["conversation"].dropna().to_dict() == {("A",): "a"}
    assert (rows["project"] == "b").to_dict() == {("A",): False, ("B",): True, (): False}


def test_every_label_reaches_the_workers_that_a_block_starts(tmp_path):
    ledger = Ledger(tmp_path / "spend.db")
    told = {"project": "P", "user": "U", "notebook": "N", "cell": "5", "conversation": "conv"}
    with serving(Reply(message())) as server:
        client = ledger.meter(anthropic.Anthropic(api_key="test", base_url=server.url))
        with label(**told, tags=("t",)), ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(client.messages.create, **REQUEST) for _ in range(3)]:
                done.result()
    frame = ledger.frame()
    assert [frame[name].unique().tolist() for name in told] == [[value] for value in told.values()]
    assert list(frame["tags"]) == [("t",)] * 3


def test_a_worker_adds_its_own_labels_to_those_it_was_started_in():
    def work():
        with label(conversation="c", tags=("row",)):
            inner = current()
        return inner.project, inner.conversation, inner.tags, current().tags, current().conversation

    with label(project="P", tags=("x",)):
        assert in_thread(work) == ("P", "c", ("x", "row"), ("x",), None)
    assert current().tags == ()


def test_a_thread_that_was_there_before_is_not_in_the_block():
    with started_thread() as ask, label(tags=("outer",), conversation="c"):
        assert ask() == ()
        assert ask(lambda: current().conversation) is None
        with started_thread() as ask_second, label(tags=("inner",)):
            assert ask_second() == ("outer",)
            assert in_thread() == ("outer", "inner")


def test_a_label_of_one_worker_is_not_anothers():
    opened, asked = threading.Event(), threading.Event()

    def hold():
        with label(tags=("mine",), conversation="c"):
            opened.set()
            assert asked.wait(10)
            return tags()

    with ThreadPoolExecutor(2) as pool:
        holds = pool.submit(hold)
        assert opened.wait(10)
        others = pool.submit(lambda: (tags(), current().conversation, in_thread())).result()
        asked.set()
        assert holds.result() == ("mine",)
    assert others == ((), None, ())


def test_a_block_that_has_ended_reaches_no_thread_but_those_with_its_context():
    with label(tags=("x",)):
        context = copy_context()
        pool = ThreadPoolExecutor(1)
        assert pool.submit(tags).result() == ("x",)
    assert pool.submit(tags).result() == ()
    assert pool.submit(context.run, tags).result() == ("x",)
    assert in_thread() == ()
    pool.shutdown()


def test_a_context_that_was_copied_outside_stays_outside():
    context = copy_context()
    with label(tags=("x",)):
        assert in_thread(lambda: context.run(tags)) == ()


def test_a_coroutines_labels_reach_the_threads_that_have_its_context_and_no_strangers():
    """Its neighbour's thread is started while the block is open, and cannot be told from its own."""

    async def labelled(opened, asked):
        with label(tags=("x",)):
            opened.set()
            await asked.wait()
            return await asyncio.to_thread(tags)

    async def stranger(opened, asked):
        await opened.wait()
        found = await asyncio.get_running_loop().run_in_executor(None, tags), await asyncio.to_thread(tags)
        asked.set()
        return found

    async def main():
        opened, asked = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(labelled(opened, asked), stranger(opened, asked))

    assert asyncio.run(main()) == [("x",), ((), ())]
    with label(tags=("all",)):
        assert asyncio.run(main()) == [("all", "x"), (("all",), ("all",))]


def test_a_generator_shares_its_labels_with_its_reader_as_any_context_variable():
    """So that a fixture, or a context manager that is one, labels what uses it."""

    def replies():
        with label(tags=("gen",)):
            yield tags(), in_thread()

    found = replies()
    assert (next(found), tags(), in_thread()) == ((("gen",), ("gen",)), ("gen",), ("gen",))
    found.close()
    assert (tags(), in_thread()) == ((), ())


def test_a_label_decorates_functions_and_coroutines_but_no_generator():
    """Also where a task calls it."""

    @label(tags=("f",))
    def ask():
        return tags(), in_thread()

    @label(tags=("g",))
    async def ask_async():
        await asyncio.sleep(0)
        return tags(), await asyncio.to_thread(tags)

    async def main():
        return await asyncio.gather(ask_async(), ask_async()), ask()[0], tags()

    assert ask() == (("f",), ("f",))
    assert asyncio.run(main()) == ([(("g",), ("g",))] * 2, ("f",), ())

    def reads():
        yield

    for function in (reads, _reads_async):
        with pytest.raises(LedgerError, match="inside it instead"):
            label(tags=("x",))(function)


async def _reads_async():
    yield


def test_a_label_can_be_entered_again_and_inside_itself():
    twice = label(tags=("x",), conversation="c")
    for _ in range(2):
        with twice, twice:
            assert (tags(), current().conversation) == (("x",), "c")
        assert tags() == ()


def test_what_is_carried_is_what_a_call_here_has():
    with label(tags=("x",)):
        assert carried().run(tags) == tags() == ("x",)
    assert carried().run(tags) == ()


def test_generators_that_end_in_any_order_leave_nothing_behind():
    def replies(name):
        with label(tags=(name,)):
            yield tags()
            yield tags()

    first, second = replies("a"), replies("b")
    assert (next(first), next(second)) == (("a",), ("a", "b"))
    first.close()
    assert (tags(), next(second)) == (("b",), ("b",))
    second.close()
    assert tags() == ()


def test_a_generator_that_ends_in_another_context_ends_everywhere():
    def replies():
        with label(tags=("gen",)):
            yield

    for end in (lambda found: list(found), lambda found: found.close()):
        found = replies()
        next(found)
        in_thread(lambda end=end, found=found: end(found))
        gc.collect()
        assert tags() == ()


def test_an_abandoned_generator_ends_its_block():
    def replies():
        with label(tags=("gen",)):
            yield

    found = replies()
    next(found)
    del found
    with label(tags=("x",)):
        assert (tags(), in_thread()) == (("x",), ("x",))


@contextmanager
def phase(name):
    """What a reader writes to give labels a name."""
    with label(tags=(name,)):
        yield


class Phase:
    """The same as a class."""

    def __init__(self, name):
        self.labels = label(tags=(name,))

    def __enter__(self):
        self.labels.__enter__()

    def __exit__(self, *error):
        self.labels.__exit__(*error)


def test_context_managers_made_of_labels_hold_for_the_code_that_uses_them():
    with phase("one"), Phase("two"), ExitStack() as stack:
        stack.enter_context(phase("three"))
        stack.enter_context(label(tags=("four",)))
        assert tags() == in_thread() == ("one", "two", "three", "four")
    assert tags() == in_thread() == ()

    @label(tags=("decorated",))
    def ask():
        return tags(), in_thread()

    assert ask() == ask() == (("decorated",), ("decorated",))

    def replies(manager):
        with manager("gen"):
            yield tags()

    for manager in (phase, Phase):
        found = replies(manager)
        assert (next(found), tags()) == (("gen",), ("gen",))
        found.close()
        assert tags() == ()


def test_a_conversation_is_that_of_the_chat_and_of_what_its_tools_start(tmp_path):
    """A tool asks by itself, by a thread it starts and by one that was there; another chat speaks beside them."""
    ledger = Ledger(tmp_path / "spend.db")
    script = iter([[{"type": "tool_use", "name": "look", "input": {}}], *["done"] * 9])
    client = connect(ledger=ledger, sandbox=Sandbox(replies=lambda _: next(script)), quiet=True)

    def ask(tag):
        with label(tags=(tag,)):
            client.messages.create(**REQUEST)

    with started_thread() as in_older:
        beside = Chat(client, display=False)

        def look() -> str:
            """Look."""
            ask("tool")
            in_thread(lambda: ask("its thread"))
            in_older(lambda: ask("older thread"))
            in_older(lambda: beside.send("Hi"))
            in_older(lambda: ask("older thread again"))
            return "seen"

        chat = Chat(client, tools=[look], display=False)
        chat.send("Look.")
    frame = ledger.frame()
    talks = {
        tag: set(rows["conversation"].dropna()) for tag, rows in frame.groupby(frame["tags"].str.join(""))
    }
    assert talks == {
        "": {chat.conversation, beside.conversation},
        "tool": {chat.conversation},
        "its thread": {chat.conversation},
        "older thread": set(),
        "older thread again": set(),
    }


def test_what_a_thread_starts_by_way_of_this_package_has_that_threads_labels(tmp_path):
    ledger = Ledger(tmp_path / "spend.db")
    client = connect(ledger=ledger, sandbox=Sandbox(), quiet=True)

    def work():
        compare("Hi", models=["claude-haiku-5-5", "claude-opus-5-5"], client=client, display=False)
        extract_many(["Ada", "Bea"], str, client=client, quiet=True)

    with started_thread() as in_older, label(tags=("x",), conversation="c"):
        in_older(work)
        assert set(ledger.frame()["tags"]) == {()}
        in_thread(work)
    assert sorted(ledger.frame()["tags"]) == [()] * 4 + [("x",)] * 4


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.sampled_from("abc"), min_size=1, max_size=5), data=st.data())
def test_whatever_tasks_interleave_each_has_its_own_labels(names, data):
    """Each task opens its block, waits its turns, and finds its own label, also in its threads."""
    turns = [data.draw(st.integers(0, 3)) for _ in names]

    async def work(name, waits):
        with label(tags=(name,)):
            for _ in range(waits):
                await asyncio.sleep(0)
                assert tags() == (name,)
            assert await asyncio.to_thread(tags) == (name,)
        return tags()

    async def main():
        return await asyncio.gather(*map(work, names, turns), asyncio.to_thread(tags))

    assert asyncio.run(main()) == [()] * (len(names) + 1)


def test_labels_without_a_with_are_told():
    with pytest.warns(
        UserWarning, match=r"no call has the labels conversation='c', tags=\('x',\).*with"
    ) as told:
        label(conversation="c", tags=("x",))
    assert told[0].filename == __file__
    with label(tags=("x",)) as nothing, (labels := label(tags=("y",))):
        assert (nothing, repr(labels)) == (None, "<labels tags=('y',): for the calls inside a with>")


@pytest.mark.filterwarnings("error")
def test_labels_that_are_used_are_not_told():
    with label(tags=("x",)):
        pass

    @label(tags=("y",))
    def ask():
        return tags()

    assert ask() == ("y",)


@pytest.mark.parametrize("wrong", [3, None, "text", [3], [""], b"x", [None]])
def test_tags_that_are_none_are_refused_with_what_to_type(wrong):
    with pytest.raises(LedgerError, match=r"label\(tags=\(|a short text"):
        label(tags=wrong)


def test_tags_may_come_from_anything_that_yields_them():
    with label(tags=(name for name in ("a", "b"))):
        assert tags() == ("a", "b")


def test_by_groups_by_any_label_and_refuses_others(tmp_path):
    ledger = Ledger(tmp_path / "spend.db")
    with serving(Reply(message())) as server:
        client = ledger.meter(anthropic.Anthropic(api_key="test", base_url=server.url))
        for tags, cell in ((("x", "y"), "1"), (("x",), "2"), ((), "2")):
            with label(tags=tags, cell=cell):
                client.messages.create(**REQUEST)
    assert dict(ledger.by("tag")["calls"].rename(index=str).items())["x"] == 2
    assert list(ledger.by("cell").loc[["1", "2"], "calls"]) == [1, 2]
    assert ledger.by("day")["calls"].sum() == 3
    assert ledger.where(cell="2").total().calls == 2
    for wrong in (lambda: ledger.by("colour"), lambda: ledger.where(colour="red")):
        with pytest.raises(LedgerError, match="colour"):
            wrong()


def test_project_and_user_come_from_where_the_notebook_runs(monkeypatch, tmp_path):
    from claude_nb.ledger import labels

    labels._user.cache_clear()
    repository = tmp_path / "thesis"
    (repository / ".git").mkdir(parents=True)
    (repository / "chapters").mkdir()
    monkeypatch.chdir(repository / "chapters")
    monkeypatch.setenv("JUPYTERHUB_USER", "ann")
    assert (current().project, current().user) == ("thesis", "ann")
    monkeypatch.setenv("CLAUDE_NB_PROJECT", "course")
    with label(user="bob"):
        assert (current().project, current().user) == ("course", "bob")
        with label(project="homework"):
            assert (current().project, current().user) == ("homework", "bob")
    monkeypatch.delenv("CLAUDE_NB_PROJECT")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "loose.ipynb"))
    assert current().project is None
    labels._user.cache_clear()


def test_a_working_folder_that_was_deleted_costs_no_call(monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert current().project is None
    with serving(Reply(message())) as server:
        client = Ledger(":memory:").meter(anthropic.Anthropic(api_key="test", base_url=server.url))
        assert client.messages.create(**REQUEST).usage.output_tokens == 17
