// Tokens -> DOM, by createElement only. The builder remembers which token made which node, so that the next draw
// starts at the first token that differs: a block that grows at its end is never built again from its beginning.
import { Code } from "./code.js";
import { copyButton } from "./copy.js";
import { altText, safeHref } from "./markdown.js";

const TAGS = new Set(
  "p h1 h2 h3 h4 h5 h6 em strong s a blockquote ul ol li table thead tbody tr th td hr br".split(" "),
);

export function setHref(anchor, url) {
  const href = safeHref(url ?? "");
  if (!href) return;
  anchor.setAttribute("href", href);
  if (href.startsWith("#")) return;
  anchor.setAttribute("rel", "noopener noreferrer");
  anchor.setAttribute("target", "_blank");
}

export class Builder {
  #doc;
  #urls;
  #entries = []; // one per token: {token, frame: where it was drawn, node: what it added, text: what can grow}

  /**
   * @param {Element} root
   * @param {string[]} urls where citation marks lead, by number from 1
   */
  constructor(root, urls = []) {
    this.#doc = root.ownerDocument;
    this.#urls = urls;
    this.root = { element: root, up: null };
  }

  draw(tokens) {
    const entries = this.#entries;
    let i = 0;
    while (i < entries.length && i < tokens.length && (same(entries[i].token, tokens[i]) || grow(entries[i], tokens[i])))
      entries[i].token = tokens[i++];
    let frame = i < entries.length ? entries[i].frame : after(entries.at(-1), this.root);
    for (const entry of entries.splice(i)) entry.node?.remove();
    for (; i < tokens.length; i++) {
      const entry = { token: tokens[i], frame, inner: null, node: null, text: null };
      this.#step(entry);
      entries.push(entry);
      frame = after(entry, this.root);
    }
  }

  /** Keep what was drawn for the lines before `line` as it is, and forget how it was made. */
  commit(line) {
    const first = this.#entries.findIndex(({ token }) => token.level === 0 && token.map?.[0] >= line);
    if (first > 0) this.#entries.splice(0, first);
  }

  #step(entry) {
    const { token, frame } = entry;
    if (token.hidden || token.nesting < 0) return;
    const node = this.#node(token, entry);
    if (!node) return;
    entry.node = node;
    frame.element.append(node);
  }

  #node(token, entry) {
    switch (token.type) {
      case "text":
      case "math":
        return (entry.text = this.#doc.createTextNode(token.content));
      case "math_block": {
        const paragraph = this.#doc.createElement("p");
        paragraph.append((entry.text = this.#doc.createTextNode(token.content)));
        return paragraph;
      }
      case "softbreak":
        return this.#doc.createTextNode("\n");
      case "code_inline": {
        const code = this.#doc.createElement("code");
        code.append((entry.text = this.#doc.createTextNode(token.content)));
        return code;
      }
      case "fence":
      case "code_block":
        return this.#code(token, entry);
      case "image": {
        if (entry.frame.element.closest("a")) return this.#doc.createTextNode(altText(token));
        const anchor = this.#doc.createElement("a");
        setHref(anchor, token.attrGet("src"));
        anchor.append(altText(token));
        return anchor;
      }
      case "citation":
        return this.#citation(token.content);
    }
    return TAGS.has(token.tag) ? this.#element(token, entry) : null;
  }

  #element(token, entry) {
    const element = this.#doc.createElement(token.tag);
    for (const [name, value] of token.attrs ?? []) {
      if (name === "href") setHref(element, value);
      else if (name === "title") element.setAttribute("title", value);
      else if (name === "start") element.setAttribute("start", String(value));
      else if (name === "style" && /^text-align:(left|right|center)$/.test(value)) element.setAttribute("style", value);
    }
    if (token.nesting > 0) entry.inner = { element, up: entry.frame };
    if (token.tag !== "table") return element;
    const scroller = this.#doc.createElement("div");
    scroller.className = "cnb-table";
    scroller.append(element);
    return scroller;
  }

  #code(token, entry) {
    const pre = this.#doc.createElement("pre");
    const code = (entry.text = new Code(this.#doc, token.info.trim().split(/\s+/)[0]));
    code.appendData(token.content);
    pre.className = "cnb-code";
    pre.append(code.element, copyButton(this.#doc));
    return pre;
  }

  #citation(number) {
    const url = this.#urls[number - 1];
    if (url === undefined) return this.#doc.createTextNode(`\u2e28${number}\u2e29`);
    const [sup, anchor] = ["sup", "a"].map((tag) => this.#doc.createElement(tag));
    setHref(anchor, url);
    anchor.append(`[${number}]`);
    sup.append(anchor);
    return sup;
  }
}

function after(entry, root) {
  if (!entry) return root;
  const { token, frame, inner } = entry;
  if (token.nesting < 0 && !token.hidden && TAGS.has(token.tag)) return frame.up ?? root;
  return inner ?? frame;
}

function same(a, b) {
  return (
    a === b ||
    (a.type === b.type &&
      a.tag === b.tag &&
      a.nesting === b.nesting &&
      a.content === b.content &&
      Boolean(a.hidden) === Boolean(b.hidden) &&
      a.info === b.info &&
      sameAttributes(a.attrs, b.attrs))
  );
}

function sameAttributes(a, b) {
  if (!a || !b) return a === b || (!a && !b);
  return a.length === b.length && a.every(([name, value], i) => name === b[i][0] && value === b[i][1]);
}

function grow(entry, token) {
  const old = entry.token;
  if (!entry.text || old.type !== token.type || old.info !== token.info || !token.content.startsWith(old.content))
    return false;
  entry.text.appendData(token.content.slice(old.content.length));
  return true;
}
