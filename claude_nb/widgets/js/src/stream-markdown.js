// Markdown that arrives in pieces. A top-level block is closed when a later one has begun on a complete line; it is
// drawn once and left alone. Only the last, open block is parsed again.
import { Builder } from "./builder.js";
import { lastBlockLine, parse } from "./markdown.js";

export class StreamMarkdown {
  #root;
  #urls;
  #builder;
  #source = "";
  #done = 0; // where the open block begins
  #checked = 0; // the complete lines up to here were searched for closed blocks
  #references = {};
  #inline = new Map();
  #carriage = false;
  #redraw = false; // a link definition or too deep a nesting: only the whole text tells what it means

  /**
   * @param {Element} root is filled
   * @param {string[]} urls where citation marks lead, by number from 1
   */
  constructor(root, urls = []) {
    this.#root = root;
    this.#urls = urls;
    this.#builder = new Builder(root, urls);
  }

  append(text) {
    if (this.#carriage) text = `\r${text}`;
    this.#carriage = text.endsWith("\r");
    if (this.#carriage) text = text.slice(0, -1);
    this.#source += text.replace(/\r\n?/g, "\n").replace(/\0/g, "\ufffd");
  }

  /** Bring the page up to date; between two draws any amount of text may have come. */
  draw() {
    const open = this.#source.slice(this.#done);
    const env = { references: { ...this.#references }, inline: this.#inline };
    const tokens = parse(open, env);
    this.#builder.draw(tokens);
    this.#inline = env.inline ?? this.#inline;
    this.#redraw ||= Boolean(env.tooDeep) || Object.keys(env.references).length > 0;
    const blocks = tokens.reduce((count, { level, map, nesting }) => count + (level === 0 && map && nesting >= 0), 0);
    if (!env.tooDeep && blocks > 1) this.#commit(open);
  }

  /** The text is complete: what is on the page is now what drawing it in one go would give. */
  finish() {
    if (this.#carriage) this.#source += "\n";
    this.#carriage = false;
    this.draw();
    if (this.#redraw) drawWhole(this.#root, this.#source, this.#urls);
  }

  #commit(open) {
    const lines = this.#source.lastIndexOf("\n") + 1;
    if (lines <= this.#checked) return;
    this.#checked = lines;
    const complete = open.slice(0, lines - this.#done);
    const line = lastBlockLine(complete, { references: { ...this.#references } });
    if (line === 0) return;
    this.#builder.commit(line);
    const cut = lineStart(complete, line);
    if (complete.slice(0, cut).includes("]:")) lastBlockLine(complete.slice(0, cut), { references: this.#references });
    this.#done += cut;
  }
}

/** Draw model text in one go. */
export function drawWhole(root, source, urls = []) {
  root.replaceChildren();
  new Builder(root, urls).draw(parse(source));
}

function lineStart(text, line) {
  let at = 0;
  for (let n = 0; n < line; n++) at = text.indexOf("\n", at) + 1;
  return at;
}
