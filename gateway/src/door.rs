//! Who asks, and whether they may send: known before a body is read.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use runtime::http::Fields;

use crate::problem::Problem;
use crate::sender::Sender;
use crate::source::Known;
use crate::{Gateway, cors};

/// What is known of a request but its body.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) fields: Fields<'a>,
    pub(crate) query: Option<&'a str>,
}

/// Lets a request in, or says why not. The order is that of what a client can do about it.
pub(crate) fn enter<'a>(gateway: &'a Gateway, asked: Asked<'a>) -> Result<Sender<'a>, Problem> {
    let source = gateway.sources.find(asked.fields, asked.query)?;
    if !cors::is_allowed(origins(gateway, source), asked.fields) {
        return Err(Problem::OriginRefused);
    }
    let sender = Sender::new(gateway, asked.fields, asked.peer, source);
    let wait = |wait: Duration| Problem::RateLimited(wait.as_secs() + 1);
    if let Some(clients) = &gateway.clients {
        clients.take(sender.address).map_err(wait)?;
    }
    if let Some(allowance) = source.and_then(|known| known.allowance.as_ref()) {
        allowance.take().map_err(wait)?;
    }
    Ok(sender)
}

/// Charges the events that a request had beside its first.
pub(crate) fn charge(gateway: &Gateway, sender: &Sender<'_>, events: usize) {
    if let Some(clients) = &gateway.clients {
        clients.charge(sender.address, events.saturating_sub(1));
    }
    if let Some(allowance) = sender.source.and_then(|known| known.allowance.as_ref()) {
        allowance.charge(events.saturating_sub(1));
    }
}

/// Origins of pages that may send with the key of a source, or without one.
pub(crate) fn origins<'a>(gateway: &'a Gateway, source: Option<&'a Known>) -> &'a [String] {
    match source.map(|known| &known.source.origins) {
        Some(own) if !own.is_empty() => own,
        _ => &gateway.config.allowed_origins,
    }
}

/// Origins of pages that may read the answer to a request whether it was let in or not. A preflight
/// carries no key in its headers: then it is any origin that some source lets in.
pub(crate) fn readers<'a>(gateway: &'a Gateway, asked: Asked<'_>) -> Cow<'a, [String]> {
    match gateway.sources.find(asked.fields, asked.query) {
        Ok(source) => Cow::Borrowed(origins(gateway, source)),
        Err(_) => {
            let own = gateway.config.allowed_origins.iter();
            own.chain(gateway.sources.origins()).cloned().collect()
        }
    }
}
