import { setHref } from "./builder.js";
import { create } from "./dom.js";
import { citationMark } from "./markdown.js";
import { StreamMarkdown } from "./stream-markdown.js";

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
