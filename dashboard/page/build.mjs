// Builds ../dist from src/, and with --check proves that what is committed equals a fresh build and
// fits its budget.
import { build } from "esbuild";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** Bytes of all files together, compressed. */
const BUDGET = 55_000;

const { outputFiles } = await build({
  entryPoints: { app: "src/main.tsx", style: "src/style.css" },
  bundle: true,
  minify: true,
  write: false,
  outdir: "out",
  format: "iife",
  target: "es2022",
  charset: "utf8",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
});
const files = { "index.html": readFileSync("src/index.html") };
for (const { path, contents } of outputFiles) files[path.split("/").at(-1)] = Buffer.from(contents);
files["app.js.gz"] = gzipSync(files["app.js"], { level: 9 });

const isCheck = process.argv.includes("--check");
mkdirSync("../dist", { recursive: true });
let total = 0;
for (const [name, bytes] of Object.entries(files)) {
  const isCompressed = name.endsWith(".gz");
  if (!isCompressed) total += gzipSync(bytes, { level: 9 }).length;
  if (!isCheck) writeFileSync(`../dist/${name}`, bytes);
  // Compressed bytes differ between versions of zlib; what they hold must not.
  else if (!isCompressed && !readFileSync(`../dist/${name}`).equals(bytes)) {
    console.error(`dist/${name} is not what src/ builds: run npm run build`);
    process.exitCode = 1;
  }
}
console.log(`${total} bytes gzip of ${BUDGET}`);
if (total > BUDGET) process.exitCode = 1;
