const DONE_MS = 1200;

/** A button for a code block; `addCopyButtons` makes it work. */
export function copyButton(doc) {
  const button = doc.createElement("button");
  button.type = "button";
  button.className = "cnb-copy";
  button.setAttribute("aria-label", "Copy this code");
  return button;
}

/** One listener for all code blocks below `root`. */
export function addCopyButtons(root) {
  root.addEventListener("click", async ({ target }) => {
    if (!target.classList?.contains("cnb-copy")) return;
    const code = target.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      target.classList.add("cnb-copied");
      setTimeout(() => target.classList.remove("cnb-copied"), DONE_MS);
    } catch {
      getSelection().selectAllChildren(code); // a page without https has no clipboard: leave Ctrl+C to the reader
    }
  });
}
