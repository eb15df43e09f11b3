// Writes bodies.ts: every body that `weir setup --print ENGINE` prints as a literal of its type, and
// each once more with a fault, which the compiler must find.

import { writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";

const weir = process.env.WEIR_BIN;
const lines = ['import type { Elasticsearch, Opensearch } from "./types.js";', ""];
let count = 0;

// The paths of all members that can be spoiled.
function* members(value, path = []) {
  for (const [key, inner] of Object.entries(value)) {
    // What _meta holds is free, and names of fields are ours.
    if (key === "_meta") continue;
    if (inner !== null && typeof inner === "object") yield* members(inner, [...path, key]);
    else if (!Array.isArray(value)) yield [...path, key];
  }
}

function spoiled(body, path, spoil) {
  const copy = structuredClone(body);
  const holder = path.slice(0, -1).reduce((value, key) => value[key], copy);
  spoil(holder, path.at(-1));
  return copy;
}

function literal(type, body, isWrong) {
  if (isWrong) lines.push("// @ts-expect-error");
  lines.push(`export const body${(count += 1)}: ${type} = ${JSON.stringify(body)};`);
}

let faults = 0;
for (const engine of ["elasticsearch", "opensearch"]) {
  const printed = execFileSync(weir, ["setup", "--print", engine], {
    encoding: "utf8",
    env: {
      WEIR_STORE: "http://localhost:9200",
      WEIR_SINK__RETENTION_DAYS: "90",
      WEIR_DATA_DIR: "unused",
    },
  });
  const requests = printed.trim().split("\n").map(JSON.parse);
  if (requests.length !== 10) throw new Error(`${engine}: ${requests.length} requests`);
  for (const { path, body } of requests) {
    const api = path.split("/")[1];
    const type = `${engine[0].toUpperCase()}${engine.slice(1)}["${api}"]`;
    literal(type, body, false);
    // The mappings repeat a few kinds of fields a hundred times.
    for (const member of [...members(body)].slice(0, 20)) {
      const rename = (holder, key) => {
        holder[`${key}_`] = holder[key];
        delete holder[key];
      };
      const retype = (holder, key) => (holder[key] = [{ wrong: true }]);
      for (const spoil of [rename, retype]) {
        literal(type, spoiled(body, member, spoil), true);
        faults += 1;
      }
    }
  }
}
writeFileSync(new URL("bodies.ts", import.meta.url), `${lines.join("\n")}\n`);
console.log(`${count - faults} bodies, and ${faults} that are wrong on purpose`);
