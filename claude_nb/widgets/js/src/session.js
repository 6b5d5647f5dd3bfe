// What the kernel has said so far, kept for views that come late. See claude_nb/widgets/stream.py for the messages.

const ENDED = new Set(["done", "interrupted", "failed"]);

export const hasEnded = (state) => ENDED.has(state?.phase);

const AGAIN_MS = 5000; // the answer may be lost too; a busy kernel gives it when it is free

export class Session {
  #q = 0;
  #asked = -Infinity; // when
  #whole = true; // no message was missed since the last snapshot
  #ask;
  #listeners = new Set();
  blocks = new Map();
  state = null;
  footer = [];

  /** @param {() => void} ask asks the kernel for a snapshot */
  constructor(ask) {
    this.#ask = ask;
  }

  /** Replays what there is to the listener, then hands on every operation. Returns how to leave. */
  listen(listener) {
    this.#listeners.add(listener);
    this.#replay(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Some front ends lose the first messages: ask once if none came. */
  expect(milliseconds) {
    setTimeout(() => this.#q === 0 && this.#miss(), milliseconds);
  }

  receive(message) {
    if (!(message?.q > this.#q)) return;
    if (message.snapshot) {
      this.#asked = -Infinity;
      this.#whole = true;
      this.#load(message.snapshot);
    } else {
      this.#whole &&= message.q === this.#q + 1;
      if (!this.#whole) this.#miss();
      for (const op of message.ops) this.#apply(op);
    }
    this.#q = message.q;
  }

  #miss() {
    if (performance.now() - this.#asked < AGAIN_MS) return;
    this.#asked = performance.now();
    this.#ask();
  }

  #load({ blocks, state, footer }) {
    this.blocks = new Map(blocks.map((block) => [block.index, block]));
    this.state = state;
    this.footer = footer;
    for (const listener of this.#listeners) this.#replay(listener);
  }

  #replay(listener) {
    listener(["reset"]);
    for (const { index, type, info, text, cites, note, closed } of this.blocks.values()) {
      listener(["open", index, type, info]);
      for (const source of cites) listener(["cite", index, source]);
      if (text) listener(["add", index, text]);
      if (closed) listener(["close", index]);
      if (note) listener(["note", index, note]);
    }
    if (this.footer.length) listener(["footer", this.footer]);
    if (this.state) listener(["state", this.state]);
  }

  #apply(op) {
    const [name, index] = op;
    if ((name === "add" || name === "cite") && !this.blocks.has(index)) this.#apply(["open", index, "text", {}]);
    switch (name) {
      case "open":
        this.blocks.set(index, { index, type: op[2], info: op[3] ?? {}, text: "", cites: [], closed: false });
        break;
      case "add":
        this.blocks.get(index).text += op[2];
        break;
      case "cite":
        this.blocks.get(index).cites.push(op[2]);
        break;
      case "note":
      case "close":
        if (!this.blocks.has(index)) return;
        Object.assign(this.blocks.get(index), name === "note" ? { note: op[2] } : { closed: true });
        break;
      case "state":
        this.state = op[1];
        break;
      case "footer":
        this.footer = op[1];
        break;
      default:
        return;
    }
    for (const listener of this.#listeners) listener(op);
  }
}
