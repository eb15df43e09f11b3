//! The snippet: three files, each under a plain name with an ETag and under the name of its hash for
//! ever, and the manifest that says which is which; and the demo page.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Gateway;

/// A file of the snippet, as built and committed, in the forms that it is sent in.
struct Script {
    /// Between the stem of `script_path` and `.js`.
    infix: &'static str,
    /// The name that it was built under.
    name: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

static SCRIPTS: [Script; 3] = [
    Script {
        infix: "",
        name: "t.js",
        plain: include_bytes!("../../js-snippet/dist/t.js"),
        gzip: include_bytes!("../../js-snippet/dist/t.js.gz"),
        brotli: include_bytes!("../../js-snippet/dist/t.js.br"),
    },
    Script {
        infix: ".core",
        name: "t.core.js",
        plain: include_bytes!("../../js-snippet/dist/t.core.js"),
        gzip: include_bytes!("../../js-snippet/dist/t.core.js.gz"),
        brotli: include_bytes!("../../js-snippet/dist/t.core.js.br"),
    },
    Script {
        infix: ".full",
        name: "t.full.js",
        plain: include_bytes!("../../js-snippet/dist/t.full.js"),
        gzip: include_bytes!("../../js-snippet/dist/t.full.js.gz"),
        brotli: include_bytes!("../../js-snippet/dist/t.full.js.br"),
    },
];

/// Digests for `integrity` attributes by name, as built.
static INTEGRITY: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../js-snippet/dist/integrity.json"))
        .expect("the build writes JSON")
});

const DEMO: &str = include_str!("../../js-snippet/demo/index.html");
const DEMO_SCRIPT: &str = include_str!("../../js-snippet/demo/shop.js");

/// An hour: how long a page may go on with an older snippet.
const CACHED_SHORTLY: &str = "public, max-age=3600";

/// The content under a hashed name never changes.
const CACHED_FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Scripts, styles and requests of the page's own origin only.
const DEMO_POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; \
    style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Script {
    /// The first 16 hexadecimal digits of its SHA-256.
    fn hash(&self) -> String {
        let digest = Sha256::digest(self.plain);
        let digits = digest[..8].iter().map(|byte| format!("{byte:02x}"));
        digits.collect()
    }

    /// The smallest form that the client takes; identity where it names no other.
    fn negotiate(&self, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
        let accepted = headers.get(header::ACCEPT_ENCODING);
        let accepted = accepted.and_then(|value| value.to_str().ok()).unwrap_or("");
        if takes(accepted, "br") {
            (self.brotli, Some("br"))
        } else if takes(accepted, "gzip") {
            (self.gzip, Some("gzip"))
        } else {
            (self.plain, None)
        }
    }
}

/// Whether `accepted`, the value of Accept-Encoding, names `coding` and does not refuse it.
fn takes(accepted: &str, coding: &str) -> bool {
    accepted.split(',').any(|one| {
        let (name, quality) = one.split_once(';').unwrap_or((one, ""));
        let quality = quality.trim().strip_prefix("q=");
        let is_refused = quality.is_some_and(|quality| quality.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case(coding) && !is_refused
    })
}

/// The routes of the snippet at `path`, such as `/t.js`; with `demo` those of the demo page too.
pub(crate) fn routes(path: &str, demo: bool) -> Router<Arc<Gateway>> {
    let stem = path.strip_suffix(".js").unwrap_or(path);
    let mut routes = Router::new();
    let mut manifest = serde_json::Map::new();
    for script in &SCRIPTS {
        let hash = script.hash();
        let plain = match script.infix {
            "" => path.to_owned(),
            infix => format!("{stem}{infix}.js"),
        };
        let hashed = format!("{stem}.{hash}.js");
        let entry = json!({ "immutable": hashed, "integrity": INTEGRITY[script.name] });
        manifest.insert(plain.clone(), entry);
        for (route, cache) in [(plain, CACHED_SHORTLY), (hashed, CACHED_FOR_EVER)] {
            let tag = format!("\"{hash}\"");
            let answer =
                move |headers: HeaderMap| async move { respond(script, &tag, &headers, cache) };
            routes = routes.route(&route, get(answer));
        }
    }
    let manifest = Value::Object(manifest).to_string();
    let answer = move || async move { shared(text("application/json", manifest), CACHED_SHORTLY) };
    routes = routes.route(&format!("{stem}.integrity.json"), get(answer));
    if !demo {
        return routes;
    }
    routes.route("/", get(page)).route(
        "/shop.js",
        get(|| async { text("text/javascript; charset=utf-8", DEMO_SCRIPT) }),
    )
}

fn respond(script: &Script, tag: &str, headers: &HeaderMap, cache: &'static str) -> Response {
    let known = headers.get(header::IF_NONE_MATCH);
    let is_known = known
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| {
            tags.split(',')
                .any(|known| known.trim().trim_start_matches("W/") == tag)
        });
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (body, encoding) = script.negotiate(headers);
        let mut response = text("text/javascript; charset=utf-8", body);
        if let Some(encoding) = encoding {
            let encoding = HeaderValue::from_static(encoding);
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, encoding);
        }
        response
    };
    let vary = HeaderValue::from_static("accept-encoding");
    response.headers_mut().insert(header::VARY, vary);
    let tag = HeaderValue::from_str(tag).expect("a tag is hexadecimal");
    response.headers_mut().insert(header::ETAG, tag);
    shared(response, cache)
}

/// Lets pages of any origin read the answer, and keep it.
fn shared(mut response: Response, cache: &'static str) -> Response {
    let fixed: [(HeaderName, &'static str); 4] = [
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `crossorigin`, which integrity needs.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ];
    for (name, value) in fixed {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The demo page.
async fn page(State(gateway): State<Arc<Gateway>>) -> Response {
    let config = &gateway.config;
    let page = DEMO
        .replace("{{script}}", &escape(&config.script_path))
        .replace(
            "{{dashboard}}",
            &escape(config.demo.as_deref().unwrap_or("")),
        );
    let mut response = text("text/html; charset=utf-8", page);
    let policy = HeaderValue::from_static(DEMO_POLICY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn text(kind: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let body: axum::body::Body = body.into();
    let nosniff = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    ([(header::CONTENT_TYPE, kind), nosniff], body).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accepted: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, accepted.parse().expect("ASCII"));
        assert_eq!(SCRIPTS[0].negotiate(&headers).1, expected, "{accepted}");
    }

    #[test]
    fn the_smallest_accepted_encoding_is_taken() {
        check("gzip, deflate, br, zstd", Some("br"));
        check("gzip", Some("gzip"));
        check("br;q=0, gzip;q=0.5", Some("gzip"));
        check("identity", None);
        check("", None);
    }

    #[test]
    fn a_known_tag_is_answered_without_a_body() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::IF_NONE_MATCH,
            HeaderValue::from_static("\"x\", W/\"a\""),
        );
        let again = respond(&SCRIPTS[0], "\"a\"", &headers, CACHED_SHORTLY);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()[header::VARY], "accept-encoding");
        let other = respond(&SCRIPTS[0], "\"b\"", &headers, CACHED_SHORTLY);
        assert_eq!(other.status(), StatusCode::OK);
    }
}
