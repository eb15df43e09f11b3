// A Chromium that nobody drives: it opens an address and does what any visitor's does.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function startPlainChromium(url) {
  const folder = mkdtempSync(join(tmpdir(), "weir-chromium-"));
  const options = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run", `--user-data-dir=${folder}`];
  // A process group of its own, so that its children end with it.
  const child = spawn(process.env.CHROMIUM, [...options, url], { stdio: "ignore", detached: true });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return {
    /** Ends all its processes at once, as a crash does. */
    async stop() {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await ended;
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}
