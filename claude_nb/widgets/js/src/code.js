import { lexerOf, LIMIT } from "./lexer.js";

/** The inside of a code block: text that grows at its end, coloured line by line. */
export class Code {
  #doc;
  #lex;
  #source = "";
  #sure = 0; // the nodes of the text up to here stay as they are
  #tail = []; // the nodes after that

  constructor(doc, language) {
    this.#doc = doc;
    this.#lex = lexerOf(language);
    this.element = doc.createElement("code");
    if (language) this.element.className = `${this.#lex ? "highlight " : ""}language-${language}`;
  }

  appendData(text) {
    const before = this.#source.length;
    this.#source += text;
    if (!this.#lex || before >= LIMIT) this.#grow(text);
    else this.#draw();
  }

  #grow(text) {
    const last = this.element.lastChild;
    if (last?.nodeType === 3) last.appendData(text);
    else this.element.append(text);
  }

  #draw() {
    for (const node of this.#tail.splice(0)) node.remove();
    const from = this.#sure;
    const { tokens, sure } = this.#lex(this.#source.slice(from, this.#limit()));
    let done = from;
    for (const [role, start, end] of tokens) {
      this.#plain(done, from + start, from + sure);
      this.#token(role, from + start, (done = from + end), from + sure);
    }
    this.#plain(done, this.#source.length, from + sure);
    this.#sure = from + sure;
  }

  /** Where colours end; never inside a character. */
  #limit() {
    return /[\ud800-\udbff]/.test(this.#source[LIMIT - 1] ?? "") ? LIMIT - 1 : LIMIT;
  }

  /** Text without a role; it is cut where the certain lines end. */
  #plain(start, end, sure) {
    if (start < sure && sure < end) {
      this.#add(this.#doc.createTextNode(this.#source.slice(start, sure)), true);
      start = sure;
    }
    if (start < end) this.#add(this.#doc.createTextNode(this.#source.slice(start, end)), end <= sure);
  }

  #token(role, start, end, sure) {
    const span = this.#doc.createElement("span");
    span.className = role;
    span.append(this.#source.slice(start, end));
    this.#add(span, end <= sure);
  }

  #add(node, certain) {
    this.element.append(node);
    if (!certain) this.#tail.push(node);
  }
}
