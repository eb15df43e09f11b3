// Builds dist/ from src/, and with --check proves that what is committed equals a fresh build and
// fits its budget.
import { build } from "esbuild";
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { createHash } from "node:crypto";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { minify } from "terser";

const SCRIPTS = [{ name: "t.js", entry: "src/t.ts", gzip: 3_800, brotli: 3_400 }];

// Names that never leave the script. Nothing of the wire, the page or the browser is among them.
const PRIVATE = /^(trackAs|hasOptedOut|flushLast|forget|restart|endpoint|storage|auto)$/;

const brotli = (bytes) =>
  brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });

async function script(entry) {
  const bundled = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "iife",
    target: "es2021",
    charset: "utf8",
    minifySyntax: true,
    legalComments: "none",
  });
  const { code } = await minify(bundled.outputFiles[0].text, {
    ecma: 2021,
    mangle: { properties: { regex: PRIVATE } },
    compress: { passes: 4, unsafe: true, ecma: 2021, unsafe_arrows: true },
    format: { ecma: 2021, comments: false },
  });
  return Buffer.from(code + "\n");
}

const isCheck = process.argv.includes("--check");
mkdirSync("dist", { recursive: true });
let failed = false;
const integrity = {};
console.log("file         raw   gzip (budget)  brotli (budget)");
for (const { name, entry, gzip, brotli: most } of SCRIPTS) {
  const plain = await script(entry);
  const files = { [name]: plain, [`${name}.gz`]: gzipSync(plain, { level: 9 }), [`${name}.br`]: brotli(plain) };
  integrity[name] = `sha384-${createHash("sha384").update(plain).digest("base64")}`;
  const [gz, br] = [files[`${name}.gz`].length, files[`${name}.br`].length];
  console.log(`${name.padEnd(10)} ${String(plain.length).padStart(5)}  ${gz} (${gzip})    ${br} (${most})`);
  if (gz > gzip || br > most) {
    console.error(`${name} is over its budget`);
    failed = true;
  }
  if (isCheck) {
    // Compressed bytes differ between versions of zlib; what they hold must not.
    if (!readFileSync(`dist/${name}`).equals(plain)) {
      console.error(`dist/${name} is not what src/ builds: run npm run build`);
      failed = true;
    }
  } else {
    for (const [file, bytes] of Object.entries(files)) writeFileSync(`dist/${file}`, bytes);
  }
}
const manifest = `${JSON.stringify(integrity, null, 2)}\n`;
if (!isCheck) writeFileSync("dist/integrity.json", manifest);
else if (readFileSync("dist/integrity.json", "utf8") !== manifest) {
  console.error("dist/integrity.json is not what src/ builds: run npm run build");
  failed = true;
}
process.exitCode = failed ? 1 : 0;
