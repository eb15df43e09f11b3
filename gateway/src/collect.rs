//! Answers `/collect`: read, decode, check, append.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{ConnectInfo, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use event::{Code, DeadLetter, Stage, time};
use runtime::http::{self, Fields, Held, Reply, ReplyField, text};
use serde_json::json;
use stream::{AppendError, Header, Record};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use crate::admit::Admission;
use crate::batch::Batch;
use crate::body::{Body, Framed};
use crate::config::Config;
use crate::door::{self, Asked};
use crate::packed::Packed;
use crate::problem::Problem;
use crate::sender::Sender;
use crate::spool::Lane;
use crate::{Gateway, body, cors, pixel, source, visitor};

/// A request of which nothing more is needed but its events.
pub(crate) struct Taken {
    since: Instant,
    events: Result<Events, Problem>,
    /// What lets the page read the answer.
    cors: Cow<'static, [ReplyField]>,
}

/// The events of a request, ready for the stream.
struct Events {
    fit: Packed,
    /// What nearly all requests do without.
    besides: Option<Box<Besides>>,
    /// Their place in the budget of bytes under way.
    _room: Option<OwnedSemaphorePermit>,
}

struct Besides {
    letters: Vec<Record>,
    /// Index and reason of each event that is among the letters.
    unfit: Vec<(usize, Code)>,
    /// How many privacy dropped.
    dropped: usize,
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

/// Answers a request with events that hyper read.
pub(crate) async fn answer<B>(gateway: &Gateway, peer: SocketAddr, request: Request<B>) -> Response
where
    B: HttpBody<Data = Bytes, Error: Send> + Unpin + Send,
{
    let (parts, body) = request.into_parts();
    let fields = http::fields(&parts.headers);
    let asked = Asked {
        peer,
        fields: Fields::from(&*fields),
        query: parts.uri.query(),
    };
    let mut taken = take(gateway, asked, &mut Framed(body)).await;
    reply(gateway, &mut taken).await.into_response()
}

/// Reads and checks the events of a request.
pub(crate) async fn take(gateway: &Gateway, asked: Asked<'_>, body: &mut impl Body) -> Taken {
    let since = Instant::now();
    let readers = door::readers(gateway, asked);
    let cors = cors::allow(&readers, asked.fields);
    let events = match read(gateway, asked, body).await {
        Ok((body, is_ndjson, sender, room)) => {
            let events = events(gateway, &sender, &body, is_ndjson);
            events.map(|events| Events {
                _room: Some(room),
                ..events
            })
        }
        Err(problem) => {
            gateway.metrics.received.inc();
            gateway.metrics.refused(&problem, 1);
            Err(problem)
        }
    };
    Taken {
        since,
        events,
        cors,
    }
}

/// Answers a request once its events are durable.
pub(crate) async fn reply(gateway: &Gateway, taken: &mut Taken) -> Reply {
    let reply = match &taken.events {
        Ok(events) => match keep(gateway, events).await {
            Ok(()) => accepted(events),
            Err(problem) => problem.reply(),
        },
        Err(problem) => problem.reply(),
    };
    let seconds = taken.since.elapsed().as_secs_f64();
    gateway.metrics.request_seconds.observe(seconds);
    reply.with_all(std::mem::take(&mut taken.cors))
}

pub(crate) async fn pixel(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = http::fields(&headers);
    let asked = Asked {
        peer,
        fields: Fields::from(&*fields),
        query: query.as_deref(),
    };
    let without = gateway
        .sources
        .are_configured()
        .then_some(source::PARAMETER);
    let event = pixel::event(asked.query.unwrap_or_default(), without);
    let events = match door::enter(&gateway, asked) {
        Ok(sender) => events(&gateway, &sender, event.as_bytes(), false),
        Err(problem) => {
            gateway.metrics.received.inc();
            gateway.metrics.refused(&problem, 1);
            Err(problem)
        }
    };
    let kept = match events {
        Ok(events) => keep(&gateway, &events).await.map(|()| events.besides),
        Err(problem) => Err(problem),
    };
    let reply = match kept {
        Ok(besides) => {
            let image = Reply::new(StatusCode::OK).with_body("image/gif", pixel::GIF);
            let no_store = HeaderValue::from_static("no-store");
            let cookie = besides.and_then(|besides| besides.cookie);
            with_cookie(image, cookie).with(header::CACHE_CONTROL, no_store)
        }
        Err(problem) => problem.reply(),
    };
    let readers = door::readers(&gateway, asked);
    let reply = reply.with_all(cors::allow(&readers, asked.fields));
    reply.into_response()
}

pub(crate) async fn preflight(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let fields = http::fields(&headers);
    let asked = Asked {
        peer,
        fields: Fields::from(&*fields),
        query: query.as_deref(),
    };
    let readers = door::readers(&gateway, asked);
    let reply = Reply::new(StatusCode::NO_CONTENT).with_all(cors::allow(&readers, asked.fields));
    let reply = match cors::is_allowed(&readers, asked.fields) {
        true => reply.with_all(cors::allow_preflight()),
        false => reply,
    };
    reply.into_response()
}

fn with_cookie(reply: Reply, cookie: Option<HeaderValue>) -> Reply {
    match cookie {
        Some(cookie) => reply.with(header::SET_COOKIE, cookie),
        None => reply,
    }
}

fn accepted(events: &Events) -> Reply {
    let Some(besides) = &events.besides else {
        return Reply::new(StatusCode::NO_CONTENT);
    };
    let reply = match besides.unfit.is_empty() {
        true => Reply::new(StatusCode::NO_CONTENT),
        false => partly(events.fit.len(), &besides.unfit),
    };
    with_cookie(reply, besides.cookie.clone())
}

fn partly(accepted: usize, unfit: &[(usize, Code)]) -> Reply {
    let letters: Vec<_> = unfit
        .iter()
        .map(|(index, code)| json!({ "index": index, "code": code.name() }))
        .collect();
    let body = json!({ "accepted": accepted, "dead_lettered": letters });
    Reply::new(StatusCode::OK).with_body("application/json", body.to_string())
}

/// A body, whether it is lines of JSON, who sent it, and its place in the budget.
type Sent<'a> = (Held<'a>, bool, Sender<'a>, OwnedSemaphorePermit);

async fn read<'a>(
    gateway: &'a Gateway,
    asked: Asked<'a>,
    body: &'a mut impl Body,
) -> Result<Sent<'a>, Problem> {
    let sender = door::enter(gateway, asked)?;
    let is_ndjson = is_ndjson(asked.fields)?;
    let mut room = room(gateway, asked.fields)?;
    let body = body::read(&gateway.config, asked.fields, body, &mut room).await?;
    Ok((body, is_ndjson, sender, room))
}

/// Whether the body is lines of JSON, by its content type.
fn is_ndjson(fields: Fields<'_>) -> Result<bool, Problem> {
    let Some(value) = fields.get("content-type") else {
        return Ok(false);
    };
    let value = text(value).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    let is_one_of = |types: &[&str]| types.iter().any(|one| essence.eq_ignore_ascii_case(one));
    match is_one_of(&["", "application/json", "text/plain"]) {
        true => Ok(false),
        false if is_one_of(&["application/x-ndjson"]) => Ok(true),
        false => Err(Problem::UnsupportedMediaType),
    }
}

/// Takes a place in the budget of bytes under way, or refuses at once.
fn room(gateway: &Gateway, fields: Fields<'_>) -> Result<OwnedSemaphorePermit, Problem> {
    let max = gateway.config.max_body_bytes;
    let announced = fields
        .text("content-length")
        .and_then(|value| value.parse().ok());
    let bytes = announced.unwrap_or(max).min(max);
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    gateway
        .budget
        .clone()
        .try_acquire_many_owned(bytes)
        .map_err(|_| Problem::Overloaded)
}

/// Checks the events of a body, counts them, and makes their records.
fn events(
    gateway: &Gateway,
    sender: &Sender<'_>,
    body: &[u8],
    is_ndjson: bool,
) -> Result<Events, Problem> {
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
    let count = fit.len() + unfit.len() + dropped;
    metrics.received.inc_by(count as u64);
    door::charge(gateway, sender, count);
    let index_and_code = unfit.iter().map(|(index, code, _)| (*index, *code));
    let index_and_code: Vec<_> = index_and_code.collect();
    if unfit.len() == count {
        for (_, code) in &index_and_code {
            metrics.rejected(*code);
        }
        return Err(Problem::Unfit(index_and_code));
    }
    let is_private = is_private || dropped > 0;
    let cookie = visitor::answer(&sender.visitor, &config.visitor_id, is_private);
    let letter = |(_, code, event): &(usize, Code, &str)| letter(event, *code, sender);
    let has_besides = !unfit.is_empty() || dropped > 0 || cookie.is_some();
    let besides = has_besides.then(|| Besides {
        letters: unfit.iter().map(letter).collect(),
        unfit: index_and_code,
        dropped,
        cookie,
    });
    Ok(Events {
        fit,
        besides: besides.map(Box::new),
        _room: None,
    })
}

/// Makes events durable, and counts what became of them.
async fn keep(gateway: &Gateway, events: &Events) -> Result<(), Problem> {
    let accepted = events.fit.len();
    if accepted > 0 {
        let appended = append(gateway, &gateway.raw, || events.fit.records()).await;
        appended.inspect_err(|problem| refused(gateway, events, problem))?;
    }
    if let Some(besides) = &events.besides {
        if !besides.letters.is_empty() {
            let appending = append(gateway, &gateway.dead, || besides.letters.clone());
            let appended = Box::pin(appending).await;
            appended.inspect_err(|problem| refused(gateway, events, problem))?;
        }
        gateway.metrics.dropped.inc_by(besides.dropped as u64);
        for (_, code) in &besides.unfit {
            gateway.metrics.dead_lettered(*code);
        }
    }
    gateway.metrics.accepted.inc_by(accepted as u64);
    Ok(())
}

fn refused(gateway: &Gateway, events: &Events, problem: &Problem) {
    let besides = events.besides.as_deref();
    let besides = besides.map_or(0, |besides| besides.unfit.len() + besides.dropped);
    let count = events.fit.len() + besides;
    gateway.metrics.refused(problem, count as u64);
}

/// The events of a request.
struct Sorted<'a> {
    fit: Packed,
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
    let (mut index, mut unfit, mut dropped) = (0, Vec::new(), 0);
    while let Some(event) = batch.next(&mut members)? {
        match admission.admit(&event, &mut members) {
            Ok(true) => {}
            Ok(false) => dropped += 1,
            Err(code) => unfit.push((index, code, event.raw)),
        }
        index += 1;
    }
    Ok(Sorted {
        is_private: admission.is_private(),
        fit: admission.packed(),
        unfit,
        dropped,
    })
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

async fn append(
    gateway: &Gateway,
    lane: &Lane,
    records: impl Fn() -> Vec<Record>,
) -> Result<(), Problem> {
    if gateway.config.fails_fast && !gateway.is_ready() {
        return Err(Problem::NotDurable);
    }
    match lane.append(records).await {
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
