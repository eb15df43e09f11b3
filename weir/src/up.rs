//! Everything in one process.
//!
//! The stages stop one after another in the order of the flow, so that what the gateway has
//! answered reaches the store before the process ends; what does not in time stays in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::admin::{self, Access};
use runtime::{Runtime, Shutdown, http, telemetry};
use stream::Stream;
use stream::embedded::EmbeddedLog;
use tokio::net::TcpListener;

use crate::backend;
use crate::config::Loaded;
use crate::plan::{Plan, StorePlan};

/// Runs the gateway, the enricher and the sink until a signal.
///
/// # Errors
/// When something cannot be opened or bound, or a stage cannot go on; names the setting.
pub(crate) async fn run(loaded: &Loaded, plan: Plan) -> anyhow::Result<()> {
    telemetry::init(&plan.log_level, plan.log_format)?;
    let public = bind(plan.gateway_listen, "gateway.listen").await?;
    let private = bind(plan.admin_listen, "admin.listen").await?;
    let log = backend::log(&plan).await?;
    let store = backend::store(&plan)?;
    banner(loaded, &plan, &public, &private)?;

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
    let stream: Arc<dyn Stream> = log.clone();
    let gateway = gateway::run(public, plan.gateway.clone(), stream.clone(), base.clone());
    let enricher = enricher::run(plan.enricher.clone(), stream.clone(), of_enricher.clone());
    let sink = sink::run(plan.sink.clone(), stream, store.clone(), of_sink.clone());
    let search = dashboard::router(store, vec![plan.index_prefix.clone()]);
    let routes = admin::router(
        &base,
        Access {
            token: plan.admin_token.clone(),
        },
        search,
    );
    let limits = http::Limits {
        drain: Duration::from_secs(1),
        ..http::Limits::default()
    };
    let admin = http::serve(private, routes, limits, of_admin.shutdown.clone());

    // Each stage stops the next when it is done; one that fails stops them all.
    let gateway = async {
        gateway.await;
        of_enricher.shutdown.start();
        Ok(())
    };
    let enricher = async {
        let result = enricher.await.context("the enricher failed");
        signal.start();
        of_sink.shutdown.start();
        result
    };
    let sink = async {
        let result = sink.await.context("the sink failed");
        signal.start();
        of_enricher.shutdown.start();
        of_admin.shutdown.start();
        result
    };
    let watch = watch(&log, &signal, &of_admin.shutdown);
    let admin = async {
        admin.await;
        Ok(())
    };
    let (gateway, enricher, sink, watch, _): (_, _, _, _, anyhow::Result<()>) =
        tokio::join!(gateway, enricher, sink, watch, admin);
    log.close(plan.grace)
        .await
        .context("the log did not close")?;
    watch.and(gateway).and(enricher).and(sink)
}

/// Ends the process when the log cannot be trusted any more.
async fn watch(log: &EmbeddedLog, signal: &Shutdown, done: &Shutdown) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = done.started() => return Ok(()),
        }
        if let Some(failure) = log.failure() {
            signal.start();
            bail!("{failure}");
        }
    }
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key}: cannot listen on {address}"))
}

fn banner(
    loaded: &Loaded,
    plan: &Plan,
    public: &TcpListener,
    private: &TcpListener,
) -> anyhow::Result<()> {
    let (public, private) = (public.local_addr()?, private.local_addr()?);
    let store = match plan.store {
        StorePlan::Embedded => "embedded".to_owned(),
        StorePlan::Elasticsearch(_) => loaded.settings.store.clone(),
    };
    let file = loaded
        .file
        .as_ref()
        .map_or("none".to_owned(), |file| file.display().to_string());
    println!("weir {}", env!("CARGO_PKG_VERSION"));
    println!("  collect     http://{public}{}", plan.gateway.path);
    println!(
        "  search      http://{private}/{}-*/_search",
        plan.index_prefix
    );
    println!("  metrics     http://{private}/metrics");
    println!("  data        {}", plan.data_dir.display());
    println!("  store       {store}");
    println!("  durability  {}", loaded.settings.durability);
    println!("  config      {file}");
    println!("  no telemetry");
    Ok(())
}
