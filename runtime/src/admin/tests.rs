use axum::body::Body;
use axum::routing::post;
use tower::ServiceExt as _;

use super::*;

async fn status(token: Option<&str>, request: http::request::Builder) -> StatusCode {
    let routes = Router::new().route("/change", post(|| async { "changed" }));
    let access = Access {
        token: token.map(str::to_owned),
    };
    let app = router(&Runtime::default(), access, routes);
    let request = request
        .body(Body::empty())
        .expect("the request is well formed");
    app.oneshot(request)
        .await
        .expect("the router does not fail")
        .status()
}

fn get(path: &str, host: &str) -> http::request::Builder {
    Request::get(path).header(HOST, host)
}

#[tokio::test]
async fn only_loopback_names_are_served_without_a_token() {
    for host in ["localhost", "127.0.0.1:9600", "[::1]:9600", "LOCALHOST:1"] {
        assert_eq!(
            status(None, get("/metrics", host)).await,
            StatusCode::OK,
            "{host}"
        );
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1:9600",
        "",
    ] {
        assert_eq!(
            status(None, get("/metrics", host)).await,
            StatusCode::FORBIDDEN,
            "{host}"
        );
    }
}

#[tokio::test]
async fn token_is_taken_as_bearer_and_as_password() {
    let with = |value: &str| get("/metrics", "weir.example").header(AUTHORIZATION, value);
    assert_eq!(status(Some("s3"), with("Bearer s3")).await, StatusCode::OK);
    // base64 of "any:s3".
    assert_eq!(
        status(Some("s3"), with("Basic YW55OnMz")).await,
        StatusCode::OK
    );
    for wrong in ["Bearer s4", "Bearer ", "Basic YW55OnM0", "Basic ???", "s3"] {
        assert_eq!(
            status(Some("s3"), with(wrong)).await,
            StatusCode::UNAUTHORIZED,
            "{wrong}"
        );
    }
    let without = get("/metrics", "localhost");
    assert_eq!(status(Some("s3"), without).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn health_needs_no_token() {
    assert_eq!(
        status(Some("s3"), get("/livez", "any.example")).await,
        StatusCode::OK
    );
    assert_eq!(
        status(Some("s3"), get("/readyz", "any.example")).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn request_for_another_site_is_refused() {
    let post = || Request::post("/change").header(HOST, "localhost:9600");
    assert_eq!(status(None, post()).await, StatusCode::OK);
    let same = post().header(ORIGIN, "http://localhost:9600");
    assert_eq!(status(None, same).await, StatusCode::OK);
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        let request = post().header(ORIGIN, origin);
        assert_eq!(
            status(None, request).await,
            StatusCode::FORBIDDEN,
            "{origin}"
        );
    }
    let fetched = get("/metrics", "localhost:9600").header("sec-fetch-site", "cross-site");
    assert_eq!(status(None, fetched).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn unready_part_is_named() {
    let runtime = Runtime::default();
    let part = runtime.health.component("stream");
    let ask = || async {
        let app = router(&runtime, Access::default(), Router::new());
        let request = get("/readyz", "localhost")
            .body(Body::empty())
            .expect("well formed");
        app.oneshot(request)
            .await
            .expect("the router does not fail")
            .status()
    };
    assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE);
    part.ready();
    assert_eq!(ask().await, StatusCode::OK);
}
