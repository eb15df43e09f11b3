//! The suite that every back end passes.
//!
//! A back end implements [`Harness`] and calls [`run_all`]. Each case uses topics and groups of
//! its own, so that all of them share one server, and a failed expectation panics with the name of
//! its case. Nothing is asserted about time but that what must come comes within [`PATIENCE`].
//!
//! - `case`: what cases share
//! - `groups`: sharing the work, committing, taking over
//! - `reading`: where readers start and what they get
//! - `topics`: creating and describing
//! - `writing`: what is kept, what is refused, what closing means

mod case;
mod groups;
mod reading;
mod topics;
mod writing;

use std::time::Duration;

use async_trait::async_trait;

use crate::Stream;
use case::Case;

/// How long a case waits for what must come: a real broker forms a group in seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A back end under test.
#[async_trait]
pub trait Harness: Sync {
    /// Opens the stream. Called again after the stream of the call before was closed and dropped,
    /// it finds what was appended then.
    async fn open(&self) -> Box<dyn Stream>;

    /// Begins the names of all topics and groups; unlike that of any other run on one server.
    fn prefix(&self) -> &str;
}

/// Runs every case.
///
/// # Panics
/// When a case fails, naming it.
pub async fn run_all(harness: &impl Harness) {
    let stream = harness.open().await;
    let case = |name| Case::new(&*stream, harness.prefix(), name);
    topics::are_created_once(&case("topics_are_created_once")).await;
    topics::missing_one_is_described_as_none(&case("missing_topic_is_described_as_none")).await;
    topics::bad_name_is_refused(&case("bad_topic_name_is_refused")).await;
    writing::bytes_survive(&case("bytes_survive")).await;
    writing::every_record_arrives_in_order_per_key(&case("every_record_arrives_in_order_per_key"))
        .await;
    writing::unkeyed_records_arrive(&case("unkeyed_records_arrive")).await;
    writing::empty_append_is_accepted(&case("empty_append_is_accepted")).await;
    writing::oversized_record_is_rejected(&case("oversized_record_is_rejected")).await;
    writing::missing_topic_is_unavailable(&case("missing_topic_is_unavailable")).await;
    reading::starts_where_it_says(&case("reading_starts_where_it_says")).await;
    reading::waits_for_what_comes(&case("reading_waits_for_what_comes")).await;
    reading::polls_are_bounded(&case("polls_are_bounded")).await;
    reading::dropped_poll_loses_nothing(&case("dropped_poll_loses_nothing")).await;
    reading::lone_reader_cannot_commit(&case("lone_reader_cannot_commit")).await;
    reading::several_topics_are_read_together(&case("several_topics_are_read_together")).await;
    groups::uncommitted_records_come_again(&case("uncommitted_records_come_again")).await;
    groups::are_independent(&case("groups_are_independent")).await;
    groups::members_share_and_take_over(&case("members_share_and_take_over")).await;
    groups::lag_reaches_zero(&case("lag_reaches_zero")).await;
    let case = case("closing_flushes");
    let appended = writing::closing_flushes(&case).await;
    let (name, topic) = (case.name, case.topic_name("closing"));
    drop(stream);
    let stream = harness.open().await;
    let case = Case::new(&*stream, harness.prefix(), name);
    writing::closed_stream_kept_everything(&case, &topic, &appended).await;
    let closed = stream.close(PATIENCE).await;
    assert_eq!(closed, Ok(()), "closing the stream opened again");
}
