// Vue with its router, which replaces and pushes on every link. The snippet is a tag of the page.
import { createApp, h } from "vue";
import { createRouter, createWebHistory, RouterLink, RouterView, useRouter } from "vue-router";

const page = (title) => ({ render: () => h("h1", title) });

const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/", component: page("Home"), meta: { title: "Home" } },
    { path: "/second", component: page("Second"), meta: { title: "Second" } },
    { path: "/old", redirect: "/new" },
    { path: "/new", component: page("New"), meta: { title: "New" } },
  ],
});
router.afterEach(({ meta }) => {
  document.title = meta.title;
});

const Site = {
  setup() {
    const { back, replace } = useRouter();
    const link = (id, to) => h(RouterLink, { id, to }, () => id);
    const button = (id, onClick) => h("button", { id, onClick }, id);
    return () => [
      link("home", "/"), link("second", "/second"), link("old", "/old"),
      button("back", back),
      button("filter", () => replace({ query: { color: "red" } })),
      button("own", () => weir.track("own", { props: { framework: "vue" } })),
      h(RouterView),
    ];
  },
};

createApp(Site).use(router).mount("#root");
