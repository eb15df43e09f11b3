//! Stage 1: HTTP to stream. A request is answered 2xx only once its events are durable.
//!
//! - [`config`] holds the settings
//! - `collect` answers `/collect`: read, decode, check, append
//! - `body` reads and inflates a request body within its caps
//! - `batch` finds the events in a body
//! - `admit` checks one event and adds what only the gateway knows
//! - `sender` is what a request says of who sent it; `address` finds it behind proxies
//! - `door` lets a request in before its body is read
//! - `source` knows who may send, by write key; `rate` how much
//! - `visitor` makes the id of a visitor who has none, of the salts that `salts` keeps
//! - `pixel` reads an event from a query
//! - `cors` tells browsers which pages may read the answer
//! - [`problem`] is the closed table of refusals
//! - `script` serves the snippet and the demo page
//! - `metrics` is what the stage counts

mod address;
mod admit;
mod batch;
mod body;
mod collect;
pub mod config;
mod cors;
mod door;
mod metrics;
mod pixel;
pub mod problem;
mod rate;
mod salts;
mod script;
mod sender;
mod source;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use runtime::{Component, Runtime, Shutdown, http};
use stream::Stream;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use config::Config;
use metrics::Metrics;
use problem::Problem;
use rate::Clients;
use salts::Live;
use source::Sources;

/// Time between two questions to a stream that cannot be used.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What the handlers share.
pub(crate) struct Gateway {
    config: Config,
    stream: Arc<dyn Stream>,
    metrics: Metrics,
    runtime: Runtime,
    health: Component,
    /// Bytes of requests that may be under way; above it requests are refused at once.
    budget: Arc<Semaphore>,
    sources: Sources,
    /// What each client may send; `None` is any number.
    clients: Option<Clients>,
    salts: Arc<ArcSwap<Live>>,
}

/// Serves the public listener until shutdown starts, then answers what is in flight.
pub async fn run(listener: TcpListener, config: Config, stream: Arc<dyn Stream>, runtime: Runtime) {
    let limits = http::Limits {
        drain: config.grace,
        ..config.limits.clone()
    };
    let shutdown = runtime.shutdown.clone();
    let topic = config.raw_topic.clone();
    let place = config.salts.clone();
    let certificate = config.certificate.clone();
    let live = Arc::new(ArcSwap::default());
    let routes = routes(config, stream.clone(), runtime.clone(), live.clone());
    let health = runtime.health.component("gateway");
    let serving = http::serve_with(
        listener,
        certificate.clone(),
        routes,
        limits,
        shutdown.clone(),
    );
    let watching = async {
        if let Some(certificate) = &certificate {
            certificate.watch(&shutdown).await;
        }
    };
    let salts = async {
        let Some(place) = place else { return };
        // Ready once they were looked for, found or not: without them events lack an id of ours.
        let health = runtime.health.component("visitor ids");
        salts::keep(&place, &*stream, &live, || health.ready(), &shutdown).await;
    };
    tokio::join!(
        serving,
        watching,
        salts,
        probe(&*stream, &topic, &health, &shutdown)
    );
}

/// Asks for the topic while the gateway is not ready: a proxy sends no requests then, by whose
/// success it could be seen that the stream is back.
async fn probe(stream: &dyn Stream, topic: &str, health: &Component, shutdown: &Shutdown) {
    let topics = [topic];
    loop {
        if !health.is_ready() {
            let described = tokio::select! {
                described = stream.describe(&topics) => described,
                () = shutdown.started() => return,
            };
            match described.as_deref() {
                Ok([Some(_)]) => health.ready(),
                Ok(_) => {
                    health.not_ready(&format!(
                        "topic {topic} does not exist; weir topics creates it"
                    ));
                }
                Err(error) => health.not_ready(&error.to_string()),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PROBE_INTERVAL) => {}
            () = shutdown.started() => return,
        }
    }
}

/// The routes of the public listener, without daily visitor ids.
pub fn router(config: Config, stream: Arc<dyn Stream>, runtime: Runtime) -> Router {
    routes(config, stream, runtime, Arc::default())
}

fn routes(
    config: Config,
    stream: Arc<dyn Stream>,
    runtime: Runtime,
    salts: Arc<ArcSwap<Live>>,
) -> Router {
    let health = runtime.health.component("gateway");
    health.ready();
    let path = config.path.clone();
    let script = script::routes(&config.script_path, config.demo.is_some());
    let gateway = Arc::new(Gateway {
        budget: Arc::new(Semaphore::new(config.max_in_flight_bytes)),
        metrics: Metrics::new(&runtime.metrics),
        sources: Sources::new(&config.sources),
        clients: config.rate_limit.map(Clients::new),
        salts,
        config,
        stream,
        runtime,
        health,
    });
    let collect = post(collect::post)
        .get(collect::pixel)
        .options(collect::preflight);
    Router::new()
        .route(&path, collect)
        .merge(script)
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route(
            "/robots.txt",
            get(|| async { "User-agent: *\nDisallow: /\n" }),
        )
        .fallback(|| async { Problem::NotFound.into_response() })
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(gateway)
}

/// The state only; the reasons are for the admin listener.
async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    let runtime = &gateway.runtime;
    if runtime.health.is_ready() && !runtime.shutdown.has_started() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn method_not_allowed(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let mut response = Problem::MethodNotAllowed.into_response();
    cors::allow(
        &gateway.config.allowed_origins,
        &headers,
        response.headers_mut(),
    );
    let allowed = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
