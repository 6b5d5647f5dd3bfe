import assert from "node:assert/strict";
import { test } from "node:test";

import { parse } from "../src/markdown.js";

const formulas = (source) => parse(source).flatMap(({ type, content }) => (type.startsWith("math") ? [content] : []));

test("money, paths and escaped brackets are no mathematics", () => {
  const texts = [
    "$5 and $6", "US$5, R$ 6 and 7$", "$5, or 5$", "$5/month or 10$", "**$5**–**$6**", "$HOME/bin:$PATH", "$a$b", "$0 or a crash < keeps the end (6$)",  "$ x $",
    "$$ $$", "a$x$", "\\$x$ and \\$y$", "`$x$`", "    $$\n    x\n    $$", "\\[1\\]", "\\[x\\] done", "\\[citation needed\\]",
    "\\(see below\\)", "\\(\\)", "\\[\\\\\\]", "\\\\(x\\\\)", "$x\ny$", "\\[not a link](/x)", "$$ rich",
  ];
  for (const text of texts) assert.deepEqual(formulas(text), [], text);
});

test("formulas are found as they are written, and Markdown leaves them alone", () => {
  const cases = {
    "let $x_1 * y_1 * z$ be": ["$x_1 * y_1 * z$"],
    "$10$, $5x$, $2^n$ and $2 + 2 = 4$.": ["$10$", "$5x$", "$2^n$", "$2 + 2 = 4$"],
    "\\(a_i\\) and \\[\\frac{a}{b}\\] in a line": ["\\(a_i\\)", "\\[\\frac{a}{b}\\]"],
    "text\n$$\na\n= b\n- c\n$$\nafter": ["$$\na\n= b\n- c\n$$"],
    "\\[\nx \\\\\ny\n\\]": ["\\[\nx \\\\\ny\n\\]"],
    "- so\n  $$\n  x\n  $$\n- or $y$": ["$$\nx\n$$", "$y$"],
    "> $$x$$": ["$$x$$"],
    "| $a$ |\n|---|\n| $b_1$ |": ["$a$", "$b_1$"],
    "$$x$$ and more $$y$$": ["$$x$$", "$$y$$"],
  };
  for (const [source, expected] of Object.entries(cases)) assert.deepEqual(formulas(source), expected, source);
});

test("a formula that is not closed ends with its paragraph", () => {
  const tokens = parse("$$\nx *y*\n\n*z*");
  assert.deepEqual(tokens.filter(({ type }) => type === "em_open").length, 1);
});
