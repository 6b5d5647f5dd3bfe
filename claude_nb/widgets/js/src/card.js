import { create } from "./dom.js";
import { JsonPrinter } from "./json.js";

const OPEN_LINES = 20;
const PIECE = 4000; // characters

/** Text that only grows, in pieces that the browser may leave alone while they are out of sight. */
class Log {
  #doc;
  #last = null;
  #pending = "";
  empty = true;
  lines = 1;

  constructor(doc) {
    this.#doc = doc;
    this.element = create(doc, "code");
  }

  add(text) {
    this.#pending += text;
    this.lines += text.split("\n").length - 1;
    this.empty &&= !text;
  }

  draw() {
    if (!this.#pending) return;
    if (!this.#last || this.#last.length > PIECE) this.#begin();
    this.#last.appendData(this.#pending);
    this.#pending = "";
  }

  #begin() {
    const end = this.#pending.lastIndexOf("\n") + 1; // a piece is a box of its own and ends with its line
    if (this.#last && !end) return;
    this.#last?.appendData(this.#pending.slice(0, end));
    if (this.#last) this.#pending = this.#pending.slice(end);
    this.#last = this.#doc.createTextNode("");
    this.element.append(create(this.#doc, "span", "cnb-piece", this.#last));
  }
}

/** A tool call, a tool result, or a block of a kind that is newer than this page. */
export class Card {
  #label;
  #log;
  #pre;
  #json;
  #call;
  #closed = false;

  constructor(doc, type, info) {
    this.#call = type.endsWith("tool_use");
    const [label, name] = describe(type, info);
    this.#label = create(doc, "span", "", label);
    this.#log = new Log(doc);
    this.#json = this.#call ? new JsonPrinter() : null;
    const summary = create(doc, "summary", "", this.#label);
    if (name) summary.append(" ", create(doc, "code", "", name));
    this.#pre = create(doc, "pre", "", this.#log.element);
    this.element = create(doc, "details", "cnb-card cnb-empty", summary, this.#pre);
    this.element.open = this.#call;
    if (typeof info.result === "string") this.add(0, info.result);
  }

  add(_, text) {
    this.#log.add(this.#json ? this.#json.feed(text) : text);
    this.element.classList.toggle("cnb-empty", this.#log.empty);
  }

  close() {
    if (this.#call && this.#log.empty) this.add(0, "{}");
    if (this.#call) this.element.open = this.#log.lines <= OPEN_LINES;
    this.#closed = true;
  }

  end(complete) {
    if (!complete && this.#call) this.#label.textContent += " (incomplete)";
  }

  draw() {
    this.#log.draw();
    if (this.#call) this.#pre.scrollTop = this.#closed ? 0 : this.#pre.scrollHeight;
  }
}

function describe(type, info) {
  const name = typeof info.name === "string" ? info.name : "";
  if (type === "tool_use") return ["Tool call", name];
  if (type.endsWith("tool_use")) return ["Server tool call", name];
  if (type.endsWith("tool_result")) return ["Tool result", name || type.replace(/_tool_result$/, "")];
  return ["Block", type];
}
