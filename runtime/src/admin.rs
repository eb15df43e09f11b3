//! The listener for operators: `/metrics`, `/livez`, `/readyz`, and what the process adds.
//!
//! Nobody else may reach it. Without a token it answers only under the names of the loopback
//! address, so that a page which resolves its own name to 127.0.0.1 gets nothing (DNS rebinding).
//! A request that a browser sends on behalf of another site is refused, and no page may frame it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN,
    REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::Runtime;

/// Who may use the admin listener.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Asked for as a bearer token, or as the password of basic authentication so that browsers can
    /// be used. Without one the listener must be bound to a loopback address.
    pub token: Option<String>,
}

/// The admin listener's router: the routes of every process, and `routes`.
pub fn router(runtime: &Runtime, access: Access, routes: Router) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .with_state(runtime.clone())
        .merge(routes)
        .layer(from_fn_with_state(Arc::new(access), guard));
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(runtime.clone())
        .merge(guarded)
}

/// The readiness with its reasons, as a JSON object; 503 when not ready.
async fn readyz(State(runtime): State<Runtime>) -> Response {
    let parts = runtime.health.report();
    let ready = parts.iter().all(|(_, reason)| reason.is_none()) && !runtime.shutdown.has_started();
    let notes = runtime.health.notes();
    let words = |name| match notes.get(name) {
        Some(note) => format!("ready: {note}"),
        None => "ready".into(),
    };
    let parts: serde_json::Map<_, _> = parts
        .into_iter()
        .map(|(name, reason)| {
            (
                name.to_owned(),
                reason.unwrap_or_else(|| words(name)).into(),
            )
        })
        .collect();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::json!({ "ready": ready, "parts": parts });
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        format!("{body:#}\n"),
    )
        .into_response()
}

async fn metrics(State(runtime): State<Runtime>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], runtime.metrics.text()).into_response()
}

async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let mut response = match &access.token {
        Some(token) if !carries(headers, token) => {
            let mut response = refusal(StatusCode::UNAUTHORIZED, "a token is needed");
            let challenge = HeaderValue::from_static("Basic realm=\"weir\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
        None if !names_loopback(headers) => {
            refusal(StatusCode::FORBIDDEN, "this name is not served here")
        }
        _ if is_cross_site(request.method(), headers) => {
            refusal(StatusCode::FORBIDDEN, "refused for another site")
        }
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refusal(status: StatusCode, words: &'static str) -> Response {
    (status, format!("{words}\n")).into_response()
}

fn carries(headers: &HeaderMap, token: &str) -> bool {
    let Some(value) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    if let Some(bearer) = value.strip_prefix("Bearer ") {
        return equal(bearer.as_bytes(), token.as_bytes());
    }
    let decoded = value.strip_prefix("Basic ").and_then(decode_base64);
    decoded.is_some_and(|pair| {
        let password = pair.splitn(2, |b| *b == b':').nth(1).unwrap_or_default();
        equal(password, token.as_bytes())
    })
}

/// Compares in a time that does not depend on where the two differ.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn names_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether a browser says that another site is behind a request that changes or queries.
fn is_cross_site(method: &Method, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if matches!(site, Some(b"cross-site" | b"same-site")) {
        // A link from elsewhere may open a page; anything else is refused.
        let navigates = headers
            .get("sec-fetch-mode")
            .is_some_and(|mode| mode == "navigate");
        return !(navigates && *method == Method::GET);
    }
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin.split_once("://").map(|(_, rest)| rest) != Some(host)
    })
}

#[cfg(test)]
mod tests;
