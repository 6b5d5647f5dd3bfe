import assert from "node:assert/strict";
import { test } from "node:test";

import { JsonPrinter } from "../src/json.js";

const print = (pieces) => {
  const printer = new JsonPrinter();
  return [...pieces].map((piece) => printer.feed(piece)).join("");
};

for (const value of [{}, [], { a: {} , b: [] }, { city: "Zürich 😀", n: [1, 2.5, -1e9, null, true], deep: { x: [{ y: "a\"b\\n{[,:" }] } }, "text", 7])
  test(`${JSON.stringify(value)} is indented as JSON.stringify does, however it is cut`, () => {
    const text = JSON.stringify(value);
    assert.equal(print(text), JSON.stringify(value, null, 2));
    assert.equal(print([text]), JSON.stringify(value, null, 2));
    assert.equal(print([JSON.stringify(value, null, 7)]), JSON.stringify(value, null, 2));
  });

test("a number that JavaScript cannot hold keeps its digits", () => {
  assert.equal(print(['{"id":12345678901234567890.10}']), '{\n  "id": 12345678901234567890.10\n}');
});

test("half a value is shown as far as it goes", () => {
  assert.equal(print(['{"path":"/tmp/a', 'b", "lines": [1']), '{\n  "path": "/tmp/ab",\n  "lines": [\n    1');
});
