import { create } from "./dom.js";
import { StreamMarkdown } from "./stream-markdown.js";

/** Thinking, folded; it is drawn when the reader opens it. */
export class Thinking {
  #label;
  #note;
  #flow;
  #empty = true;
  #closed = false;
  #redacted;

  constructor(doc, type) {
    this.#redacted = type === "redacted_thinking";
    this.#label = create(doc, "span", "", this.#redacted ? "Thinking (redacted)" : "Thinking");
    this.#note = create(doc, "span");
    const summary = create(doc, "summary", "", this.#label, this.#note);
    const text = create(doc, "div", "cnb-text");
    this.#flow = new StreamMarkdown(text);
    this.element = create(doc, "details", "cnb-aside cnb-empty", summary, text);
    this.element.addEventListener("toggle", () => this.draw());
  }

  add(_, text) {
    if (text) this.element.classList.toggle("cnb-empty", (this.#empty = false));
    this.#flow.append(text);
  }

  /** How much of the reply was thinking. */
  note(text) {
    this.#note.textContent = text && ` · ${text}`;
  }

  close() {
    this.#closed = true;
    if (this.#empty && !this.#redacted) this.#label.textContent = "Thinking (hidden by the model)";
  }

  end(complete) {
    if (!complete && !this.#empty) this.#label.textContent = "Thinking (incomplete)";
    if (!complete) this.close();
  }

  draw() {
    if (!this.element.open) return;
    if (this.#closed) this.#flow.finish();
    else this.#flow.draw();
  }
}
