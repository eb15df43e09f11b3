//! What the admin listener offers to commands while this process holds the data folder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::stream::{Start, Stream};
use axum::Router;
use axum::body::Body;
use axum::extract::{Json, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::BytesMut;
use futures_util::stream;
use gateway::spool::{Kind, Spool};
use http::StatusCode;
use runtime::Shutdown;
use store::Store;

use crate::commands::{dlq, spool};
use crate::forget::{self, Wish};
use crate::letters::{self, Selection, Step};
use crate::plan::Plan;

/// Records of a tail handed out at a time.
const MAX_RECORDS: usize = 1_000;

/// Longest wait for them: how soon a stop is noticed.
const POLL: Duration = Duration::from_millis(500);

/// Longest wait of an answer for the spool to be empty; longer than one try of the drainer.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

struct Operate {
    plan: Plan,
    stream: Arc<dyn Stream>,
    store: Option<Arc<dyn Store>>,
    spool: Option<Arc<Spool>>,
    shutdown: Shutdown,
}

/// Routes for `weir tail`, `weir dlq`, `weir forget` and `weir spool`.
pub(crate) fn router(
    plan: &Plan,
    stream: Arc<dyn Stream>,
    store: Option<Arc<dyn Store>>,
    spool: Option<Arc<Spool>>,
    shutdown: Shutdown,
) -> Router {
    let state = Operate {
        plan: plan.clone(),
        stream,
        store,
        spool,
        shutdown,
    };
    Router::new()
        .route("/topics/{topic}/tail", get(tail))
        .route("/dlq/list", post(list))
        .route("/dlq/replay", post(replay))
        .route("/forget", post(forget))
        .route("/spool/list", post(spool_list))
        .route("/spool/drain", post(spool_drain))
        .route("/spool/export", get(spool_export))
        .with_state(Arc::new(state))
}

fn failed(error: &anyhow::Error) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response()
}

async fn list(State(state): State<Arc<Operate>>, Json(selection): Json<Selection>) -> Response {
    let topic = &state.plan.enricher.dead_topic;
    match dlq::find(&*state.stream, topic, &selection).await {
        Ok(found) => Json(found).into_response(),
        Err(error) => failed(&error),
    }
}

async fn replay(State(state): State<Arc<Operate>>, Json(step): Json<Step>) -> Response {
    match letters::replay(&*state.stream, &state.plan, step).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => failed(&error),
    }
}

async fn forget(State(state): State<Arc<Operate>>, Json(wish): Json<Wish>) -> Response {
    let Some(store) = &state.store else {
        return (StatusCode::NOT_FOUND, "this process has no store\n").into_response();
    };
    match forget::forget(&*state.stream, &**store, &state.plan, &wish).await {
        Ok(receipt) => Json(receipt).into_response(),
        Err(error) => failed(&error),
    }
}

fn no_spool() -> Response {
    (StatusCode::NOT_FOUND, "this process has no spool\n").into_response()
}

async fn spool_list(State(state): State<Arc<Operate>>) -> Response {
    let Some(spool) = &state.spool else {
        return no_spool();
    };
    match spool.report().await {
        Ok(report) => Json(report).into_response(),
        Err(error) => failed(&error.into()),
    }
}

/// Lets the drainer try at once, and answers when the spool is empty or the drainer gave up.
async fn spool_drain(State(state): State<Arc<Operate>>) -> Response {
    let Some(spool) = &state.spool else {
        return no_spool();
    };
    let since = Instant::now();
    spool.nudge();
    loop {
        match spool.report().await {
            Ok(report) if report.events == 0 || since.elapsed() > DRAIN_PATIENCE => {
                return Json(report).into_response();
            }
            Ok(_) => tokio::time::sleep(POLL / 5).await,
            Err(error) => return failed(&error.into()),
        }
    }
}

/// What waits in the spool, a line each.
async fn spool_export(State(state): State<Arc<Operate>>) -> Response {
    let Some(spool) = state.spool.clone() else {
        return no_spool();
    };
    match spool.waiting(Kind::Raw).await {
        Ok(reader) => Body::from_stream(spool::lines(reader)).into_response(),
        Err(error) => failed(&error.into()),
    }
}

/// The values of a topic's records, a line each, until the reader goes or the process stops.
async fn tail(State(state): State<Arc<Operate>>, Path(topic): Path<String>) -> Response {
    let is_known = state.plan.topics.iter().any(|spec| spec.name == topic);
    if !is_known {
        return (StatusCode::NOT_FOUND, "no such topic\n").into_response();
    }
    let reader = match state.stream.subscribe(&[&topic], Start::Latest).await {
        Ok(reader) => reader,
        Err(error) => return failed(&error.into()),
    };
    let lines = stream::unfold(
        (reader, state.shutdown.clone()),
        |(mut reader, shutdown)| async {
            if shutdown.has_started() {
                return None;
            }
            let polled = reader.poll(MAX_RECORDS, POLL).await;
            let lines = polled.map(|batch| {
                let mut lines = BytesMut::new();
                for delivered in batch.records {
                    lines.extend_from_slice(&delivered.record.value);
                    lines.extend_from_slice(b"\n");
                }
                lines.freeze()
            });
            Some((lines, (reader, shutdown)))
        },
    );
    Body::from_stream(lines).into_response()
}
