import assert from "node:assert/strict";
import { test } from "node:test";

import { Session } from "../src/session.js";

function listening() {
  const asked = [];
  const heard = [];
  const session = new Session(() => asked.push("snapshot"));
  session.listen((op) => heard.push(op));
  return { session, asked, heard };
}

test("operations reach the views in order", () => {
  const { session, asked, heard } = listening();
  session.receive({ q: 1, ops: [["open", 0, "text", {}], ["add", 0, "Hello"]] });
  session.receive({ q: 2, ops: [["add", 0, " there"], ["close", 0]] });
  assert.deepEqual(heard.slice(1).map(([name]) => name), ["open", "add", "add", "close"]);
  assert.deepEqual(asked, []);
});

test("a missing message is asked for once, and what comes meanwhile is shown", () => {
  const { session, asked, heard } = listening();
  session.receive({ q: 3, ops: [["add", 0, "late"]] });
  session.receive({ q: 5, ops: [["add", 0, "r"]] });
  assert.deepEqual(asked, ["snapshot"]);
  assert.deepEqual(heard.at(-1), ["add", 0, "r"]);
});

test("a snapshot replaces everything, and older messages are ignored", () => {
  const { session, heard } = listening();
  session.receive({ q: 2, ops: [["add", 0, "half"]] });
  const block = { index: 0, type: "text", info: {}, text: "whole", cites: [], closed: true };
  session.receive({ q: 4, snapshot: { blocks: [block], state: null, footer: [] } });
  session.receive({ q: 3, ops: [["add", 0, "again"]] });
  assert.deepEqual(heard.slice(-4), [["reset"], ["open", 0, "text", {}], ["add", 0, "whole"], ["close", 0]]);
});

test("a view that comes late is told everything", () => {
  const { session } = listening();
  session.receive({ q: 1, ops: [["open", 0, "text", {}], ["cite", 0, { title: "t", url: "" }], ["add", 0, "a"], ["add", 0, "b"]] });
  const late = [];
  session.listen((op) => late.push(op));
  assert.deepEqual(late, [["reset"], ["open", 0, "text", {}], ["cite", 0, { title: "t", url: "" }], ["add", 0, "ab"]]);
});

test("silence after the start is taken for a lost first message", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { session, asked } = listening();
  session.expect(500);
  t.mock.timers.tick(500);
  assert.deepEqual(asked, ["snapshot"]);
});

test("when the answer is lost too, it is asked for again after a while", (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const { session, asked } = listening();
  for (const [q, time] of [[2, 0], [3, 4000], [4, 6000], [5, 7000]]) {
    now = time;
    session.receive({ q, ops: [["add", 0, "x"]] });
  }
  assert.equal(asked.length, 2);
  session.receive({ q: 6, snapshot: { blocks: [], state: null, footer: [] } });
  now = 20000;
  session.receive({ q: 7, ops: [["open", 0, "text", {}]] });
  assert.equal(asked.length, 2);
});
