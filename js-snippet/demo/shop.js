// The demo shop: a single page whose address changes, as in any framework.
"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const pages = {
    home: { title: "Welcome", text: "Two kinds of water, one cart. Click around." },
    still: { title: "Still water", text: "It runs deep.", price: 1.5 },
    sparkling: { title: "Sparkling water", text: "It makes a noise.", price: 1.8 },
    cart: { title: "Your cart" },
  };
  const cart = [];
  let page = "home";

  const node = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // Lists what the snippet sends, with the gateway's answer.
  const { fetch } = window;
  window.fetch = async (...parameters) => {
    const answer = await fetch(...parameters);
    for (const { event_type } of JSON.parse(parameters[1].body).events) {
      element("sent").prepend(node("li", {}, `${event_type}: ${answer.status}`));
    }
    while (element("sent").children.length > 8) element("sent").lastChild.remove();
    return answer;
  };

  const total = () => cart.reduce((sum, item) => sum + pages[item].price, 0);

  function show() {
    const { title, text, price } = pages[page];
    const main = element("main");
    main.replaceChildren(node("h2", {}, title));
    if (text) main.append(node("p", {}, text));
    if (price) {
      const button = node("button", { type: "button", id: "add" }, `Add to cart, ${price.toFixed(2)} EUR`);
      button.addEventListener("click", () => {
        cart.push(page);
        element("count").textContent = cart.length;
        weir.track("add_to_cart", { props: { product: page, price } });
      });
      main.append(button);
    }
    if (page === "cart") {
      main.append(node("p", {}, cart.length ? `${cart.length} bottles, ${total().toFixed(2)} EUR` : "It is empty."));
      const button = node("button", { type: "button", id: "buy" }, "Buy");
      button.disabled = cart.length === 0;
      button.addEventListener("click", () => {
        weir.track("purchase", { props: { items: cart.length }, revenue: { amount: total(), currency: "EUR" } });
        cart.length = 0;
        element("count").textContent = 0;
        show();
      });
      main.append(button);
    }
    element("count").textContent = cart.length;
    document.title = `${title} · Weir demo shop`;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-page]");
    if (!link) return;
    event.preventDefault();
    page = link.dataset.page;
    history.pushState({ page }, "", page === "home" ? "/" : `/?page=${page}#${page}`);
    show();
  });
  addEventListener("popstate", (event) => {
    page = event.state?.page ?? "home";
    show();
  });

  element("tag").textContent = `<script defer src="${location.origin}${document.querySelector("script[data-weir-site]").getAttribute("src")}"></script>`;
  show();
})();
