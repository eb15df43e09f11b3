// Which of the browser's means each tracker's bundle names, as a table for docs/snippet.md. What a
// tracker loads later from elsewhere is not in its bundle.
import { bundles } from "./bundles.mjs";

const MEANS = {
  "the Navigation API, which leaves `history` alone": /currententrychange/,
  "`history.pushState`, wrapped": /pushState/,
  "pages out of the back/forward cache (`pageshow`)": /pageshow/,
  "prerendered pages (`document.prerendering`)": /prerendering/,
  "reading only while focused (`document.hasFocus`)": /hasFocus/,
  "links inside shadow roots (`composedPath`)": /composedPath/,
  "requests that outlive the page (`keepalive`)": /keepalive/,
  "the beacon (`sendBeacon`)": /sendBeacon/,
  "the gateway's wish to be left alone (`Retry-After`)": /retry-after/i,
  "one page of several takes what is stored (`navigator.locks`)": /\.locks/,
  "Global Privacy Control": /globalPrivacyControl/,
  "client hints (`getHighEntropyValues`)": /getHighEntropyValues/,
  "web vitals (`largest-contentful-paint`)": /largest-contentful-paint/,
  "rejected promises (`unhandledrejection`)": /unhandledrejection/,
};

const columns = [];
for await (const [name, bytes] of bundles()) {
  if (/init, track|web-vitals/.test(name)) continue;
  columns.push([name, String(bytes)]);
}
const line = (cells) => console.log(`| ${cells.join(" | ")} |`);
line(["names", ...columns.map(([name]) => name)]);
line(["---", ...columns.map(() => "---")]);
for (const [means, pattern] of Object.entries(MEANS)) {
  line([means, ...columns.map(([, code]) => (pattern.test(code) ? "yes" : ""))]);
}
