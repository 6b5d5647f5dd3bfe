import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { drawWhole, StreamMarkdown } from "../src/stream-markdown.js";
import { div } from "./dom.mjs";

const { tests: commonmark } = createRequire(import.meta.url)("commonmark-spec");
const beyond = [
  "| a | b | c |\n|:--|:-:|--:|\n| 1 | `x|y` | \\| |\n| 2 |\n| 3 | 4 | 5 | 6 |\n\nafter\n",
  "a | b\n:-: | -\n1 | 2\n# closed by a heading\n",
  "text\n| a |\n|---|\n| 1 |\n> closed by a quote\n",
  "- | a | b |\n  |---|---|\n  | 1 | 2 |\n- next\n",
  "let $x_1$ be $5 or \\(a*b*c\\)\n$$\nx\n- y\n$$\nafter \\[z_1\\] it\n",
  "$$\nopen *x*\n- item\n\nnext $$ y\n",
  "- \\[\n  a\n\n  b\n  \\]\n\n> $$\n> q\nlazy $$\n",
  "```python\nif x:\n    '''doc\n\n    '''\n```\n",
  "~~struck~~ and ~one~ and ~~not\n\nstruck~~\n",
];
const examples = [...commonmark, ...beyond.map((markdown, i) => ({ markdown, number: `beyond ${i}` }))];

const whole = (source, urls) => {
  const root = div();
  drawWhole(root, source, urls);
  return root;
};

/** Every prefix as the reader sees it, then the end. */
function stream(pieces, onDraw = () => {}) {
  const root = div();
  const flow = new StreamMarkdown(root);
  let source = "";
  for (const piece of pieces) {
    flow.append(piece);
    flow.draw();
    onDraw(root, (source += piece));
  }
  flow.finish();
  return root;
}

const hasDefinition = (source) => /\]:/.test(source);

test("every CommonMark example, character by character, ends as if drawn in one go", () => {
  assert.ok(examples.length > 640);
  for (const { markdown, number } of examples) {
    const source = markdown.replaceAll("→", "\t");
    assert.equal(stream(source).outerHTML, whole(source).outerHTML, `example ${number}`);
  }
});

test("every prefix of a CommonMark example reads as that prefix drawn in one go", () => {
  for (const { markdown, number } of examples) {
    const source = markdown.replaceAll("→", "\t");
    if (hasDefinition(source)) continue; // a definition changes what stands before it; the end puts it right
    stream(source, (root, sofar) => {
      if (sofar.endsWith("\r")) return;
      assert.equal(root.outerHTML, whole(sofar).outerHTML, `example ${number}: ${JSON.stringify(sofar)}`);
    });
  }
});

test("examples joined at random, in random pieces, end as if drawn in one go", () => {
  let seed = 7;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 400; round++) {
    const source = Array.from({ length: 6 }, () => examples[random(examples.length)].markdown).join(random(2) ? "\n" : "");
    const pieces = [];
    for (let at = 0, size; at < source.length; at += size) pieces.push(source.slice(at, at + (size = 1 + random(30))));
    assert.equal(stream(pieces).outerHTML, whole(source).outerHTML, JSON.stringify(source));
  }
});

for (const ending of ["\r\n", "\r"])
  test(`lines that end in ${JSON.stringify(ending)} are lines, even when a piece ends between`, () => {
    const source = "# a\n\n- b\n- c\n\n```\nd\n```\n".replaceAll("\n", ending);
    assert.equal(stream(source).outerHTML, whole(source).outerHTML);
  });

test("what was drawn of a growing list, table, fence or paragraph stays the same node", () => {
  const cases = [
    ["- item\n", "li"],
    ["1. item **b** `c`\n", "li"],
    ["code\n", "code", "```\n"],
    ["| cell | cell |\n", "tbody > tr", "| a | b |\n|---|---|\n"],
    ["some *words* and a\n", "em"],
    ["> quoted\n>\n", "blockquote > p"],
  ];
  for (const [line, selector, head = ""] of cases) {
    const root = div();
    const flow = new StreamMarkdown(root);
    flow.append(head + line.repeat(3));
    flow.draw();
    const first = root.querySelector(selector);
    flow.append(line.repeat(300));
    flow.draw();
    assert.equal(root.querySelector(selector), first, line);
  }
});

test("a list that turns out loose is drawn loose from its first item on", () => {
  const root = stream("- a\n- b\n\n- c\n");
  assert.equal(root.querySelectorAll("li > p").length, 3);
});

test("a reference defined at the end makes links of what was text before", () => {
  const root = stream("see [docs]\n\nmore\n\n[docs]: https://docs.example\n");
  assert.equal(root.querySelector("a").getAttribute("href"), "https://docs.example");
});

test("a definition holds for what comes after it, and not before it is written out", () => {
  const root = div();
  const flow = new StreamMarkdown(root);
  for (const letter of "[docs]: https://docs.example/guide\n\nsee [docs]\n\nmore\n\nand [docs] again") {
    flow.append(letter);
    flow.draw();
  }
  const links = [...root.querySelectorAll("a")].map((a) => a.getAttribute("href"));
  assert.deepEqual(links, Array(2).fill("https://docs.example/guide"));
});

test("text nested deeper than the parser goes is shown as source, not dropped", () => {
  const source = `${">".repeat(80)} deep`;
  assert.match(stream(source).textContent, /deep/);
  assert.equal(stream(source).outerHTML, whole(source).outerHTML);
});

test("raw HTML is text, an image is a link, and a link leads to the web, a mail address or the page", () => {
  const root = whole(
    "<b>x</b> ![alt *a*](https://e.example/x.png) [a](javascript:alert%281%29) [b](data:text/html,x) [c](//e.example) " +
      "[d](relative) [e](#top) [f](mailto:a@e.example) [g](HTTPS://e.example) <javascript:alert(1)>",
  );
  assert.equal(root.querySelector("b, img, script"), null);
  const links = [...root.querySelectorAll("a")].map((a) => [a.textContent, a.getAttribute("href"), a.getAttribute("rel")]);
  assert.deepEqual(links, [
    ["alt a", "https://e.example/x.png", "noopener noreferrer"],
    ["c", null, null],
    ["d", null, null],
    ["e", "#top", null],
    ["f", "mailto:a@e.example", "noopener noreferrer"],
    ["g", "HTTPS://e.example", "noopener noreferrer"],
  ]);
});

test("a citation mark links to its source, and is text where there is no such source", () => {
  const root = whole("claim\u2e281\u2e29 and\u2e289\u2e29", ["https://a.example"]);
  assert.equal(root.querySelector("sup > a").getAttribute("href"), "https://a.example");
  assert.equal(root.textContent, "claim[1] and\u2e289\u2e29");
});

test("no source assigns markup", () => {
  for (const file of readdirSync(new URL("../src", import.meta.url)))
    assert.doesNotMatch(readFileSync(new URL(`../src/${file}`, import.meta.url), "utf8"), /innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
});
