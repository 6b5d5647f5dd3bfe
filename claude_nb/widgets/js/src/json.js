/** Indents JSON as it arrives, without waiting for its end and without changing a single literal. */
export class JsonPrinter {
  #depth = 0;
  #string = false;
  #escape = false;
  #opened = false; // after { or [: an empty one stays on its line

  /** @returns {string} what to append to the text printed so far */
  feed(text) {
    let out = "";
    for (const char of text) out += this.#string ? this.#inString(char) : this.#outside(char);
    return out;
  }

  #inString(char) {
    if (this.#escape) this.#escape = false;
    else if (char === "\\") this.#escape = true;
    else if (char === '"') this.#string = false;
    return char;
  }

  #outside(char) {
    if (/\s/.test(char)) return "";
    if (char === "}" || char === "]") {
      this.#depth = Math.max(0, this.#depth - 1);
      const empty = this.#opened;
      this.#opened = false;
      return empty ? char : this.#newline() + char;
    }
    const before = this.#opened ? this.#newline() : "";
    this.#opened = false;
    if (char === "{" || char === "[") {
      this.#depth += 1;
      this.#opened = true;
      return before + char;
    }
    if (char === '"') this.#string = true;
    if (char === ",") return char + this.#newline();
    return before + (char === ":" ? ": " : char);
  }

  #newline() {
    return `\n${"  ".repeat(this.#depth)}`;
  }
}
