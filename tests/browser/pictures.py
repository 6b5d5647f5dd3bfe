"""Makes the pictures of the README and the tutorials from the running product: ``python tests/browser/pictures.py``."""

import shutil
import tempfile
from pathlib import Path

import nbformat
from lab import LabPage, chromium, jupyter

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


def demo(folder: Path) -> str:
    """Write the README's notebook into ``folder`` and give its name."""
    (folder / "readme_replies.py").write_text(REPLIES)
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in DEMO]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "readme.ipynb"
    )
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
                for name, text in (("00_start_here", "watch(stream)"), ("01_first_call", "show(message)")):
                    page = LabPage(browser, server, f"{name}.ipynb", width=WIDTH)
                    page.run_all()
                    page.prepare()
                    cell(page, text).screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
