//! The live page: files built from `page/`, embedded.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

const INDEX: &str = include_str!("../dist/index.html");
const STYLE: &str = include_str!("../dist/style.css");
const SCRIPT: &[u8] = include_bytes!("../dist/app.js");
const SCRIPT_GZIP: &[u8] = include_bytes!("../dist/app.js.gz");

/// The page's own files and requests only: values of events cannot become script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'";

/// What the page is told of its surroundings.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The indices it searches, such as `web-events-*`.
    pub index: String,
    /// Address of the collect route, shown while there are no events; empty where it is not known.
    pub collect: String,
    /// Address of the snippet, likewise.
    pub script: String,
}

/// The routes `/dashboard`, and those of its files.
pub(crate) fn routes(page: &Page) -> Router {
    let index = INDEX
        .replace("{{index}}", &escape(&page.index))
        .replace("{{collect}}", &escape(&page.collect))
        .replace("{{script}}", &escape(&page.script));
    Router::new()
        .route(
            "/dashboard",
            get(async move || file("text/html; charset=utf-8", index)),
        )
        .route("/dashboard/app.js", get(script))
        .route(
            "/dashboard/style.css",
            get(async || file("text/css; charset=utf-8", STYLE)),
        )
}

async fn script(headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let takes_gzip = accepted
        .and_then(|value| value.to_str().ok())
        .is_some_and(|codings| codings.contains("gzip"));
    let kind = "text/javascript; charset=utf-8";
    let mut response = match takes_gzip {
        true => file(kind, SCRIPT_GZIP),
        false => file(kind, SCRIPT),
    };
    if takes_gzip {
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    response
}

fn file(kind: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let body: axum::body::Body = body.into();
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::VARY, "accept-encoding"),
    ];
    (headers, body).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}
