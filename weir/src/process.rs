//! A process that runs all stages or one of them.
//!
//! The stages stop one after another in the order of the flow, so that what the gateway has
//! answered reaches the store before the process ends; what does not in time stays in the stream.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use gateway::spool::Spool;
use prometheus_client::metrics::gauge::Gauge;
use runtime::admin::{self, Access};
use runtime::{Backoff, Runtime, Shutdown, files, http, telemetry};
use stream::Stream;
use stream::embedded::fs::{FileSystem as _, RealFs};
use tokio::net::TcpListener;

use crate::backend::{self, OpenStream};
use crate::banner::Banner;
use crate::config::Loaded;
use crate::config::units::Size;
use crate::operate;
use crate::plan::{Plan, StreamPlan};

/// Connections to the admin listener at a time: some dashboards and a scraper.
const ADMIN_CONNECTIONS: usize = 256;

/// The stages of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// All of them: `weir up`.
    All,
    /// `weir gateway`.
    Gateway,
    /// `weir enricher`.
    Enricher,
    /// `weir sink`.
    Sink,
}

impl Role {
    fn has(self, stage: Self) -> bool {
        self == Self::All || self == stage
    }

    /// The command that starts it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "up",
            Self::Gateway => "gateway",
            Self::Enricher => "enricher",
            Self::Sink => "sink",
        }
    }
}

/// Runs the stages of `role` until a signal; with `demo`, fed that many fake events a second.
///
/// # Errors
/// When something cannot be opened or bound, or a stage cannot go on; names the setting.
pub(crate) async fn run(
    loaded: &Loaded,
    plan: Plan,
    role: Role,
    demo: Option<f64>,
) -> anyhow::Result<()> {
    telemetry::init(&plan.log_level, plan.log_format)?;
    let room = files::connections(files::raise_limit());
    if demo.is_some() && plan.gateway.certificate.is_some() {
        bail!("gateway.tls_certificate_file: the fake visitors of --demo speak plain HTTP");
    }
    let public = match role.has(Role::Gateway) {
        true => Some(bind(plan.gateway_listen, "gateway.listen").await?),
        false => None,
    };
    let private = bind(plan.admin_listen, "admin.listen").await?;
    let opened = backend::stream(&plan)?;
    if let OpenStream::Embedded(log) = &opened {
        check_room(&plan)?;
        backend::topics(&plan, &**log).await?;
    }
    let stream = opened.stream();
    let (spool, of_gateway_alone) = match role.has(Role::Gateway) {
        true => (
            backend::spool(&plan).await?,
            backend::gateway_stream(&plan)?,
        ),
        false => (None, None),
    };
    let gateway_stream = of_gateway_alone.clone().unwrap_or_else(|| stream.clone());
    let store = match role.has(Role::Sink) {
        true => Some(backend::store(&plan)?),
        false => None,
    };
    let public_address = public.as_ref().map(TcpListener::local_addr).transpose()?;
    let private_address = private.local_addr()?;
    let banner = Banner::new(loaded, &plan, role, public_address, private_address);
    print!("{banner}");

    let signal = Shutdown::on_signal();
    let base = Runtime {
        shutdown: signal.clone(),
        ..Runtime::default()
    };
    let stage = || Runtime {
        shutdown: Shutdown::default(),
        ..base.clone()
    };
    let (of_enricher, of_sink, of_admin) = (stage(), stage(), stage());
    let search = match &store {
        Some(store) => {
            let address =
                |path: &str| public_address.map(|at| format!("{}://{at}{path}", plan.scheme()));
            let page = dashboard::Page {
                index: format!("{}-*", plan.index_prefix),
                collect: address(&plan.gateway.path).unwrap_or_default(),
                script: address(&plan.gateway.script_path).unwrap_or_default(),
            };
            dashboard::router(store.clone(), vec![plan.index_prefix.clone()], &page)
        }
        None => Router::new(),
    };
    let of_operate = of_admin.shutdown.clone();
    let operate = operate::router(
        &plan,
        stream.clone(),
        store.clone(),
        spool.clone(),
        of_operate,
    );
    let token = plan.admin_token.clone();
    let routes = admin::router(&base, Access { token }, search.merge(operate));
    let limits = http::Limits {
        max_connections: ADMIN_CONNECTIONS.min(room),
        drain: Duration::from_secs(1),
        ..http::Limits::default()
    };
    let admin = http::serve(private, routes, limits, of_admin.shutdown.clone());

    // Each stage stops the next when it is done; one that fails stops them all.
    let mut of_gateway = plan.gateway.clone();
    let wanted = of_gateway.limits.max_connections;
    of_gateway.limits.max_connections = wanted.min(room);
    if role == Role::All {
        of_gateway.demo = Some(format!("http://{private_address}/dashboard"));
    }
    let gateway = async {
        if let Some(public) = public {
            let (stream, spool) = (gateway_stream, spool.clone());
            gateway::run(public, of_gateway, stream, spool, base.clone()).await;
        } else {
            signal.started().await;
        }
        of_enricher.shutdown.start();
    };
    let enricher = async {
        let run = || enricher::run(plan.enricher.clone(), stream.clone(), of_enricher.clone());
        let result = match role.has(Role::Enricher) {
            true => run().await.context("the enricher failed"),
            false => idle(&of_enricher.shutdown).await,
        };
        signal.start();
        of_enricher.shutdown.start();
        of_sink.shutdown.start();
        result
    };
    let sink = async {
        let result = match store {
            Some(store) => sink::run(plan.sink.clone(), stream.clone(), store, of_sink.clone())
                .await
                .context("the sink failed"),
            None => idle(&of_sink.shutdown).await,
        };
        signal.start();
        of_enricher.shutdown.start();
        of_admin.shutdown.start();
        result
    };
    let watch = async {
        let spooling = watch_spool(spool.as_deref(), &base, &of_admin.shutdown);
        let (log, spool) = tokio::join!(watch(&opened, &base, &of_admin.shutdown), spooling);
        log.and(spool)
    };
    let topics = async {
        if matches!(opened, OpenStream::Kafka(_)) && role == Role::All {
            create_topics(&plan, &*stream, &base).await;
        }
    };
    let demo = async {
        let (Some(rate), Some(address)) = (demo, public_address) else {
            return Ok(());
        };
        let key = plan.gateway.sources.first();
        let key = key.map_or(String::new(), |source| {
            let bytes = source.key.as_bytes();
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            format!("?key={encoded}")
        });
        let url = format!("http://{address}{}{key}", plan.gateway.path);
        tokio::select! {
            result = loadgen::demo::feed(&url, rate, demo_seed()) => result,
            () = signal.started() => Ok(()),
        }
    };
    // The listeners last: their readiness counts the components that the others add at their start.
    let (enricher, sink, watch, (), demo, (), ()) =
        tokio::join!(enricher, sink, watch, topics, demo, gateway, admin);
    if let Some(spool) = spool {
        let closed = spool.close(plan.grace).await;
        closed.context("the spool did not close")?;
    }
    if let Some(own) = of_gateway_alone {
        // What was not acknowledged in time lies in the spool, or its sender was told.
        let _ = own.close(plan.spool_after).await;
    }
    stream
        .close(plan.grace)
        .await
        .context("the stream did not close")?;
    watch.and(enricher).and(sink).and(demo)
}

/// Refuses to start where every event would be refused for want of room.
fn check_room(plan: &Plan) -> anyhow::Result<()> {
    let StreamPlan::Embedded(options) = &plan.stream else {
        return Ok(());
    };
    let free = RealFs.free_bytes(&plan.data_dir);
    let free = free.with_context(|| format!("data_dir: {}", plan.data_dir.display()))?;
    let least = options.min_free_bytes;
    if free < least {
        let folder = plan.data_dir.display();
        bail!(
            "embedded.min_free_bytes: {folder} has {} free and {} must stay; make room or lower it",
            Size(free >> 20 << 20),
            Size(least)
        );
    }
    Ok(())
}

/// Another at each start: the same visitors with the same event ids would be recognised and kept
/// once.
fn demo_seed() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0)
}

/// A stage that is not this process's.
async fn idle(shutdown: &Shutdown) -> anyhow::Result<()> {
    shutdown.started().await;
    Ok(())
}

/// Creates the topics as soon as the brokers can be reached.
async fn create_topics(plan: &Plan, stream: &dyn Stream, runtime: &Runtime) {
    let health = runtime.health.component("topics");
    let mut backoff = Backoff::default();
    while let Err(error) = backend::topics(plan, stream).await {
        health.not_ready(&format!("{error:#}"));
        if !backoff.wait(&runtime.shutdown).await {
            return;
        }
    }
    health.ready();
}

/// Shows the state of the embedded log, and ends the process when it cannot be trusted any more.
async fn watch(opened: &OpenStream, base: &Runtime, done: &Shutdown) -> anyhow::Result<()> {
    let OpenStream::Embedded(log) = opened else {
        return idle(done).await;
    };
    let (stored, damaged) = (Gauge::<i64>::default(), Gauge::<i64>::default());
    base.metrics.register(|registry| {
        let help = "Bytes of the embedded log on disk.";
        registry.register("weir_stream_stored_bytes", help, stored.clone());
        let help = "Bytes of the embedded log that were found damaged and passed over.";
        registry.register("weir_stream_damaged_bytes", help, damaged.clone());
    });
    let bytes = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    loop {
        stored.set(bytes(log.stored_bytes()));
        damaged.set(bytes(log.damaged_bytes()));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = done.started() => return Ok(()),
        }
        if let Some(failure) = log.failure() {
            base.shutdown.start();
            bail!("{failure}");
        }
    }
}

/// Ends the process when the spool cannot be trusted any more.
async fn watch_spool(spool: Option<&Spool>, base: &Runtime, done: &Shutdown) -> anyhow::Result<()> {
    let Some(spool) = spool else {
        return idle(done).await;
    };
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = done.started() => return Ok(()),
        }
        if let Some(failure) = spool.failure() {
            base.shutdown.start();
            bail!("{failure}");
        }
    }
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key}: cannot listen on {address}"))
}
