// The send algorithm against a fetch that answers as the test says, by a clock that the test turns.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { load } from "./load.mjs";

let page, sent, answers;

/** Lets answers that are ready be heard. */
const settled = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};
const tick = async (ms) => {
  page.now += ms;
  mock.timers.tick(ms);
  await settled();
};

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0);
  sent = [];
  answers = [];
  page = { now: 0, hidden: false, onLine: true, beacons: [], beaconMost: Infinity, listeners: {} };
  const globals = {
    addEventListener: (type, listener) => (page.listeners[type] = listener),
    document: { get hidden() { return page.hidden; } },
    navigator: {
      get onLine() { return page.onLine; },
      sendBeacon: (_, body) => {
        const { events } = JSON.parse(body);
        return JSON.stringify(events).length <= page.beaconMost && !!page.beacons.push(events);
      },
    },
    performance: { now: () => page.now },
    Request: { prototype: { keepalive: false } },
    fetch: (_, { body, keepalive }) => {
      const { events } = JSON.parse(body);
      sent.push({ events, keepalive });
      const answer = answers.shift() ?? 204;
      if (answer === "pending") return new Promise(() => {});
      if (answer === "throws") throw new Error("patched");
      if (answer === 0) return Promise.reject(new TypeError("no network"));
      const { status = answer, after = null } = answer;
      return Promise.resolve({ status, headers: { get: () => after } });
    },
  };
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    page[`restore ${name}`] = () => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]);
  }
});

afterEach(() => {
  for (const [name, restore] of Object.entries(page)) if (name.startsWith("restore ")) restore();
  mock.timers.reset();
  mock.restoreAll();
});

async function open() {
  const queue = await load("queue");
  queue.open();
  const results = [];
  const add = (value, urgency = 1) => {
    queue.add([{ _event: {}, _text: JSON.stringify(value), _urgency: urgency, _callback: (result) => results.push([value, result]) }]);
  };
  return { ...queue, add, results };
}

const batches = () => sent.map(({ events }) => events);

test("events wait a second for company, urgent ones do not", async () => {
  const { add } = await open();
  add(1);
  add(2);
  await tick(999);
  assert.deepEqual(batches(), []);
  await tick(1);
  assert.deepEqual(batches(), [[1, 2]]);
  add(3);
  add(4, 2);
  assert.deepEqual(batches(), [[1, 2], [3, 4]]);
});

test("a request holds twenty events, or fifteen thousand characters", async () => {
  const { add, flush } = await open();
  for (let n = 0; n < 20; n++) add(n);
  assert.equal(sent[0].events.length, 20, "twenty go without waiting");
  for (let n = 0; n < 5; n++) add("x".repeat(7_000));
  flush();
  assert.deepEqual(sent.slice(1).map(({ events }) => events.length), [2, 2, 1]);
  add("x".repeat(40_000));
  flush();
  assert.equal(sent.at(-1).events.length, 1, "a large one goes alone");
});

test("a refusal that time can help brings the same events again, others none", async () => {
  const { add, flush, results } = await open();
  answers.push(503, 0, 204);
  add(1, 2);
  await settled();
  await tick(0);
  await tick(0);
  assert.deepEqual(batches(), [[1], [1], [1]]);
  answers.push(400);
  add(2, 2);
  await settled();
  await tick(60_000);
  assert.deepEqual(batches().slice(3), [[2]]);
  assert.deepEqual(results, [[1, "sent"], [2, "dropped"]]);
  flush();
  assert.equal(sent.length, 4);
});

test("Retry-After is waited for by everything", async () => {
  const { add } = await open();
  answers.push({ status: 429, after: "7" });
  add(1, 2);
  await settled();
  add(2, 2);
  await tick(6_999);
  assert.equal(sent.length, 1);
  await tick(1);
  assert.deepEqual(batches(), [[1], [1, 2]]);
});

test("a batch that is too large goes in halves, an event that is goes nowhere", async () => {
  const { add, flush, results } = await open();
  answers.push(413, 204, 413, 204, 413);
  for (const value of ["a", "b", "c", "d"]) add(value);
  flush();
  await settled();
  await settled();
  await tick(0);
  assert.deepEqual(batches(), [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c"], ["d"]]);
  assert.deepEqual(Object.fromEntries(results), { a: "sent", b: "sent", c: "sent", d: "dropped" });
});

test("keepalive bodies stay below the budget of their sum, and what is over goes without", async () => {
  const { add } = await open();
  answers.push("pending", "pending", "pending");
  for (let n = 0; n < 3; n++) add("x".repeat(20_000), 2);
  assert.deepEqual(sent.map(({ keepalive }) => keepalive), [true, true, false]);
});

test("the budget counts bytes, not characters, and is given back", async () => {
  const { add } = await open();
  answers.push("pending");
  add("ü".repeat(15_000), 2);
  add("ü".repeat(15_000), 2);
  assert.deepEqual(sent.map(({ keepalive }) => keepalive), [true, false]);
  await settled();
  const again = await open();
  again.add("ü".repeat(15_000), 2);
  await settled();
  again.add("ü".repeat(15_000), 2);
  assert.deepEqual(sent.slice(2).map(({ keepalive }) => keepalive), [true, true]);
});

test("after no answer the next try goes without keepalive, for others may have used it up", async () => {
  const { add } = await open();
  answers.push(0);
  add(1, 2);
  await settled();
  await tick(0);
  assert.deepEqual(sent.map(({ keepalive }) => keepalive), [true, false]);
});

test("leaving sends everything before it returns, and what may die with the page again", async () => {
  const { add, leave } = await open();
  answers.push(0, "pending");
  add(1, 2);
  await settled();
  await tick(0);
  add(2);
  leave();
  assert.deepEqual(sent.at(-1), { events: [1, 2], keepalive: true });
});

test("without fetch that outlives the page the beacon takes it, in halves if it must", async () => {
  delete Request.prototype.keepalive;
  page.beaconMost = 13;
  const { add, leave, results } = await open();
  for (const value of ["aaa", "bbb", "ccc"]) add(value);
  leave();
  assert.deepEqual(page.beacons, [["aaa"], ["bbb", "ccc"]]);
  await tick(0);
  assert.equal(results.length, 0, "the beacon promises nothing");
});

test("a fetch that throws is a failure, and on leaving the beacon's turn", async () => {
  const { add, leave } = await open();
  mock.method(Math, "random", () => 1);
  answers.push("throws", "throws");
  add(1, 2);
  await settled();
  assert.deepEqual(page.beacons, []);
  leave();
  assert.deepEqual(page.beacons, [[1]]);
});

test("on a hidden page nothing waits, but for a gateway that asked for patience", async () => {
  const { add } = await open();
  page.hidden = true;
  add(1);
  assert.deepEqual(batches(), [[1]]);
  answers.push({ status: 503, after: "5" });
  add(2);
  await settled();
  add(3);
  assert.equal(sent.length, 2);
  await tick(5_000);
  assert.deepEqual(batches(), [[1], [2], [2, 3]]);
});

test("the oldest of more than a hundred go, and are told so", async () => {
  const { add, results } = await open();
  answers.push({ status: 503, after: "60" });
  for (let n = 0; n < 130; n++) add(n, n ? 1 : 2), await settled();
  await tick(0);
  assert.deepEqual(results, Array.from({ length: 30 }, (_, n) => [n, "dropped"]));
});

test("what is sent again after coming online does not wait", async () => {
  const { add } = await open();
  mock.method(Math, "random", () => 1);
  page.onLine = false;
  answers.push(0);
  add(1, 2);
  await settled();
  page.onLine = true;
  page.listeners.online();
  assert.equal(sent.length, 2);
});
