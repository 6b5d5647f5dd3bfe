"""Shows what tools answered: safe, capped in height, and the same in the saved notebook."""

from .screens import in_notebook
from .steps import Run
from .turn import result_text

_LINES = 20  # on a terminal; a notebook scrolls


def show_results(run: Run) -> None:
    """Show the result of each call below the reply that made it, and how long it took."""
    from .widgets.saved import static_bundle

    blocks = []
    for call in run.calls:
        result = run.results[call.id]
        said = ("error: " if result.get("is_error") else "") + result_text(result["content"])
        name = call.name + (" (error)" if result.get("is_error") else "")
        if call.id in run.took and not run.simulated:
            name += f" · {run.took[call.id]:.1f} s"
        blocks.append({"type": "tool_result", "name": name, "result": said})
    bundle = static_bundle(blocks, [], state={"phase": "done", "text": ""})
    if in_notebook():
        from IPython.display import display

        display(bundle, raw=True)  # type: ignore[no-untyped-call] # IPython's own
        return
    lines = bundle["text/plain"].splitlines()
    rest = [f"… ({len(lines) - _LINES} more lines)"] if len(lines) > _LINES else []
    print("\n".join([*lines[:_LINES], *rest]))  # noqa: T201 - showing is its job
