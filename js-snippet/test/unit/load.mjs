// Modules of the snippet, bundled together so that they share what they share in a page.
import { build } from "esbuild";

let loaded = 0;

export async function load(...names) {
  const { outputFiles } = await build({
    stdin: {
      contents: names.map((name) => `export * from "./${name}";`).join("\n"),
      resolveDir: new URL("../../src", import.meta.url).pathname,
      loader: "ts",
    },
    bundle: true,
    write: false,
    format: "esm",
  });
  // A module is evaluated once for an address; each test wants its own state.
  const source = `${outputFiles[0].text}\n// ${loaded++}`;
  return import(`data:text/javascript,${encodeURIComponent(source)}`);
}
