"""Makes the pictures of the README and the tutorials from the running product: ``python tests/browser/pictures.py``."""

import shutil
import tempfile
from pathlib import Path

import nbformat
from lab import LabPage, Server, chromium, jupyter

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "notebooks" / "images"
WIDTH = 900

# What the README shows: replies are scripted here, so that the picture has a table and code in it.
DEMO = [
    """
from claude_nb import Chat, Sandbox, connect
from readme_replies import REPLIES

chat = Chat(connect(sandbox=Sandbox(replies=REPLIES), quiet=True))
""",
    """
reply = chat.send("Three ways to read a CSV file in Python?")
""",
]
REPLIES = '''
REPLIES = ["""
| Way | Best for | Needs |
|---|---|---|
| `csv` | row by row, little memory | nothing |
| `pandas` | analysis and plots | one install |
| `polars` | files larger than memory | one install |

The shortest is one line:

```python
frame = pandas.read_csv("sales.csv")
```
"""]
'''

# The cell of each tutorial that its picture shows.
CELLS = {
    "00_start_here": "watch(stream)",
    "01_first_call": "show(message)",
    "02_when_it_stops": "def ask(",
    "03_system_prompts": "show(request)",
    "05_stateless_conversations": "I have a cat",
    "06_pruning_and_caching": "what_if(",
    "07_token_audit": "plots.context(",
    "08_structured_outputs": "table = extract_many(",
    "09_tool_use": "def stock(",
    "10_production_habits": "busy = connect(",
}
STREAM = """
from claude_nb import MODEL, Sandbox, connect, watch

client = connect(sandbox=Sandbox(pace="30 tok/s"), quiet=True)
with client.messages.stream(model=MODEL, max_tokens=900, messages=[{"role": "user", "content": "400 words"}]) as stream:
    message = watch(stream)
"""


def streaming(browser: object, server: Server, folder: Path) -> None:
    """A picture of a reply while it is written."""
    write(folder / "streaming.ipynb", STREAM)
    page = LabPage(browser, server, "streaming.ipynb", width=WIDTH)
    page.prepare()
    page.command("notebook:run-all-cells")
    page.page.get_by_role("button", name="Stop").wait_for()
    page.page.wait_for_timeout(4000)
    cell(page, "watch(stream)").screenshot(path=IMAGES / "04_streaming.png")


def write(path: Path, *cells: str) -> None:
    """A notebook of these cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source.strip()) for source in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, path)


def demo(folder: Path) -> str:
    """Write the README's notebook into ``folder`` and give its name."""
    (folder / "readme_replies.py").write_text(REPLIES)
    write(folder / "readme.ipynb", *DEMO)
    return "readme.ipynb"


def cell(page: LabPage, text: str) -> object:
    """The code cell whose source holds ``text``."""
    return page.page.locator(".jp-CodeCell").filter(has_text=text).first


def main() -> None:
    """Make every picture anew."""
    IMAGES.mkdir(exist_ok=True)
    for dark in (False, True):
        with tempfile.TemporaryDirectory() as temporary:
            folder, home = Path(temporary) / "notebooks", Path(temporary) / "home"
            shutil.copytree(ROOT / "notebooks", folder)
            home.mkdir()
            with jupyter(folder, home, dark=dark) as server, chromium() as browser:
                page = LabPage(browser, server, demo(folder), width=WIDTH, device_scale_factor=2)
                page.run_all()
                page.prepare()
                cell(page, "Three ways").screenshot(path=IMAGES / f"readme{'-dark' if dark else ''}.png")
                if dark:
                    continue
                streaming(browser, server, folder)
                for name, text in CELLS.items():
                    page = LabPage(browser, server, f"{name}.ipynb", width=WIDTH)
                    page.run_all()
                    page.prepare()
                    cell(page, text).screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
