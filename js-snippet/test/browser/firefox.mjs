// A Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi), which it speaks itself.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import WebSocket from "ws";

/** Starts one with `preferences` beside those that keep it from asking its maker for anything. */
export async function startFirefox(preferences = {}) {
  const folder = mkdtempSync(join(tmpdir(), "weir-firefox-"));
  const quiet = {
    "app.normandy.enabled": false,
    "app.update.enabled": false,
    "browser.newtabpage.enabled": false,
    "browser.shell.checkDefaultBrowser": false,
    "captivedetect.canonicalURL": "",
    "datareporting.policy.dataSubmissionEnabled": false,
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": false,
  };
  const lines = Object.entries({ ...quiet, ...preferences }).map((pair) => `user_pref(${pair.map((part) => JSON.stringify(part)).join(", ")});\n`);
  writeFileSync(join(folder, "user.js"), lines.join(""));
  const options = ["--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", "0"];
  // A process group of its own, so that its children end with it.
  const child = spawn(process.env.FIREFOX, options, { stdio: ["ignore", "ignore", "pipe"], detached: true, env: { ...process.env, HOME: folder } });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const kill = async () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  try {
    const address = await new Promise((resolve, reject) => {
      createInterface(child.stderr).on("line", (line) => {
        const found = /WebDriver BiDi listening on (ws:\S+)/.exec(line);
        if (found) resolve(found[1]);
      });
      ended.then((code) => reject(new Error(`firefox ended with ${code}`)));
    });
    const command = await connect(`${address}/session`);
    const { capabilities } = await command("session.new", { capabilities: {} });
    return {
      version: capabilities.browserVersion,
      /** Opens a tab; `preload`, a function, runs in each of its pages before their scripts. */
      async tab(preload) {
        const { context } = await command("browsingContext.create", { type: "tab" });
        if (preload) await command("script.addPreloadScript", { functionDeclaration: `${preload}`, contexts: [context] });
        return {
          goto: (url) => command("browsingContext.navigate", { context, url, wait: "complete" }),
          async evaluate(action) {
            const { result, exceptionDetails } = await command("script.evaluate", {
              expression: `(${action})()`,
              awaitPromise: true,
              target: { context },
            });
            if (exceptionDetails) throw new Error(exceptionDetails.text);
            return result.value;
          },
          close: () => command("browsingContext.close", { context }),
        };
      },
      stop: kill,
    };
  } catch (error) {
    await kill();
    throw error;
  }
}

/** Commands over a connection, each answered with its result. */
async function connect(address) {
  const socket = new WebSocket(address);
  const pending = new Map();
  socket.on("message", (data) => {
    const { id, type, result, error, message } = JSON.parse(data);
    const waits = pending.get(id);
    pending.delete(id);
    if (type === "success") waits?.resolve(result);
    else waits?.reject(new Error(`${error}: ${message}`));
  });
  // Broken when the browser is ended.
  socket.on("error", () => {});
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  let last = 0;
  return (method, params) =>
    new Promise((resolve, reject) => {
      pending.set(++last, { resolve, reject });
      socket.send(JSON.stringify({ id: last, method, params }));
    });
}
