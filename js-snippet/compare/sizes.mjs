// What a bundle gains by each tracker, compressed.
import { brotli, gzip, row } from "../size.mjs";
import { bundles } from "./bundles.mjs";

console.log(row());
for await (const [name, bytes] of bundles()) {
  console.log(row(name, bytes, { gzip: gzip(bytes).length, brotli: brotli(bytes).length }));
}
