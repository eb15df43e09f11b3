//! The way of events to one topic: straight to the stream, or through the spool.
//!
//! Every append has a number, in the order in which they came. On the direct way an append that
//! fails joins those that wait, at its number; the stream fails the others that are on the way too,
//! and once all of them have ended what waits is written to the spool in order, and everything that
//! comes meanwhile behind it. An append that merely takes too long turns the others with it: what is
//! on the way is spooled as well, and reaches the stream twice where that takes it after all. On the
//! way back, once the stream acknowledges in time again, the lane is closed for the last records of
//! the spool: what comes waits for them and then goes straight, again in order.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use stream::{AppendError, Appending, Record, Stream};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::in_flight::{InFlight, Place};
use super::{Kind, Spool};

/// An append is not overdue before this until the first was acknowledged: a client that has just started
/// finds its brokers first, asking again every half second.
const FIRST: Duration = Duration::from_secs(2);

/// Looks at the age of the oldest append in the time that it may take: it is late by two of them at most.
const LOOKS: u32 = 20;

/// A way to one topic.
pub(crate) struct Lane {
    pub(super) topic: String,
    pub(super) kind: Kind,
    pub(super) stream: Arc<dyn Stream>,
    pub(super) spool: Option<Arc<Spool>>,
    /// How long an append may take on a way that it cannot leave.
    timeout: Duration,
    state: Mutex<State>,
    /// Whether the stream has acknowledged anything on the direct way.
    has_acknowledged: AtomicBool,
    /// An append goes its direct way where there was none.
    begun: Notify,
    /// Something may be there to be written to the spool.
    gathered: Notify,
    /// The way may have changed.
    turned: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Spool,
    /// The last records of the spool are on their way to the stream.
    Closed,
}

struct State {
    way: Way,
    next_number: u64,
    in_flight: InFlight,
    /// Whether records are being written to the spool.
    is_writing: bool,
    waiting: BTreeMap<u64, Waiting>,
    /// Why the stream is not used.
    reason: String,
}

struct Waiting {
    records: Vec<Record>,
    answer: oneshot::Sender<Result<(), AppendError>>,
}

type Answer = oneshot::Receiver<Result<(), AppendError>>;

impl Lane {
    /// A lane to `topic`; through the spool first where something lies in it. An append fails after
    /// `timeout` where nothing else ends it.
    pub(crate) fn new(
        topic: String,
        kind: Kind,
        stream: Arc<dyn Stream>,
        spool: Option<Arc<Spool>>,
        timeout: Duration,
    ) -> Self {
        let has_waiting = spool.as_ref().is_some_and(|spool| spool.is_waiting(kind));
        let state = State {
            way: match has_waiting {
                true => Way::Spool,
                false => Way::Direct,
            },
            next_number: 0,
            in_flight: InFlight::new(),
            is_writing: false,
            waiting: BTreeMap::new(),
            reason: "what was left at the last stop is sent first".into(),
        };
        Self {
            topic,
            kind,
            stream,
            spool,
            timeout,
            state: Mutex::new(state),
            has_acknowledged: AtomicBool::new(false),
            begun: Notify::new(),
            gathered: Notify::new(),
            turned: Notify::new(),
        }
    }

    /// Makes records durable, on the stream or in the spool. They are asked for again where the stream
    /// fails; refused at once where the spool is in use and takes none.
    ///
    /// What waits on the direct way is small, for each request under way has it; other ways are boxed.
    pub(crate) async fn append(
        &self,
        records: impl Fn() -> Vec<Record>,
    ) -> Result<(), AppendError> {
        match self.set_out() {
            Some(journey) => self.go(journey, &records).await,
            None => Box::pin(self.indirect(&records)).await,
        }
    }

    async fn go(
        &self,
        journey: Journey<'_>,
        records: &impl Fn() -> Vec<Record>,
    ) -> Result<(), AppendError> {
        let appending = self.stream.append(&self.topic, &records());
        match self.in_time(appending, journey.place).await {
            Err(AppendError::Unavailable(reason) | AppendError::Full(reason)) => {
                let answer = journey.turn(records(), reason);
                Box::pin(self.within(wait(answer))).await
            }
            settled => settled,
        }
    }

    async fn indirect(&self, records: &impl Fn() -> Vec<Record>) -> Result<(), AppendError> {
        let Some(spool) = &self.spool else {
            let appending = self.stream.append(&self.topic, &records());
            return self.within(appending).await;
        };
        if let Some(refusal) = spool.refusal() {
            return Err(AppendError::Full(refusal));
        }
        match self.enter(records()) {
            Entered::Direct(journey) => self.go(journey, records).await,
            Entered::Waiting(answer) => self.within(wait(answer)).await,
        }
    }

    /// Why the spool is in use, while it is.
    pub(crate) fn detour(&self) -> Option<String> {
        let state = self.state();
        (state.way != Way::Direct).then(|| state.reason.clone())
    }

    /// Begins an append on the direct way, where there is a choice of ways and that is open.
    fn set_out(&self) -> Option<Journey<'_>> {
        self.spool.as_ref()?;
        self.direct(&mut self.state())
    }

    /// Begins an append on the way that is open.
    fn enter(&self, records: Vec<Record>) -> Entered<'_> {
        let mut state = self.state();
        if let Some(journey) = self.direct(&mut state) {
            return Entered::Direct(journey);
        }
        let number = state.number();
        let answer = state.gather(number, records);
        if state.can_write() {
            self.gathered.notify_one();
        }
        Entered::Waiting(answer)
    }

    fn direct(&self, state: &mut State) -> Option<Journey<'_>> {
        (state.way == Way::Direct).then(|| Journey {
            lane: self,
            number: state.number(),
            place: self.begin(state),
        })
    }

    /// Counts an append on its direct way.
    fn begin(&self, state: &mut State) -> Place {
        if state.in_flight.count() == 0 {
            self.begun.notify_one();
        }
        state.in_flight.begin()
    }

    /// The outcome of an append on its direct way; a failure once it or another has taken too long.
    fn in_time(
        &self,
        appending: Appending<'_>,
        place: Place,
    ) -> impl Future<Output = Result<(), AppendError>> {
        let (mut appending, mut place) = (appending, place);
        async move {
            let appended = match self.until_told(&mut appending, place).await {
                Some(appended) => appended,
                None => {
                    // The spool takes nothing; the stream, slow as it is, may still.
                    let patient = async {
                        loop {
                            place = self.state().in_flight.again(place);
                            if let Some(appended) = self.until_told(&mut appending, place).await {
                                return appended;
                            }
                        }
                    };
                    Box::pin(self.within(patient)).await
                }
            };
            if appended.is_ok() && !self.has_acknowledged.load(Ordering::Relaxed) {
                self.has_acknowledged.store(true, Ordering::Relaxed);
            }
            appended
        }
    }

    /// The outcome of an append, or its failure where the lane was turned; `None` where some took too long
    /// and the lane was not.
    fn until_told(
        &self,
        appending: &mut Appending<'_>,
        place: Place,
    ) -> impl Future<Output = Option<Result<(), AppendError>>> {
        poll_fn(move |cx| {
            if let Poll::Ready(appended) = Pin::new(&mut *appending).poll(cx) {
                return Poll::Ready(Some(appended));
            }
            if !self.state().in_flight.is_told(place, cx.waker()) {
                return Poll::Pending;
            }
            let reason = self.detour();
            Poll::Ready(reason.map(|reason| Err(AppendError::Unavailable(reason))))
        })
    }

    async fn within(
        &self,
        appending: impl Future<Output = Result<(), AppendError>>,
    ) -> Result<(), AppendError> {
        let appended = timeout(self.timeout, appending).await;
        let reason = || format!("no answer within {:?}", self.timeout);
        appended.unwrap_or_else(|_| Err(AppendError::Unavailable(reason())))
    }

    /// Turns the lane to the spool once an append takes too long on its direct way.
    pub(super) async fn watch(&self, spool: &Spool) {
        loop {
            if self.state().in_flight.count() == 0 {
                self.begun.notified().await;
            }
            sleep(spool.options.after / LOOKS).await;
            let after = match self.has_acknowledged.load(Ordering::Relaxed) {
                true => spool.options.after,
                false => spool.options.after.max(FIRST),
            };
            if self.state().in_flight.look() < after {
                continue;
            }
            let is_refused = spool.refusal().is_some();
            let mut state = self.state();
            if !is_refused {
                state.turn(&format!("no acknowledgement within {after:?}"));
            }
            state.in_flight.tell();
        }
    }

    /// Writes what waits to the spool, whenever it may.
    pub(super) async fn write(&self, spool: &Spool) {
        loop {
            while let Some(waiting) = self.take() {
                let records: Vec<_> = waiting
                    .values()
                    .flat_map(|one| &one.records)
                    .cloned()
                    .collect();
                let written = spool.append(self.kind, &records).await;
                for one in waiting.into_values() {
                    // The sender may have gone; its records are kept all the same.
                    let _ = one.answer.send(written.clone());
                }
                self.state().is_writing = false;
                self.turned.notify_one();
            }
            self.gathered.notified().await;
        }
    }

    fn take(&self) -> Option<BTreeMap<u64, Waiting>> {
        let mut state = self.state();
        if !state.can_write() {
            return None;
        }
        state.is_writing = true;
        Some(std::mem::take(&mut state.waiting))
    }

    /// Waits until the lane leads through the spool.
    pub(super) async fn turned(&self) {
        while self.state().way == Way::Direct {
            self.turned.notified().await;
        }
    }

    /// Waits until something may have been written to the spool, or been given up.
    pub(super) async fn changed(&self) {
        self.turned.notified().await;
    }

    /// Closes the lane, so that the spool grows no more once [`Lane::is_still`] says so; false while
    /// appends are on their direct way, for these come before what follows them, and while something
    /// is there to be spooled and the stream is not known to be prompt.
    pub(super) fn close(&self, is_prompt: bool) -> bool {
        let mut state = self.state();
        let is_idle = state.waiting.is_empty() && !state.is_writing;
        let may_close = state.in_flight.count() == 0 && (is_prompt || is_idle);
        let may_close = state.way == Way::Closed || may_close;
        if may_close {
            state.way = Way::Closed;
        }
        may_close
    }

    /// Lets what comes into the spool again, for it is not soon empty after all.
    pub(super) fn open(&self) {
        let mut state = self.state();
        if state.way == Way::Closed {
            state.way = Way::Spool;
            self.gathered.notify_one();
        }
    }

    /// Whether nothing is being written to the spool.
    pub(super) fn is_still(&self) -> bool {
        !self.state().is_writing
    }

    /// Goes on spooling: the stream does not take what was sent to it.
    pub(super) fn reopen(&self, reason: &str) {
        let mut state = self.state();
        state.way = Way::Spool;
        reason.clone_into(&mut state.reason);
        self.gathered.notify_one();
    }

    /// Turns back to the direct way, what waits first.
    pub(super) async fn release(&self) -> Result<(), AppendError> {
        let records: Vec<Record>;
        let (waiting, place, first, appending) = {
            let mut state = self.state();
            state.way = Way::Direct;
            if state.waiting.is_empty() {
                return Ok(());
            }
            let waiting = std::mem::take(&mut state.waiting);
            records = waiting
                .values()
                .flat_map(|one| &one.records)
                .cloned()
                .collect();
            let mut appending = self.stream.append(&self.topic, &records);
            // The first poll hands the records over, before any append that comes behind.
            let mut context = Context::from_waker(Waker::noop());
            let first = Pin::new(&mut appending).poll(&mut context);
            let place = self.begin(&mut state);
            (waiting, place, first, appending)
        };
        let appended = match first {
            Poll::Ready(appended) => appended,
            Poll::Pending => self.in_time(appending, place).await,
        };
        let mut state = self.state();
        state.in_flight.end(place);
        match appended {
            Ok(()) | Err(AppendError::Closed | AppendError::Rejected { .. }) => {
                for one in waiting.into_values() {
                    let _ = one.answer.send(appended.clone());
                }
                // An append may have failed behind these and wait for them to end.
                if state.can_write() {
                    self.gathered.notify_one();
                }
                Ok(())
            }
            Err(error) => {
                state.turn(&error.to_string());
                state.waiting.extend(waiting);
                if state.can_write() {
                    self.gathered.notify_one();
                }
                Err(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// That of the append that comes now.
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    fn can_write(&self) -> bool {
        let may_write = self.way == Way::Spool && self.in_flight.count() == 0 && !self.is_writing;
        may_write && !self.waiting.is_empty()
    }

    fn gather(&mut self, number: u64, records: Vec<Record>) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.waiting.insert(number, Waiting { records, answer });
        answered
    }

    fn turn(&mut self, reason: &str) {
        if self.way == Way::Direct {
            self.way = Way::Spool;
            reason.clone_into(&mut self.reason);
        }
    }
}

async fn wait(answer: Answer) -> Result<(), AppendError> {
    answer.await.unwrap_or(Err(AppendError::Closed))
}

enum Entered<'a> {
    Direct(Journey<'a>),
    Waiting(Answer),
}

/// An append on its direct way; dropping it ends the journey, also where the sender went away.
struct Journey<'a> {
    lane: &'a Lane,
    number: u64,
    place: Place,
}

impl Journey<'_> {
    /// Turns the lane to the spool and gathers the records at their number.
    fn turn(self, records: Vec<Record>, reason: String) -> Answer {
        let mut state = self.lane.state();
        state.turn(&reason);
        state.gather(self.number, records)
    }
}

impl Drop for Journey<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.state();
        state.in_flight.end(self.place);
        if state.way != Way::Direct && state.in_flight.count() == 0 {
            self.lane.gathered.notify_one();
            self.lane.turned.notify_one();
        }
    }
}
