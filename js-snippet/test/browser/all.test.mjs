// Real pages in real browsers, against a real gateway behind a proxy that can fail.
import { after, describe } from "node:test";
import { stop } from "./stage.mjs";

// One suite around all: what they share ends with the last of them.
describe("snippet", async () => {
  after(stop);
  for (const name of ["pages", "navigation", "interactions", "transport", "storage", "robustness", "measures", "frameworks", "firefox"]) {
    await import(`./specs/${name}.mjs`);
  }
});
