import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Bar } from "../src/bar.js";
import { document } from "./dom.mjs";

function shown(states) {
  mock.timers.enable({ apis: ["setInterval", "Date"] });
  const bar = new Bar(document, () => {}, null);
  document.body.append(bar.element);
  const texts = [];
  for (const [state, seconds] of states) {
    bar.state(state);
    for (let i = 0; i < seconds; i++) mock.timers.tick(1000);
    texts.push(bar.element.querySelector(".cnb-state").textContent);
  }
  const spoken = bar.element.querySelector(".cnb-spoken").textContent;
  mock.timers.reset();
  return { texts, spoken };
}

test("the wait for the next try is counted down, and spoken once", () => {
  const text = "rate limit: trying again in about 12 s (try 2)";
  const state = { phase: "retrying", text, seconds: 12 };
  assert.deepEqual(shown([[state, 0], [state, 5], [state, 20]]).texts, [
    text, "rate limit: trying again in 7 s (try 2)", "rate limit: trying again in 0 s (try 2)",
  ]);
  assert.equal(shown([[state, 5]]).spoken, text);
});

test("a slow first token says how long it takes, and the count ends with the wait", () => {
  const waiting = { phase: "waiting", text: "Waiting for the first token" };
  assert.deepEqual(shown([[waiting, 2], [waiting, 7], [{ phase: "writing", text: "Writing" }, 9]]).texts, [
    "Waiting for the first token", "Waiting for the first token (7 s)", "Writing",
  ]);
});
