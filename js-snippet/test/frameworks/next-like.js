// A site that uses history as the app router of Next does: it wraps pushState and replaceState to
// keep its own state in every entry, puts its state into the first entry once it runs, changes the
// address while it renders and the title after it, and rewrites the query while a visitor filters.
const native = { pushState: history.pushState.bind(history), replaceState: history.replaceState.bind(history) };
for (const name of ["pushState", "replaceState"]) {
  history[name] = (data, unused, url) => native[name]({ ...data, router: true }, unused, url);
}

const TITLES = { "/": "Home", "/second": "Second", "/new": "New" };

/** Rendering takes its turns, as it does in React. */
function render(commit) {
  setTimeout(() => {
    commit();
    document.querySelector("h1").textContent = TITLES[location.pathname];
    queueMicrotask(() => (document.title = TITLES[location.pathname]));
  });
}

function navigate(url) {
  // The data of the page comes first, over the network, and with it where the address leads.
  fetch(`${url}?_rsc=1`).then(() => render(() => history.pushState({}, "", url === "/old" ? "/new" : url)));
}

const node = (name, attributes, text) => {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.textContent = text;
  return made;
};
const button = (id, clicked) => {
  const made = node("button", { id }, id);
  made.onclick = clicked;
  return made;
};
const link = (id, href) => {
  const made = node("a", { id, href }, id);
  made.onclick = (event) => (event.preventDefault(), navigate(href));
  return made;
};

document.getElementById("root").append(
  link("home", "/"), link("second", "/second"), link("old", "/old"),
  button("back", () => history.back()),
  button("filter", () => ["r", "re", "red"].forEach((text) => history.replaceState(null, "", `?color=${text}`))),
  button("own", () => weir.track("own", { props: { framework: "next-like" } })),
  node("h1", {}, ""),
);
addEventListener("popstate", () => render(() => {}));
history.replaceState({}, "", location.href);
render(() => {});
