// A real weir, a real Chromium, and pages served beside them.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const PATIENCE_MS = 30_000;

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createSocket();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

export async function eventually(what, look, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** `settings` makes further variables of the process of the address that it will have. */
export async function startWeir(settings = () => ({})) {
  const folder = mkdtempSync(join(tmpdir(), "weir-browser-"));
  const [listen, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const parameters = ["up", "--data", join(folder, "data"), "--listen", listen, "--admin", admin];
  const child = spawn(process.env.WEIR_BIN, parameters, {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
    env: { PATH: process.env.PATH, HOME: folder, WEIR_EMBEDDED__MIN_FREE_BYTES: "0", WEIR_LOG__LEVEL: "warn", ...settings(`http://${listen}`) },
  });
  await eventually("weir", async () => {
    if (child.exitCode !== null) throw new Error(`weir ended with ${child.exitCode}`);
    return fetch(`http://${listen}/readyz`).then((answer) => answer.ok, () => false);
  });
  return {
    url: `http://${listen}`,
    admin: `http://${admin}`,
    /** Documents of an event type, oldest first. */
    async events(type) {
      const query = { query: { term: { event_type: type } }, size: 100, sort: [{ "@timestamp": "asc" }] };
      const answer = await fetch(`http://${admin}/web-events-*/_search`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(query),
      });
      const body = await answer.json();
      if (!answer.ok) throw new Error(JSON.stringify(body));
      return body.hits.hits.map((hit) => hit._source);
    },
    async stop() {
      child.kill();
      await new Promise((resolve) => (child.exitCode === null ? child.once("exit", resolve) : resolve()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A site whose every path is `html`, or what `html` makes of the path in its own time, with `headers`. */
export async function startSite(html, headers = {}) {
  const paths = [];
  const server = createServer(async (request, response) => {
    paths.push(request.url);
    const body = typeof html === "function" ? await html(request.url) : html;
    response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...headers });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** The paths that begin with `start` and were asked for, once there are `count`. */
    asked: (start, count = 1) =>
      eventually(`${start} to be asked for`, () => {
        const found = paths.filter((path) => path.startsWith(start));
        return found.length >= count && found;
      }),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

export const startBrowser = (...more) =>
  chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage", ...more] });
