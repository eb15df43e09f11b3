// Real pages in a real browser, against a real gateway behind a proxy that can fail.
import { after } from "node:test";
import { stop } from "./stage.mjs";

after(stop);
for (const name of ["pages", "navigation", "interactions", "transport", "storage", "robustness", "measures"]) {
  await import(`./specs/${name}.mjs`);
}
