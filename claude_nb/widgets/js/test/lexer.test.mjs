import assert from "node:assert/strict";
import { test } from "node:test";

import { Code } from "../src/code.js";
import { LIMIT, lexerOf } from "../src/lexer.js";
import { document } from "./dom.mjs";

const SAMPLES = {
  python: 'import re\n\ndef f(x: int = 0x1F) -> str:\n    """Doc\n    if "quoted".\n    """\n    return f"{x:>3}" + r\'\\d\'  # a comment\n\n\ns = """open\nfor ever',
  js: 'const a = `one ${x}\ntwo`; // "no"\n/* and\n   so on */ return a.b["c"] ?? 1_000n;\n/* open\n "x"',
  bash: 'for f in *.txt; do # each\n  echo "$f\n  two" \'#x\' ${#f}\ndone',
  json: '{"a": [1, -2.5e-3, true, null], "b" : "c: d",\n "e": "\\"f"}',
  yaml: "# top\nname: ci\non:\n  push:\n    - branches: [main] # x\n    - 'a': \"b\"\nurl: http://x.example:80/\n",
  sql: "SELECT a, COUNT(*) FROM t -- all\nWHERE b = 'x''y' AND c >= 10 /* open\n",
  html: '<!-- a\n b --><p class="x" id=y>it\'s &amp; fine</p><br/>\n<a href="open\n',
  css: "a:hover { color: #fff; margin: 0 10px 5%; } /* c */ @media x { .b { top: 1em } }",
  rust: "fn f<'a>(x: &'a str) -> char { 'x' /* 'y */ }\n// end",
  toml: '[a.b]\nkey = "v" # c\nother.key = 1\n',
  diff: "@@ -1 +1 @@\n-old\n+new\n same\n",
  c: '#include <x.h>\nint main(void) { return \'\\0\'; }\n',
  latex: "\\frac{a}{b} % half\n100\\% sure\n",
};

function grown(source, language, size) {
  const code = new Code(document, language);
  for (let at = 0; at < source.length; at += size) code.appendData(source.slice(at, at + size));
  return code.element;
}

test("code that grows letter by letter always looks as if drawn in one go", () => {
  for (const [language, source] of Object.entries(SAMPLES)) {
    const code = new Code(document, language);
    for (let at = 0; at < source.length; at++) {
      code.appendData(source[at]);
      assert.equal(code.element.outerHTML, grown(source.slice(0, at + 1), language, Infinity).outerHTML, language);
    }
    assert.equal(code.element.textContent, source);
    assert.ok(code.element.querySelector("span"), language);
  }
});

test("lines that are certain are not drawn again", () => {
  const code = new Code(document, "python");
  code.appendData("if x:\n    y = 1\n");
  const first = code.element.querySelector("span");
  code.appendData("else:\n    y = 2\n");
  assert.equal(code.element.querySelector("span"), first);
});

test("only languages that are known are coloured", () => {
  assert.equal(lexerOf("brainfuck"), null);
  assert.equal(lexerOf("__proto__"), null);
  assert.equal(grown("if x:", "brainfuck", 1).innerHTML, "if x:");
  assert.equal(grown("if x:", "Python", 1).innerHTML, '<span class="k">if</span> x:');
});

test("very long code is coloured at its beginning only, and no character is cut in two", () => {
  const source = `${"x".repeat(LIMIT - 2)}"😀😀" if\nif\n`;
  const element = grown(source, "python", 7);
  assert.equal(element.textContent, source);
  assert.deepEqual([...element.querySelectorAll("span")].map((span) => span.textContent), ['"']);
});

test("hostile code cannot make the page hang", { timeout: 60_000 }, () => {
  const parts = ['"', "'", "`", '"""', "/*", "<", "<!--", "#", "\\", " ", "- ", "a:", "1", "1.", "=", "[", "'a", "--", "\n"];
  for (const language of Object.keys(SAMPLES))
    for (const part of parts) lexerOf(language)(part.repeat(LIMIT / part.length));
});
