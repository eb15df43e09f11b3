// One weir, one proxy before it and one Chromium for all specs; a site of its own for each.
import { eventually, startBrowser, startSite, startWeir } from "../../../tests/browser/stage.mjs";
import { startProxy } from "../../../tests/browser/proxy.mjs";

export const weir = await startWeir();
// SCRIPTS=dist takes the snippet as last built, not as built into weir.
export const proxy = await startProxy(weir.url, process.env.SCRIPTS && new URL(`../../${process.env.SCRIPTS}/`, import.meta.url));
export const browser = await startBrowser();
const sites = [];

export async function stop() {
  await browser.close();
  await Promise.all(sites.map((site) => site.stop()));
  await proxy.stop();
  await weir.stop();
}

/** Serves `html`, a text or a function of the path, from an origin of its own. */
export async function serve(html, headers) {
  const site = await startSite(html, headers);
  sites.push(site);
  return site;
}

export const tag = (attributes = "", file = "t.js") => `<script defer src="${proxy.url}/${file}" ${attributes}></script>`;

/**
 * Opens a page of another origin that embeds the snippet. `errors` gathers what reached the page,
 * `warnings` what the console said.
 */
export async function open(options = {}) {
  const { attributes, file, head = "", body = "<p>Hello</p>", path = "/", headers, init, site: given } = options;
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>${head}${tag(attributes, file)}<body>${body}</body></html>`;
  const site = given ?? (await serve(html, headers));
  const context = options.context ?? (await browser.newContext());
  const page = await context.newPage();
  const errors = [];
  const warnings = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
  if (init) await page.addInitScript(init);
  await page.goto(site.url + path);
  return { page, site, context, errors, warnings, ...watch(site) };
}

/** What arrives of a site. */
export function watch(site) {
  const accepted = (type) => proxy.accepted(site.url).filter((event) => event.event_type === type);
  return {
    accepted,
    /** Events of a type that the gateway has accepted, once there are `count`. */
    arrived: (type, count = 1) =>
      eventually(`${count} ${type} of ${site.url}`, () => accepted(type).length >= count && accepted(type)),
    /** Waits until all that was told so far has arrived; then what has not is not coming. */
    async settled(page) {
      // A view inside the document is told after 50 ms, or 500 more on a page that is never idle.
      await page.waitForTimeout(700);
      await page.evaluate(() => new Promise((callback) => (weir.track("marker", { callback }), weir.flush())));
    },
  };
}
