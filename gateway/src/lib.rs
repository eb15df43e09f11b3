//! Stage 1: HTTP to stream. A request is answered 2xx only once its events are durable.
//!
//! - [`config`] holds the settings
//! - `collect` answers `/collect`: read, decode, check, append
//! - [`spool`] keeps events on disk while the stream does not acknowledge
//! - `body` reads a request body within its caps; `inflate` inflates it
//! - `batch` finds the events in a body by one pass of `scan`
//! - `admit` checks one event and adds what only the gateway knows: `names` tells what becomes of each
//!   member, `splice` writes the record
//! - `packed` keeps the records of a request until they are durable
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
mod inflate;
mod metrics;
mod names;
mod packed;
mod pixel;
pub mod problem;
mod rate;
mod salts;
mod scan;
mod script;
mod sender;
mod source;
mod splice;
pub mod spool;
mod visitor;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use runtime::http::{Fields, Incoming, Reply};
use runtime::{Component, Runtime, Shutdown, http};
use stream::Stream;
use tokio::io::AsyncRead;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use collect::Taken;
pub use config::Config;
use door::Asked;
use metrics::Metrics;
use problem::Problem;
use rate::Clients;
use salts::Live;
use source::Sources;
use spool::{Kind, Lane, Spool};

/// Time between two questions to a stream that cannot be used.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What the handlers share.
pub(crate) struct Gateway {
    config: Config,
    /// The way of events.
    raw: Lane,
    /// The way of dead letters.
    dead: Lane,
    metrics: Metrics,
    runtime: Runtime,
    health: Component,
    /// Whether `health` says so; asked for with each request.
    is_ready: AtomicBool,
    /// Bytes of requests that may be under way; above it requests are refused at once.
    budget: Arc<Semaphore>,
    sources: Sources,
    /// What each client may send; `None` is any number.
    clients: Option<Clients>,
    salts: Arc<ArcSwap<Live>>,
}

impl Gateway {
    fn new(
        config: Config,
        stream: &Arc<dyn Stream>,
        spool: Option<&Arc<Spool>>,
        runtime: Runtime,
        salts: Arc<ArcSwap<Live>>,
    ) -> Self {
        let health = runtime.health.component("gateway");
        health.ready();
        let timeout = config.append_timeout;
        let lane = |topic: &String, kind| {
            let (topic, stream, spool) = (topic.clone(), stream.clone(), spool.cloned());
            Lane::new(topic, kind, stream, spool, timeout)
        };
        Self {
            budget: Arc::new(Semaphore::new(config.max_in_flight_bytes)),
            raw: lane(&config.raw_topic, Kind::Raw),
            dead: lane(&config.dead_topic, Kind::Dead),
            metrics: Metrics::new(&runtime.metrics),
            sources: Sources::new(&config.sources),
            clients: config.rate_limit.map(Clients::new),
            salts,
            config,
            runtime,
            health,
            is_ready: AtomicBool::new(true),
        }
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    fn ready(&self) {
        // Looked at first, for the answers of all processors write it otherwise.
        if !self.is_ready() && !self.is_ready.swap(true, Ordering::AcqRel) {
            self.health.ready();
        }
    }

    fn not_ready(&self, reason: &str) {
        self.is_ready.store(false, Ordering::Release);
        self.health.not_ready(reason);
    }
}

/// Serves the public listener until shutdown starts, then answers what is in flight. With a spool,
/// events are accepted while the stream is away, and sent on when it is back.
pub async fn run(
    listener: TcpListener,
    config: Config,
    stream: Arc<dyn Stream>,
    spool: Option<Arc<Spool>>,
    runtime: Runtime,
) {
    let proxies = match config.proxy_protocol {
        true => config.trusted_proxies.clone(),
        false => Vec::new(),
    };
    let limits = http::Limits {
        drain: config.grace,
        proxies: proxies.into(),
        ..config.limits.clone()
    };
    let shutdown = runtime.shutdown.clone();
    let live = Arc::new(ArcSwap::default());
    let (place, certificate) = (config.salts.clone(), config.certificate.clone());
    let gateway = Gateway::new(
        config,
        &stream,
        spool.as_ref(),
        runtime.clone(),
        live.clone(),
    );
    let gateway = Arc::new(gateway);
    // Requests in flight may need the spool until the last of them is answered.
    let done = Shutdown::default();
    let serving = async {
        let front = Front {
            gateway: gateway.clone(),
            router: routes(gateway.clone()),
        };
        let certificate = certificate.clone();
        let posts = Some(front.clone());
        http::serve_with(
            listener,
            certificate,
            front,
            posts,
            limits,
            shutdown.clone(),
        )
        .await;
        done.start();
    };
    let keeping = async {
        if let Some(spool) = &spool {
            let metrics = spool::Metrics::new(&runtime.metrics);
            let health = runtime.health.component("spool");
            let lanes = [&gateway.raw, &gateway.dead];
            spool::keep(spool, lanes, metrics, health, &done).await;
        }
    };
    let watching = async {
        if let Some(certificate) = &certificate {
            certificate.watch(&shutdown).await;
        }
    };
    // Ready once they were looked for, found or not: without them events lack an id of ours. The
    // component is there before the first connection is, which may ask for the readiness.
    let place = place.map(|place| (place, runtime.health.component("visitor ids")));
    let salts = async {
        if let Some((place, health)) = &place {
            salts::keep(place, &*stream, &live, || health.ready(), &shutdown).await;
        }
    };
    let probing = probe(&*stream, spool.as_deref(), &gateway, &shutdown);
    tokio::join!(serving, keeping, watching, salts, probing);
}

/// Looks while the gateway is not ready whether it could be: a proxy sends no requests then, by
/// whose success it could be seen that the stream is back, or that the spool has room.
async fn probe(stream: &dyn Stream, spool: Option<&Spool>, gateway: &Gateway, shutdown: &Shutdown) {
    let topic: &str = &gateway.config.raw_topic;
    let topics = [topic];
    loop {
        if gateway.is_ready() {
            // The next failure of a request tells.
        } else if let Some(spool) = spool {
            match spool.refusal() {
                None => gateway.ready(),
                Some(refusal) => gateway.not_ready(&refusal),
            }
        } else {
            let described = tokio::select! {
                described = stream.describe(&topics) => described,
                () = shutdown.started() => return,
            };
            match described.as_deref() {
                Ok([Some(_)]) => gateway.ready(),
                Ok(_) => {
                    gateway.not_ready(&format!(
                        "topic {topic} does not exist; weir topics creates it"
                    ));
                }
                Err(error) => gateway.not_ready(&error.to_string()),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PROBE_INTERVAL) => {}
            () = shutdown.started() => return,
        }
    }
}

/// What the public listener serves. Requests with events do not pass the router, which would box
/// each and look at its path again.
#[derive(Clone)]
struct Front {
    gateway: Arc<Gateway>,
    router: Router,
}

impl http::Answer for Front {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let is_events = *request.method() == Method::POST;
        if is_events && request.uri().path() == self.gateway.config.path {
            return collect::answer(&self.gateway, peer, request).await;
        }
        self.router.answer(request, peer).await
    }
}

impl http::Posts for Front {
    type Taken = Taken;

    fn path(&self) -> &str {
        &self.gateway.config.path
    }

    async fn take<S: AsyncRead + Unpin + Send>(
        &self,
        head: http::Head<'_>,
        body: &mut http::PlainBody<'_, S>,
        peer: SocketAddr,
    ) -> Taken {
        let asked = Asked {
            peer,
            fields: head.fields,
            query: head.query,
        };
        collect::take(&self.gateway, asked, body).await
    }

    fn reply(&self, taken: &mut Taken) -> impl Future<Output = Reply> + Send {
        collect::reply(&self.gateway, taken)
    }
}

/// The routes of the public listener, without a spool and without daily visitor ids.
pub fn router(config: Config, stream: Arc<dyn Stream>, runtime: Runtime) -> Router {
    let gateway = Gateway::new(config, &stream, None, runtime, Arc::default());
    routes(Arc::new(gateway))
}

fn routes(gateway: Arc<Gateway>) -> Router {
    let config = &gateway.config;
    let path = config.path.clone();
    let script = script::routes(&config.script_path, config.demo.is_some());
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
    let allowed = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
    let reply = Problem::MethodNotAllowed.reply();
    let fields = http::fields(&headers);
    let origins = &gateway.config.allowed_origins;
    let cors = cors::allow(origins, Fields::from(&*fields));
    let reply = reply.with(header::ALLOW, allowed).with_all(cors);
    reply.into_response()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
