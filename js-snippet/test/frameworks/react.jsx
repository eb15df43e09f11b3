// React with react-router, the snippet as a module. StrictMode runs every effect twice.
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter, Link, Navigate, Route, Routes, useNavigate, useSearchParams } from "react-router";
import { engagement, init, interactions, track } from "weir-snippet";

function Page({ title, children }) {
  useEffect(() => {
    document.title = title;
  }, [title]);
  return <h1>{title}</h1>;
}

function Filter() {
  const [, setSearch] = useSearchParams();
  return <button id="filter" onClick={() => setSearch({ color: "red" }, { replace: true })}>Red</button>;
}

const { endpoint } = window;

function Site() {
  useEffect(() => init({ endpoint, site: "shop" }, engagement, interactions), []);
  const navigate = useNavigate();
  return (
    <>
      <nav>
        <Link id="home" to="/">Home</Link> <Link id="second" to="/second">Second</Link> <Link id="old" to="/old">Old</Link>
        <button id="back" onClick={() => navigate(-1)}>Back</button>
        <button id="own" onClick={() => track("own", { props: { framework: "react" } })}>Own event</button>
      </nav>
      <Filter />
      <Routes>
        <Route path="/" element={<Page title="Home" />} />
        <Route path="/second" element={<Page title="Second" />} />
        <Route path="/old" element={<Navigate to="/new" replace />} />
        <Route path="/new" element={<Page title="New" />} />
      </Routes>
    </>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <BrowserRouter>
      <Site />
    </BrowserRouter>
  </StrictMode>,
);
