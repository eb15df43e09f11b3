//! Answers `/collect`: read, decode, check, append.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::body::HttpBody as Body;
use axum::extract::{ConnectInfo, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use event::{Code, DeadLetter, Stage, header as header_names, time};
use serde_json::json;
use stream::{AppendError, Header, Record};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use crate::admit::{Admission, Admitted};
use crate::batch::Batch;
use crate::config::Config;
use crate::door::{self, Asked};
use crate::problem::Problem;
use crate::sender::Sender;
use crate::spool::Lane;
use crate::{Gateway, body, cors, pixel, source, visitor};

/// Those of every record: the format that this version writes.
static HEADERS: LazyLock<Arc<[Header]>> = LazyLock::new(|| {
    let format = Bytes::from_static(header_names::FORMAT.as_bytes());
    [(header_names::FORMAT_NAME, format).into()].into()
});

/// What became of a request's events.
struct Kept {
    accepted: usize,
    dead_lettered: Vec<(usize, Code)>,
    /// What the browser is to keep, or to forget.
    cookie: Option<HeaderValue>,
}

/// [`answer`] as the router calls it.
pub(crate) async fn post(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    answer(&gateway, peer, request).await
}

/// Answers a request with events.
pub(crate) async fn answer<B>(gateway: &Gateway, peer: SocketAddr, request: Request<B>) -> Response
where
    B: Body<Data = Bytes> + Unpin,
{
    let since = Instant::now();
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let asked = Asked {
        peer,
        headers,
        query: parts.uri.query(),
    };
    let mut response = match take(gateway, asked, body).await {
        Ok(kept) if kept.dead_lettered.is_empty() => {
            with_cookie(StatusCode::NO_CONTENT.into_response(), kept.cookie)
        }
        Ok(kept) => with_cookie(partly(&kept), kept.cookie),
        Err(problem) => problem.into_response(),
    };
    let readers = door::readers(gateway, asked);
    cors::allow(&readers, headers, response.headers_mut());
    gateway
        .metrics
        .request_seconds
        .observe(since.elapsed().as_secs_f64());
    response
}

pub(crate) async fn pixel(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Asked {
        peer,
        headers: &headers,
        query: query.as_deref(),
    };
    let without = gateway
        .sources
        .are_configured()
        .then_some(source::PARAMETER);
    let event = pixel::event(asked.query.unwrap_or_default(), without);
    let kept = match door::enter(&gateway, asked) {
        Ok(sender) => keep(&gateway, &sender, event.as_bytes(), false).await,
        Err(problem) => {
            gateway.metrics.received.inc();
            gateway.metrics.refused(&problem, 1);
            Err(problem)
        }
    };
    let mut response = match kept {
        Ok(kept) => {
            let image = ([(header::CONTENT_TYPE, "image/gif")], pixel::GIF);
            with_cookie(image.into_response(), kept.cookie)
        }
        Err(problem) => problem.into_response(),
    };
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    let readers = door::readers(&gateway, asked);
    cors::allow(&readers, &headers, response.headers_mut());
    response
}

pub(crate) async fn preflight(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = Asked {
        peer,
        headers: &headers,
        query: query.as_deref(),
    };
    let readers = door::readers(&gateway, asked);
    let mut response = StatusCode::NO_CONTENT.into_response();
    cors::allow(&readers, &headers, response.headers_mut());
    if cors::is_allowed(&readers, &headers) {
        cors::allow_preflight(response.headers_mut());
    }
    response
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn partly(kept: &Kept) -> Response {
    let letters: Vec<_> = kept
        .dead_lettered
        .iter()
        .map(|(index, code)| json!({ "index": index, "code": code.name() }))
        .collect();
    let body = json!({ "accepted": kept.accepted, "dead_lettered": letters });
    (
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

async fn take<B>(gateway: &Gateway, asked: Asked<'_>, body: B) -> Result<Kept, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let read = async {
        let sender = door::enter(gateway, asked)?;
        let is_ndjson = is_ndjson(asked.headers)?;
        let mut room = room(gateway, asked.headers)?;
        let body = body::read(&gateway.config, asked.headers, body, &mut room).await?;
        Ok((body, is_ndjson, sender, room))
    };
    match read.await {
        Ok((body, is_ndjson, sender, _room)) => keep(gateway, &sender, &body, is_ndjson).await,
        Err(problem) => {
            gateway.metrics.received.inc();
            gateway.metrics.refused(&problem, 1);
            Err(problem)
        }
    }
}

/// Whether the body is lines of JSON, by its content type.
fn is_ndjson(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(false);
    };
    let value = value.to_str().unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    let is_one_of = |types: &[&str]| types.iter().any(|one| essence.eq_ignore_ascii_case(one));
    match is_one_of(&["", "application/json", "text/plain"]) {
        true => Ok(false),
        false if is_one_of(&["application/x-ndjson"]) => Ok(true),
        false => Err(Problem::UnsupportedMediaType),
    }
}

/// Takes a place in the budget of bytes under way, or refuses at once.
fn room(gateway: &Gateway, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, Problem> {
    let max = gateway.config.max_body_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse().ok());
    let bytes = announced.unwrap_or(max).min(max);
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    gateway
        .budget
        .clone()
        .try_acquire_many_owned(bytes)
        .map_err(|_| Problem::Overloaded)
}

async fn keep(
    gateway: &Gateway,
    sender: &Sender<'_>,
    body: &[u8],
    is_ndjson: bool,
) -> Result<Kept, Problem> {
    let (config, metrics) = (&gateway.config, &gateway.metrics);
    let sorted = sort(config, sender, body, is_ndjson).inspect_err(|problem| {
        metrics.received.inc();
        metrics.refused(problem, 1);
    })?;
    let Sorted {
        fit,
        unfit,
        dropped,
        is_private,
    } = sorted;
    let (accepted, count) = (fit.len(), fit.len() + unfit.len() + dropped);
    metrics.received.inc_by(count as u64);
    door::charge(gateway, sender, count);
    if unfit.len() == count {
        unfit
            .iter()
            .for_each(|(_, code, _)| metrics.rejected(*code));
        let unfit = unfit.into_iter().map(|(index, code, _)| (index, code));
        return Err(Problem::Unfit(unfit.collect()));
    }
    let letters = unfit
        .iter()
        .map(|(_, code, event)| letter(event, *code, sender));
    let letters: Vec<Record> = letters.collect();
    let appended = async {
        append(gateway, &gateway.raw, fit).await?;
        append(gateway, &gateway.dead, letters).await
    };
    appended
        .await
        .inspect_err(|problem| metrics.refused(problem, count as u64))?;
    metrics.accepted.inc_by(accepted as u64);
    metrics.dropped.inc_by(dropped as u64);
    unfit
        .iter()
        .for_each(|(_, code, _)| metrics.dead_lettered(*code));
    Ok(Kept {
        accepted,
        dead_lettered: unfit
            .into_iter()
            .map(|(index, code, _)| (index, code))
            .collect(),
        cookie: visitor::answer(
            &sender.visitor,
            &config.visitor_id,
            is_private || dropped > 0,
        ),
    })
}

/// The events of a request.
struct Sorted<'a> {
    fit: Vec<Record>,
    /// Index, reason and text of each.
    unfit: Vec<(usize, Code, &'a str)>,
    /// How many privacy dropped.
    dropped: usize,
    is_private: bool,
}

/// Reads and checks every event of a body.
fn sort<'a>(
    config: &Config,
    sender: &Sender<'_>,
    body: &'a [u8],
    is_ndjson: bool,
) -> Result<Sorted<'a>, Problem> {
    let mut members = Vec::with_capacity(32);
    let mut batch = Batch::open(body, is_ndjson, config.max_events, &mut members)?;
    let shared = std::mem::take(&mut batch.shared);
    let mut admission = Admission::new(sender, config, &shared, body.len());
    let mut sorted = Sorted {
        fit: Vec::new(),
        unfit: Vec::new(),
        dropped: 0,
        is_private: false,
    };
    let (mut index, mut fit) = (0, Vec::new());
    while let Some(event) = batch.next(&mut members)? {
        match admission.admit(&event, &mut members) {
            Ok(Some(admitted)) => {
                sorted.is_private |= admitted.is_private;
                fit.push(admitted);
            }
            Ok(None) => sorted.dropped += 1,
            Err(code) => sorted.unfit.push((index, code, event.raw)),
        }
        index += 1;
    }
    let written = admission.written();
    let records = fit.into_iter().map(|one| record(one, &written, sender));
    sorted.fit = records.collect();
    Ok(sorted)
}

fn record(admitted: Admitted, written: &Bytes, sender: &Sender<'_>) -> Record {
    Record {
        key: Some(written.slice(admitted.key)),
        value: written.slice(admitted.value),
        headers: HEADERS.clone(),
        timestamp_ms: sender.received_at.as_millisecond(),
    }
}

fn letter(event: &str, code: Code, sender: &Sender<'_>) -> Record {
    let id = Uuid::now_v7().to_string();
    let original = event.to_owned().into();
    let at = time::format(sender.received_at);
    let letter = DeadLetter::new(id, Stage::Gateway, code, at, original);
    Record {
        key: Some(letter.id.clone().into()),
        headers: letter.headers().into_iter().map(Header::from).collect(),
        value: letter.original,
        timestamp_ms: sender.received_at.as_millisecond(),
    }
}

async fn append(gateway: &Gateway, lane: &Lane, records: Vec<Record>) -> Result<(), Problem> {
    if records.is_empty() {
        return Ok(());
    }
    if gateway.config.fails_fast && !gateway.is_ready() {
        return Err(Problem::NotDurable);
    }
    if let Some(refusal) = lane.refusal() {
        gateway.not_ready(&refusal);
        return Err(Problem::SpoolFull);
    }
    let appending = lane.append(records);
    let Ok(appended) = tokio::time::timeout(gateway.config.append_timeout, appending).await else {
        gateway.not_ready("the stream does not answer in time");
        return Err(Problem::NotDurable);
    };
    match appended {
        Ok(()) => {
            gateway.ready();
            Ok(())
        }
        Err(AppendError::Closed) => Err(Problem::ShuttingDown),
        Err(error @ AppendError::Full(_)) => {
            gateway.not_ready(&error.to_string());
            Err(Problem::SpoolFull)
        }
        Err(error) => {
            gateway.not_ready(&error.to_string());
            Err(Problem::NotDurable)
        }
    }
}
