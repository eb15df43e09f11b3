// Stands between pages and the gateway: writes down what passes, and goes wrong where a test says so.
import { existsSync, readFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";

const read = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
};

/** Forwards everything to `target`, but for scripts that are in the folder `scripts`. */
export async function startProxy(target, scripts) {
  const passed = [];
  const faults = new Map();

  const forward = ({ method, url, headers, body }) =>
    new Promise((resolve, reject) => {
      const onward = ask(target + url, { method, headers }, async (answer) =>
        resolve({ status: answer.statusCode, headers: answer.headers, body: await read(answer) }),
      );
      onward.on("error", reject);
      onward.end(body);
    });

  const local = (url) => {
    const file = scripts && new URL(`.${url}`, scripts);
    const headers = { "content-type": "text/javascript", "access-control-allow-origin": "*" };
    return file && existsSync(file) && url.endsWith(".js") ? { status: 200, headers, body: readFileSync(file) } : undefined;
  };

  const server = createServer(async (incoming, response) => {
    const { method, url, headers } = incoming;
    try {
      const one = { method, url, headers, body: await read(incoming), at: performance.now() };
      passed.push(one);
      const fault = url.startsWith("/collect") && faults.get(headers.origin);
      const answer = await (fault ? fault(one, () => forward(one)) : local(url) ?? forward(one));
      one.status = answer?.status ?? 0;
      // Without an answer the connection breaks.
      if (!answer) return response.destroy();
      response.writeHead(answer.status, answer.headers);
      response.end(answer.body);
    } catch {
      response.destroy();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const of = (origin) => passed.filter(({ headers, url }) => headers.origin === origin && url.startsWith("/collect"));
  const events = ({ body }) => {
    const { events, ...envelope } = JSON.parse(body);
    return events.map((event) => ({ ...envelope, ...event }));
  };
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Requests to the collect route by pages of `origin`, in order. */
    requests: of,
    /** Events of `origin` that were answered 2xx, as often as they were. */
    accepted: (origin) => of(origin).filter(({ status }) => status >= 200 && status < 300).flatMap(events),
    /** Events of `origin` that came by, accepted or not. */
    attempted: (origin) => of(origin).filter(({ method }) => method === "POST").flatMap(events),
    /**
     * Answers requests of pages of `origin` by `fault(request, forward)`: an answer, that of
     * `forward()` or another, or nothing, which breaks the connection.
     */
    break: (origin, fault) => faults.set(origin, fault),
    mend: (origin) => faults.delete(origin),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An answer as the gateway refuses, readable by pages of other origins. */
export const refusal = (status, retryAfter) => ({
  status,
  headers: {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Retry-After",
    ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
  },
  body: "",
});
