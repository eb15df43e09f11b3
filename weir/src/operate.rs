//! What the admin listener offers to commands while this process holds the data folder.

use std::sync::Arc;
use std::time::Duration;

use ::stream::{Start, Stream};
use axum::Router;
use axum::body::Body;
use axum::extract::{Json, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::BytesMut;
use futures_util::stream;
use http::StatusCode;
use runtime::Shutdown;

use crate::commands::dlq;
use crate::letters::{self, Selection, Step};
use crate::plan::Plan;

/// Records of a tail handed out at a time.
const MAX_RECORDS: usize = 1_000;

/// Longest wait for them: how soon a stop is noticed.
const POLL: Duration = Duration::from_millis(500);

struct Operate {
    plan: Plan,
    stream: Arc<dyn Stream>,
    shutdown: Shutdown,
}

/// Routes for `weir tail` and `weir dlq`.
pub(crate) fn router(plan: &Plan, stream: Arc<dyn Stream>, shutdown: Shutdown) -> Router {
    let state = Operate {
        plan: plan.clone(),
        stream,
        shutdown,
    };
    Router::new()
        .route("/topics/{topic}/tail", get(tail))
        .route("/dlq/list", post(list))
        .route("/dlq/replay", post(replay))
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
