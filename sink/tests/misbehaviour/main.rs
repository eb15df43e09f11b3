//! The sink against a server that misbehaves by script: every document is stored once or lies on
//! the dead topic with its reason, and all is committed.
//!
//! Each script runs over a memory, and with `make test` over a real engine too.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod rig;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rig::{CLOSED_DAY, DAY, Rig};
use server::{Script, Step, error};

/// A server that refuses each `every`-th item once for overload.
async fn overload(rig: Rig) {
    let script = Script::items(|asked| {
        let number: usize = asked.id.trim_start_matches("id-").parse().unwrap();
        let is_put_off = number % 3 == 0 && asked.times < 4;
        is_put_off.then(|| error(429, "es_rejected_execution_exception", "queue is full"))
    });
    let run = rig.run(script, &[(DAY, 60)]).await;
    run.all_stored_once(60).await;
    run.no_letters().await;
}

async fn too_large(rig: Rig) {
    let script = Script::requests(|_, bytes| match bytes {
        0..1_000 => Step::Serve,
        _ => Step::Status(413),
    });
    let run = rig.run(script, &[(DAY, 60)]).await;
    run.all_stored_once(60).await;
    run.no_letters().await;
}

/// The first two requests go wrong in the given way, whether or not their documents were written.
async fn broken(rig: Rig, step: Step) {
    let script = Script::requests(move |nth, _| if nth < 2 { step } else { Step::Serve });
    let run = rig.run(script, &[(DAY, 60)]).await;
    run.all_stored_once(60).await;
    run.no_letters().await;
    assert!(run.server.requests() > 2);
}

/// Credentials that are refused for a while are no reason for dead letters.
async fn refused_credentials(rig: Rig) {
    let script = Script::requests(|nth, _| match nth {
        1..5 => Step::Status(401),
        _ => Step::Serve,
    });
    let run = rig.run(script, &[(DAY, 60)]).await;
    run.all_stored_once(60).await;
    run.no_letters().await;
}

/// One document at fault among many: the others are stored, and the letter says where and why.
async fn poison(rig: Rig) {
    let script = Script::items(|asked| {
        let reason = "failed to parse field [received_at] of type [date]: secret";
        (asked.id == "id-7").then(|| error(400, "document_parsing_exception", reason))
    });
    let run = rig.run(script, &[(DAY, 60)]).await;
    run.stored_once_but(60, "id-7").await;
    let letter = run.only_letter().await;
    assert_eq!(letter.code, event::Code::StoreRefused);
    let index = format!("{}-{DAY}", run.prefix());
    let words =
        format!("The store refused it for {index}: document_parsing_exception, field received_at.");
    assert_eq!(letter.detail, words, "and nothing of the document");
    assert!(letter.cause.unwrap().contains("secret"));
    assert!(letter.id.starts_with("enriched-web-events-"), "its place");
}

/// A document over which the store fails again and again, while it takes the others.
async fn always_failing(rig: Rig) {
    let script = Script::items(|asked| {
        (asked.id == "id-7").then(|| error(500, "null_pointer_exception", "a bug"))
    });
    let run = rig.run(script, &[(DAY, 30)]).await;
    run.stored_once_but(30, "id-7").await;
    let letter = run.only_letter().await;
    assert!(letter.detail.contains("fails over it"), "{}", letter.detail);
}

/// A store that fails over everything for a while is in trouble itself.
async fn failing_store(rig: Rig) {
    let is_failing = Arc::new(AtomicBool::new(true));
    let flag = is_failing.clone();
    let script = Script::items(move |asked| {
        if asked.times > 12 {
            flag.store(false, Ordering::SeqCst);
        }
        let fails = flag.load(Ordering::SeqCst);
        fails.then(|| error(500, "engine_exception", "disk"))
    });
    let run = rig.run(script, &[(DAY, 5)]).await;
    assert!(!is_failing.load(Ordering::SeqCst));
    run.all_stored_once(5).await;
    run.no_letters().await;
}

/// An index that takes nothing does not hold up the others, and loses nothing.
async fn closed_index(rig: Rig) {
    let is_closed = Arc::new(AtomicBool::new(true));
    let flag = is_closed.clone();
    let script = Script::items(move |asked| {
        let is_refused = asked.index.ends_with(CLOSED_DAY) && flag.load(Ordering::SeqCst);
        is_refused.then(|| error(400, "index_closed_exception", "closed"))
    });
    let days = [(CLOSED_DAY, 10), (DAY, 200)];
    let running = rig.start(script, &days).await;
    running.wait_for(200).await;
    assert!(
        running.reasons().contains(CLOSED_DAY),
        "not ready, and says why: {}",
        running.reasons()
    );
    is_closed.store(false, Ordering::SeqCst);
    let run = running.finish(210).await;
    run.all_stored_once(210).await;
    run.no_letters().await;
}

macro_rules! scripts {
    ($($name:ident: $body:expr;)*) => {
        mod over_memory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let script: fn(Rig) -> _ = $body;
                script(Rig::memory()).await;
            })*
        }
        mod over_a_real_engine {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs a real engine: make test"]
            async fn $name() {
                let script: fn(Rig) -> _ = $body;
                script(Rig::engine()).await;
            })*
        }
    };
}

scripts! {
    items_put_off_are_written_later: overload;
    requests_that_are_too_large_are_split: too_large;
    truncated_answers_are_not_believed: |rig| broken(rig, Step::Truncate);
    connections_reset_after_writing_double_nothing: |rig| broken(rig, Step::Reset);
    answers_of_another_length_are_not_believed: |rig| broken(rig, Step::Miscount);
    silent_requests_are_sent_again: |rig| broken(rig, Step::Hang);
    credentials_refused_for_a_while_make_no_letters: refused_credentials;
    poison_costs_only_itself: poison;
    document_that_always_fails_becomes_a_letter: always_failing;
    store_that_fails_over_all_makes_no_letters: failing_store;
    closed_index_holds_up_only_its_own: closed_index;
}
