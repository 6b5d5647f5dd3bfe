import assert from "node:assert/strict";
import { test } from "node:test";

import { Frames } from "../src/frames.js";

const busy = (milliseconds) => {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
};
const painted = () => new Promise((done) => setTimeout(done, 20));

test("a page that draws slowly says how often it has time to, and again when it is quick", async () => {
  globalThis.requestAnimationFrame = (then) => setTimeout(then);
  const paces = [];
  let cost = 40;
  const frames = new Frames(() => busy(cost), (milliseconds) => paces.push(milliseconds));
  frames.request();
  await painted();
  await painted();
  await painted();
  cost = 0;
  frames.request(true);
  await painted();
  assert.equal(paces.length, 2);
  assert.ok(paces[0] >= 160, `${paces[0]}`);
  assert.equal(paces[1], 0);
});
