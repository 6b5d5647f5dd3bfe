"""The command ``claude-nb``: open the tutorials, say what was spent, serve the sandbox, look for what is wrong."""

import argparse
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from . import __version__
from .errors import ClaudeNbError

_FOLDER = "claude_nb_tutorials"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0 for success, 1 where something is wrong, 2 for a bad call."""
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: _say(message)
            code: int = options.run(options)
    except ClaudeNbError as error:
        _say(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _say(what: object) -> None:
    print(f"claude-nb: {what}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="claude-nb", description="Claude in a notebook: stream, remember, account for every token."
    )
    parser.add_argument("--version", action="version", version=f"claude-nb {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    lab = commands.add_parser("lab", help="open JupyterLab on your own copies of the tutorials")
    lab.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help=f"where your copies are or shall be (default: {_FOLDER}); your files there are kept",
    )
    lab.add_argument("--no-browser", action="store_true", help="serve only; the address is printed")
    lab.add_argument("--port", type=int, help="port to serve on (default: Jupyter's choice)")
    lab.set_defaults(run=_lab)

    tutorials = commands.add_parser("tutorials", help="list or copy the tutorials, or check your exercises")
    tutorials.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR", help="where your copies are or shall be"
    )
    tutorials.add_argument("--no-solutions", action="store_true", help="copy without the solutions")
    tutorials.add_argument(
        "--check", action="store_true", help="run them offline and say which exercises pass"
    )
    tutorials.add_argument("--only", metavar="03", help="check this notebook only")
    tutorials.set_defaults(run=_tutorials)

    spend = commands.add_parser("spend", help="say what was spent")
    spend.add_argument("--since", metavar="7d", help="only calls from then on: 7d, 12h, 2w, or a date (UTC)")
    spend.add_argument(
        "--by", choices=_spend_keys(), default="model", help="what to group by (default: model)"
    )
    whose = spend.add_mutually_exclusive_group()
    whose.add_argument(
        "--simulated", action="store_true", help="the sandbox's calls instead of the real ones"
    )
    whose.add_argument(
        "--claude-code",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="import Claude Code's logs and show their calls, at API prices",
    )
    whose.add_argument(
        "--console", type=Path, metavar="CSV", help="import a CSV export of the Console and show it"
    )
    whose.add_argument("--source", metavar="NAME", help="what was imported earlier, such as claude-code")
    form = spend.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_const", const="csv", dest="form", help="as CSV")
    form.add_argument("--json", action="store_const", const="json", dest="form", help="as JSON")
    form.add_argument("--png", type=Path, metavar="F", help="the dashboard as a picture")
    spend.set_defaults(run=_spend)

    serve = commands.add_parser("serve", help="serve the offline sandbox to programs in any language")
    serve.add_argument("--port", type=int, default=8765, help="port on 127.0.0.1 (default: 8765)")
    serve.add_argument("--tape", type=Path, metavar="F", help="recorded exchanges to replay")
    serve.set_defaults(run=_serve)

    scan = commands.add_parser("scan", help="look for keys in notebooks and files before you share them")
    scan.add_argument(
        "paths", nargs="*", type=Path, default=[Path()], metavar="PATH", help="files or folders"
    )
    scan.set_defaults(run=_scan)

    doctor = commands.add_parser("doctor", help="say what was found and what is wrong")
    doctor.set_defaults(run=_doctor)
    return parser


def _tutorials(options: argparse.Namespace) -> int:
    from . import tutorials

    if options.only and not options.check:
        raise ClaudeNbError("--only goes with --check: claude-nb tutorials --check --only 03")
    if options.check:
        return _check(options.folder or _own_folder(), options.only)
    if options.folder is not None:
        print(_copied(options.folder, solutions=not options.no_solutions))
        return 0
    for path in tutorials.notebooks(tutorials.shipped()):
        print(f"{path.stem[:2]}  {tutorials.title(path)}")
    print(
        "\nclaude-nb lab opens them; claude-nb tutorials DIR copies them; --check says which exercises pass."
    )
    return 0


def _own_folder() -> Path:
    """Where the learner's notebooks are if nothing is said: here, or in the folder that `lab` makes."""
    from . import tutorials

    for folder in (Path(), Path(_FOLDER)):
        if (folder / tutorials.FIRST).is_file():
            return folder
    raise ClaudeNbError("there are no tutorials here. Name their folder: claude-nb tutorials DIR --check")


def _check(folder: Path, only: str | None) -> int:
    from . import tutorials
    from .progress import marks

    wanted = only.zfill(2) if only else ""
    paths = [path for path in tutorials.notebooks(folder) if path.stem.startswith(wanted)]
    if not paths:
        raise ClaudeNbError(f"no tutorial in {folder} begins with {only!r}.")
    found = []
    for path in paths:
        print(f"{path.stem[:2]}  {tutorials.title(path)}", flush=True)
        made, broken = marks(path)
        found += made
        for mark in made:
            print(f"    {mark.exercise}  {'yes' if mark.passed else f'not yet: {mark.said}'}")
        for line in broken:
            print(f"    {line}", flush=True)
    passed = sum(mark.passed for mark in found)
    print(f"{passed} of {len(found)} exercises pass")
    return 0 if passed == len(found) else 1


def _copied(folder: Path, *, solutions: bool = True) -> str:
    from . import tutorials

    if folder.exists() and not folder.is_dir():
        raise ClaudeNbError(f"{folder} is a file. Name a folder, new or your own, for the tutorials.")
    new = tutorials.copy_to(folder, solutions=solutions)
    return f"{len(new)} files copied to {folder}; files that were there are as before."


def _lab(options: argparse.Namespace) -> int:
    from . import tutorials

    if find_spec("jupyterlab") is None:
        raise ClaudeNbError('JupyterLab is not installed. Type: python -m pip install "claude_nb[lab]"')
    folder = options.folder or Path(_FOLDER)
    print(_copied(folder))
    command = [sys.executable, "-m", "jupyterlab", str(folder / tutorials.FIRST)]
    command.append(f"--LabApp.default_url=/lab/tree/{tutorials.FIRST}")
    if options.no_browser:
        command.append("--no-browser")
    if options.port is not None:
        command += ["--port", str(options.port), "--ServerApp.port_retries=0"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container root is the only user there is
    return _become(command)


def _become(command: list[str]) -> int:
    """Let Jupyter take the place of this process, so that signals reach it; Windows can only wait for it."""
    if os.name != "nt":
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606 - our own words and the user's folder
    return subprocess.run(command, check=False).returncode  # noqa: S603 - the same


def _spend_keys() -> tuple[str, ...]:
    from .spend import KEYS

    return KEYS


def _spend(options: argparse.Namespace) -> int:
    from .ledger import Ledger
    from .spend import besides, export, from_source, picture, report, total

    ledger = Ledger().since(options.since) if options.since else Ledger()
    found = None
    if not ledger.exists() and options.claude_code is None and not options.console:
        print(f"Nothing is recorded yet: there is no ledger at {ledger.location}.", file=sys.stderr)
        ledger = Ledger(":memory:")  # to read one would make it
    if options.claude_code is not None:
        found = ledger.import_claude_code(options.claude_code or None)
    elif options.console:
        found = ledger.import_console(options.console)
    if found is not None:
        print(found, file=sys.stderr)  # the numbers alone go to stdout
    if source := found.source if found else options.source:
        ledger = from_source(ledger, source)
    if options.form:
        print(export(ledger, options.by, options.form, simulated=options.simulated).rstrip())
        return 0
    if options.png:
        print(f"written: {picture(ledger, options.png, simulated=options.simulated)}")
        print(total(ledger, simulated=options.simulated))
    else:
        print(report(ledger, options.by, simulated=options.simulated))
    if source == "claude-code":
        print("at API prices; a subscription is not billed by them")
    if not options.simulated and not source:
        print("".join(f"{line}\n" for line in besides(ledger)), end="")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from .sandbox import Sandbox
    from .sandbox.server import serve

    serve(
        Sandbox(tape=options.tape),
        options.port,
        ready=lambda url: print(f"sandbox at {url} with any key; Ctrl-C ends it.", flush=True),
    )
    return 0


def _scan(options: argparse.Namespace) -> int:
    from .credentials import KEYS_PAGE
    from .scan import scan

    leaked, read = scan(options.paths)
    for one in leaked:
        print(f"{one.path}: {one.place}: {one.masked}")
    files = f"{read:,} file{'' if read == 1 else 's'} read"
    if not leaked:
        print(f"{files}, no key found")
        return 0
    print(f"{files}. A key that was shared is known to others. Revoke it at {KEYS_PAGE} and make a new one.")
    return 1


def _doctor(options: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes the options
    from .doctor import report

    findings = report()
    for finding in findings:
        mark = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}[finding.mark]
        print(f"{mark}  {finding.topic:<12}  {finding.text}")
    wrong = sum(finding.mark == "wrong" for finding in findings)
    print("nothing is wrong" if not wrong else f"{wrong} to mend")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
