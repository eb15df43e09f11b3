//! The snippet, under a plain name with an ETag and under the name of its hash for ever; and the
//! demo page.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use crate::Gateway;

const PLAIN: &[u8] = include_bytes!("../../js-snippet/dist/t.js");
const GZIP: &[u8] = include_bytes!("../../js-snippet/dist/t.js.gz");
const BROTLI: &[u8] = include_bytes!("../../js-snippet/dist/t.js.br");
const INTEGRITY: &str = include_str!("../../js-snippet/dist/integrity.json");
const DEMO: &str = include_str!("../../js-snippet/demo/index.html");
const DEMO_SCRIPT: &str = include_str!("../../js-snippet/demo/shop.js");

/// An hour: how long a page may go on with an older snippet.
const CACHED_SHORTLY: &str = "public, max-age=3600";

/// The content under a hashed name never changes.
const CACHED_FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Scripts, styles and requests of the page's own origin only.
const DEMO_POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; \
    style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The first 16 hexadecimal digits of the snippet's SHA-256.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(PLAIN);
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
});

/// The routes of the snippet at `path`, such as `/t.js`; with `demo` those of the demo page too.
pub(crate) fn routes(path: &str, demo: bool) -> Router<Arc<Gateway>> {
    let stem = path.strip_suffix(".js").unwrap_or(path);
    let hashed = format!("{stem}.{}.js", *HASH);
    let routes = Router::new()
        .route(
            path,
            get(|headers| async move { script(&headers, CACHED_SHORTLY) }),
        )
        .route(
            &hashed,
            get(|headers| async move { script(&headers, CACHED_FOR_EVER) }),
        )
        .route(
            &format!("{stem}.integrity.json"),
            get(|| async { integrity() }),
        );
    if !demo {
        return routes;
    }
    routes.route("/", get(page)).route(
        "/shop.js",
        get(|| async { text("text/javascript; charset=utf-8", DEMO_SCRIPT) }),
    )
}

fn script(headers: &HeaderMap, cache: &'static str) -> Response {
    let tag = format!("\"{}\"", *HASH);
    let fixed: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, cache),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Pages of other origins load it, also with `crossorigin` for integrity.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ];
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
        let (body, encoding) = negotiate(headers);
        let mut response = text("text/javascript; charset=utf-8", body);
        if let Some(encoding) = encoding {
            let encoding = HeaderValue::from_static(encoding);
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, encoding);
        }
        response
    };
    for (name, value) in fixed {
        let value = HeaderValue::from_str(value).expect("the values are plain ASCII");
        response.headers_mut().insert(name, value);
    }
    let tag = HeaderValue::from_str(&tag).expect("a tag is hexadecimal");
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// The smallest form that the client takes; identity where it names no other.
fn negotiate(headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let accepted = accepted.and_then(|value| value.to_str().ok()).unwrap_or("");
    let takes = |name: &str| {
        accepted.split(',').any(|coding| {
            let (coding, quality) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = quality
                .trim()
                .strip_prefix("q=")
                .is_some_and(|q| q.parse() == Ok(0.0));
            coding.trim().eq_ignore_ascii_case(name) && !refused
        })
    };
    if takes("br") {
        (BROTLI, Some("br"))
    } else if takes("gzip") {
        (GZIP, Some("gzip"))
    } else {
        (PLAIN, None)
    }
}

/// The snippet's digest for `integrity` attributes, and the name that never changes.
fn integrity() -> Response {
    text("application/json", INTEGRITY)
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
        assert_eq!(negotiate(&headers).1, expected, "{accepted}");
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
        let first = script(&HeaderMap::new(), CACHED_SHORTLY);
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        let again = script(&headers, CACHED_SHORTLY);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()[header::VARY], "accept-encoding");
    }
}
