// Makes isbot.txt of the patterns of the npm package isbot (Unlicense), and tells its verdicts.
//
//   npm ci && node isbot.mjs             writes isbot.txt beside this file
//   node isbot.mjs verdicts [FILE..]     agents of crawler-user-agents, then those in the first
//                                        column of the files: verdict of isbot, a tab, the agent
//
// Rust's regex has no look-around, which is what keeps it linear. Every look-around in the patterns
// is negative and stands at the start or the end, so each is the same as plain alternatives: what
// may stand there instead of the words that may not. `negative` writes them out.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

import { isbot, list } from "isbot";

const require = createRequire(import.meta.url);

/** A character as itself, in a class and outside. */
const escaped = (c) => (/[\\^$.*+?()[\]{}|\/-]/.test(c) ? `\\${c}` : c);

/** Words as a tree: character to tree; an empty tree ends a word. */
function tree(words) {
  const root = new Map();
  for (const word of words) {
    let node = root;
    for (const c of word) {
      if (!node.has(c)) node.set(c, new Map());
      node = node.get(c);
    }
    if (node.size > 0) throw new Error(`a word starts with ${word}`);
  }
  return root;
}

/** What may follow where none of the words may: the end, another character, or a word broken off. */
function after(node) {
  const begun = [...node].filter(([, rest]) => rest.size > 0);
  const others = `[^${[...node.keys()].map(escaped).join("")}]`;
  return `(?:$|${[others, ...begun.map(([c, rest]) => escaped(c) + after(rest))].join("|")})`;
}

/** The same, from right to left. */
function before(node) {
  const begun = [...node].filter(([, rest]) => rest.size > 0);
  const others = `[^${[...node.keys()].map(escaped).join("")}]`;
  return `(?:^|${[others, ...begun.map(([c, rest]) => before(rest) + escaped(c))].join("|")})`;
}

function words(text) {
  const inner = text.replace(/^\(\?:(.*)\)$/, "$1");
  if (/[\\()[\]{}*+?^$.]/.test(inner)) throw new Error(`no plain words: ${text}`);
  return inner.split("|");
}

/** A pattern without look-arounds. */
function negative(pattern) {
  let plain = pattern;
  const behind = plain.match(/^\(\?<!([^()]*)\)/);
  if (behind) {
    const reversed = words(behind[1]).map((word) => [...word].reverse().join(""));
    plain = before(tree(reversed)) + plain.slice(behind[0].length);
  }
  const ahead = plain.match(/\(\?!((?:\(\?:[^()]*\))|[^()]*)\)$/);
  if (ahead) plain = plain.slice(0, ahead.index) + after(tree(words(ahead[1])));
  if (/\(\?[<!=]/.test(plain)) throw new Error(`a look-around is left: ${pattern}`);
  // In a class a hyphen behind `\d` stands for itself; Rust wants it said.
  return plain.replaceAll("\\d-.", "\\d\\-.").replaceAll("[^ ]{", "(?u:[^ ]){");
}

function generate() {
  const { version } = require("isbot/package.json");
  const source = JSON.stringify(list);
  const head = [
    "# Patterns of agents that are programs, for a case-insensitive search without Unicode.",
    "# Made by isbot.mjs; do not edit, write bots.tsv or people.tsv instead.",
    `# Source: npm package isbot ${version}, https://github.com/omrilotan/isbot, Unlicense.`,
    `# SHA-256 of its list as JSON: ${createHash("sha256").update(source).digest("hex")}`,
  ];
  const lines = [...head, ...list.map(negative)].map((line) => `${line}\n`);
  writeFileSync(new URL("isbot.txt", import.meta.url), lines.join(""));
}

function verdicts(files) {
  const path = new URL("node_modules/crawler-user-agents/crawler-user-agents.json", import.meta.url);
  const crawlers = JSON.parse(readFileSync(path, "utf8"));
  const agents = crawlers.flatMap((crawler) => crawler.instances ?? []).map((a) => ["crawler", a]);
  for (const file of files) {
    const lines = readFileSync(file, "utf8").split("\n");
    const rows = lines.filter((line) => line !== "" && !line.startsWith("#"));
    agents.push(...rows.map((line) => ["panel", line.split("\t")[0]]));
  }
  for (const [set, agent] of agents) {
    if (/[\t\n]/.test(agent)) throw new Error("an agent holds a tab");
    console.log(`${set}\t${isbot(agent)}\t${agent}`);
  }
}

if (process.argv[2] === "verdicts") verdicts(process.argv.slice(3));
else generate();
