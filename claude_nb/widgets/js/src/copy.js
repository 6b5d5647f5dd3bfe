const DONE_MS = 1200;

/** One listener for all code blocks below `root`; the button stands in the block and is added when it is drawn. */
export function copyButton(doc) {
  const button = doc.createElement("button");
  button.type = "button";
  button.className = "cnb-copy";
  button.setAttribute("aria-label", "Copy this code");
  return button;
}

export function addCopyButtons(root) {
  root.addEventListener("click", async ({ target }) => {
    if (!target.classList?.contains("cnb-copy")) return;
    const code = target.parentElement.querySelector("code").textContent;
    await target.ownerDocument.defaultView.navigator.clipboard.writeText(code);
    target.classList.add("cnb-copied");
    setTimeout(() => target.classList.remove("cnb-copied"), DONE_MS);
  });
}
