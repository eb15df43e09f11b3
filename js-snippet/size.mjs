// How sizes are measured and printed, the same for our files and for others'.
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

export const gzip = (bytes) => gzipSync(bytes, { level: 9 });

export const brotli = (bytes) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });

/** A line of the table: of `bytes`, or the heading. */
export function row(name = "", bytes, budget = {}) {
  const cells = bytes
    ? [bytes.length, of(gzip(bytes).length, budget.gzip), of(brotli(bytes).length, budget.brotli)]
    : ["raw", "gzip (most)", "brotli (most)"];
  return name.padEnd(36) + cells.map((cell) => String(cell).padStart(16)).join("");
}

const of = (size, most) => (most ? `${size} (${most})` : size);
