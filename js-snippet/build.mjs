// Builds dist/ from src/. With --check it proves that what is committed equals a fresh build. Either
// way it prints a table of sizes, and fails where a file is over its budget.
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { minify } from "terser";
import { brotli, gzip, row } from "./size.mjs";

/** Files for pages, with the bytes that they may have compressed. */
const SCRIPTS = [
  { name: "t.core.js", entry: "src/t.core.ts", budget: { gzip: 2_560 } },
  { name: "t.js", entry: "src/t.ts", budget: { gzip: 3_800, brotli: 3_400 } },
  { name: "t.full.js", entry: "src/t.full.ts", budget: { gzip: 4_500, brotli: 4_000 } },
];
const MODULE = { name: "index.js", entry: "src/index.ts" };

/** What a site's bundle gains by the module, used for page views and own events. */
const CONSUMER = 'import { init, track } from "./dist/index.js"; init({ site: "shop" }); track("signup");';
const CONSUMER_BUDGET = { gzip: 2_560 };

async function bundle(source, format) {
  const { outputFiles } = await build({
    ...source,
    bundle: true,
    write: false,
    format,
    target: "es2021",
    charset: "utf8",
    minifySyntax: true,
    legalComments: "none",
  });
  const { code } = await minify(outputFiles[0].text, {
    ecma: 2021,
    // Strict by itself, a script too: nothing in it depends on "use strict".
    module: true,
    toplevel: true,
    // Names that begin with an underscore never leave the file.
    mangle: { properties: { regex: /^_/ } },
    compress: { passes: 4, unsafe: true, unsafe_arrows: true, unsafe_methods: true, pure_getters: true, hoist_funs: true, lhs_constants: false, booleans_as_integers: true },
    // Chromium compiles the whole file while it loads, beside the page, and no function of it when it
    // is first called, in the page's way (https://v8.dev/blog/explicit-compile-hints).
    format: { comments: /__PURE__/, preamble: format === "iife" ? "//# allFunctionsCalledOnLoad" : undefined },
  });
  return Buffer.from(`${code}\n`);
}

/** The declarations of the module: what it exports, and the types that it names. */
function declarations() {
  const folder = mkdtempSync(join(tmpdir(), "weir-types-"));
  const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", folder];
  execFileSync("node_modules/.bin/tsc", options, { stdio: "inherit" });
  const read = (name) => [name, readFileSync(join(folder, name))];
  const files = Object.fromEntries([read("index.d.ts"), read("types.d.ts")]);
  rmSync(folder, { recursive: true });
  return files;
}

let failed = false;
const fail = (message) => {
  console.error(message);
  failed = true;
};

function measure(name, bytes, budget, sizes = { gzip: gzip(bytes).length, brotli: brotli(bytes).length }) {
  console.log(row(name, bytes, sizes, budget));
  for (const [form, most] of Object.entries(budget)) {
    if (sizes[form] > most) fail(`${name} is over its budget: ${sizes[form]} bytes ${form}, ${most} allowed`);
  }
}

const files = declarations();
const integrity = {};
for (const { name, entry } of SCRIPTS) {
  files[name] = await bundle({ entryPoints: [entry] }, "iife");
  integrity[name] = `sha384-${createHash("sha384").update(files[name]).digest("base64")}`;
}
files[MODULE.name] = await bundle({ entryPoints: [MODULE.entry] }, "esm");
files["integrity.json"] = Buffer.from(`${JSON.stringify(integrity, null, 2)}\n`);

const isCheck = process.argv.includes("--check");
for (const [name, bytes] of Object.entries(files)) {
  const path = join("dist", name);
  const forms = SCRIPTS.some((script) => script.name === name)
    ? { ".gz": [gzip, gunzipSync], ".br": [brotli, brotliDecompressSync] }
    : {};
  if (!isCheck) {
    writeFileSync(path, bytes);
    for (const [end, [compress]] of Object.entries(forms)) writeFileSync(path + end, compress(bytes));
    continue;
  }
  const isCurrent = (path, read) => existsSync(path) && read(readFileSync(path)).equals(bytes);
  if (!isCurrent(path, (found) => found)) fail(`${path} is not what src/ builds: run npm run build`);
  // Compressed bytes differ between versions of zlib; what they hold must not.
  for (const [end, [, inflate]] of Object.entries(forms)) {
    if (!isCurrent(path + end, inflate)) fail(`${path}${end} is not what src/ builds: run npm run build`);
  }
}

console.log(row());
for (const { name, budget } of SCRIPTS) {
  // As served: of the files that are built into the gateway.
  const size = (end) => readFileSync(join("dist", name + end)).length;
  measure(name, files[name], budget, { gzip: size(".gz"), brotli: size(".br") });
}
const stdin = { contents: CONSUMER, resolveDir: "." };
measure("{ init, track }", await bundle({ stdin }, "esm"), CONSUMER_BUDGET);
process.exitCode = failed ? 1 : 0;
