// One view of a session: operations in, DOM out.
import { Bar } from "./bar.js";
import { Card } from "./card.js";
import { addCopyButtons } from "./copy.js";
import { create } from "./dom.js";
import { Follower } from "./follow.js";
import { Frames } from "./frames.js";
import { hasEnded } from "./session.js";
import { Sources, TextRun } from "./text.js";
import { Thinking } from "./thinking.js";

const PACE_MS = 50; // how often the kernel sends; telling it more often than it sends would be no help
const CHANGED = 2; // times slower or faster

export class View {
  #doc;
  #body;
  #sources;
  #parts; // index -> the part that shows the block
  #open;
  #last;
  #dirty = new Set();
  #frames = new Frames(() => this.#draw(), (milliseconds) => this.#pace(milliseconds));
  #follower;
  #paced = PACE_MS;
  #askForPace;

  /** @param {(milliseconds: number) => void} askForPace asks the kernel to send only so often */
  constructor(root, askToStop, interrupt, askForPace = () => {}) {
    this.#askForPace = askForPace;
    this.#doc = root.ownerDocument;
    this.#body = create(this.#doc, "div", "cnb-body");
    this.bar = new Bar(this.#doc, askToStop, interrupt);
    this.#follower = new Follower(this.bar.element);
    root.append(create(this.#doc, "div", "claude-nb jp-RenderedHTMLCommon", this.#body, this.bar.element));
    addCopyButtons(this.#body);
  }

  apply([name, ...args]) {
    this[name](...args);
    this.#frames.request(this.bar.ended);
  }

  reset() {
    this.#body.replaceChildren();
    this.#sources = new Sources();
    this.#parts = new Map();
    this.#open = new Set();
    this.#last = null;
    this.#dirty.clear();
  }

  open(index, type, info) {
    const part = this.#part(type, info ?? {});
    part.open?.(index);
    this.#parts.set(index, part);
    this.#open.add(index);
    this.#last = part;
    if (!part.element.parentNode) this.#body.append(part.element);
    this.#dirty.add(part);
  }

  add(index, text) {
    this.#change(index, (part) => part.add(index, text));
  }

  cite(index, source) {
    this.#change(index, (part) => part.cite?.(index, source));
  }

  note(index, text) {
    this.#change(index, (part) => part.note?.(text));
  }

  close(index) {
    this.#open.delete(index);
    this.#change(index, (part) => part.close(index));
  }

  state(state) {
    this.bar.state(state);
    if (!hasEnded(state)) return;
    for (const [index, part] of this.#parts) {
      part.end?.(!this.#open.has(index));
      this.#dirty.add(part);
    }
    this.#open.clear();
  }

  footer(chips) {
    this.bar.footer(chips);
  }

  #part(type, info) {
    if (type === "text") return this.#last instanceof TextRun ? this.#last : new TextRun(this.#doc, this.#sources);
    if (type === "thinking" || type === "redacted_thinking") return new Thinking(this.#doc, type);
    return new Card(this.#doc, type, info);
  }

  #change(index, change) {
    const part = this.#parts.get(index);
    change(part);
    this.#dirty.add(part);
  }

  #pace(milliseconds) {
    const wanted = Math.max(PACE_MS, Math.round(milliseconds));
    if (wanted < CHANGED * this.#paced && wanted * CHANGED > this.#paced) return;
    this.#paced = wanted;
    this.#askForPace(wanted);
  }

  #draw() {
    this.#follower.around(() => {
      for (const part of this.#dirty) part.draw();
      this.#dirty.clear();
    });
  }
}
