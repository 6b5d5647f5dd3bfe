// One class for each kind of thing in a reply. Each has `element`, takes text with add(), and draws when asked.
import { setHref } from "./builder.js";
import { JsonPrinter } from "./json.js";
import { citationMark } from "./markdown.js";
import { StreamMarkdown } from "./stream-markdown.js";

const OPEN_LINES = 20;
const PIECE = 4000; // characters

export function create(doc, tag, className = "", ...children) {
  const element = doc.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** The cited sources of a reply, numbered from 1 in the order in which they appear. */
export class Sources {
  #numbers = new Map();
  urls = [];

  number({ title, url }) {
    const key = JSON.stringify([title || "", url || ""]);
    if (!this.#numbers.has(key)) {
      this.urls.push(url || "");
      this.#numbers.set(key, this.urls.length);
    }
    return this.#numbers.get(key);
  }
}

/** Text blocks that follow each other: citations cut a sentence into several, so they read as one. */
export class TextRun {
  #doc;
  #sources;
  #flow;
  #known;
  #list = null;
  #marks = new Map(); // open block -> its citation numbers
  #space = ""; // a citation stands before the white space that ends its block
  #ended = false;

  constructor(doc, sources) {
    this.#doc = doc;
    this.#sources = sources;
    this.#known = sources.urls.length;
    const text = create(doc, "div", "cnb-text");
    this.#flow = new StreamMarkdown(text, sources.urls);
    this.element = create(doc, "div", "", text);
  }

  open(index) {
    this.#marks.set(index, new Set());
  }

  add(_, text) {
    const body = (this.#space + text).replace(/[ \t\n]+$/, "");
    this.#space = (this.#space + text).slice(body.length);
    this.#flow.append(body);
  }

  cite(index, source) {
    const number = this.#sources.number(source);
    this.#marks.get(index)?.add(number);
    if (number > this.#known) this.#addSource(number, source);
  }

  close(index) {
    this.#flow.append([...(this.#marks.get(index) ?? [])].map(citationMark).join(""));
    this.#marks.delete(index);
  }

  end() {
    for (const index of [...this.#marks.keys()]) this.close(index);
    this.#ended = true;
  }

  draw() {
    if (this.#ended) this.#flow.finish();
    else this.#flow.draw();
  }

  #addSource(number, { title, url }) {
    this.#known = number;
    if (!this.#list) this.element.append((this.#list = create(this.#doc, "p", "cnb-small", "Sources: ")));
    else this.#list.append(" · ");
    const anchor = create(this.#doc, "a", "", title || url || "untitled source");
    setHref(anchor, url);
    if (url) anchor.title = url;
    this.#list.append(`[${number}] `, anchor);
  }
}

/** Thinking, folded; it is drawn when the reader opens it. */
export class Thinking {
  #label;
  #flow;
  #empty = true;
  #closed = false;
  #redacted;

  constructor(doc, type) {
    this.#redacted = type === "redacted_thinking";
    this.#label = create(doc, "summary", "", this.#redacted ? "Thinking (redacted)" : "Thinking");
    const text = create(doc, "div", "cnb-text");
    this.#flow = new StreamMarkdown(text);
    this.element = create(doc, "details", "cnb-aside cnb-empty", this.#label, text);
    this.element.addEventListener("toggle", () => this.draw());
  }

  add(_, text) {
    if (text) this.element.classList.toggle("cnb-empty", (this.#empty = false));
    this.#flow.append(text);
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
