//! The visitors that were forgotten, as the topic of tombstones says: read whole before a stage takes
//! its first record, then followed.
//!
//! The enricher looks, and the sink looks again, for what was enriched before.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use event::Forgotten;
use runtime::{Backoff, Component, Shutdown};
use stream::table::{State, Table};
use stream::{Stream, StreamError};

/// Time between two looks for a topic that is not there: it is made at the latest when the first
/// visitor is forgotten.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Reads the tombstones.
pub struct Graveyard {
    table: Table,
    live: Arc<ArcSwap<Forgotten>>,
    health: Component,
}

impl Graveyard {
    /// Reads the topic into `live`.
    pub fn new(
        stream: Arc<dyn Stream>,
        topic: &str,
        live: Arc<ArcSwap<Forgotten>>,
        health: Component,
    ) -> Self {
        Self {
            table: Table::new(stream, topic),
            live,
            health,
        }
    }

    /// Reads what is there, however long the stream is away; `false` when shutdown came first.
    pub async fn load(&mut self, shutdown: &Shutdown) -> bool {
        let mut backoff = Backoff::default();
        loop {
            let read = tokio::select! {
                read = self.read() => read,
                () = shutdown.started() => return false,
            };
            match read {
                Ok(State::Loading) => {}
                Ok(State::Absent | State::Loaded) => return true,
                Err(_) if !backoff.wait(shutdown).await => return false,
                Err(_) => {}
            }
        }
    }

    /// Follows the topic for as long as it is polled: beside the stage that looks at what was read.
    pub async fn follow(mut self, shutdown: &Shutdown) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            match self.read().await {
                Ok(State::Absent) => tokio::time::sleep(LOOK_INTERVAL).await,
                Ok(_) => backoff.reset(),
                Err(_) if !backoff.wait(shutdown).await => return std::future::pending().await,
                Err(_) => {}
            }
        }
    }

    async fn read(&mut self) -> Result<State, StreamError> {
        let mut records = Vec::new();
        let read = self.table.next(|record| records.push(record.clone())).await;
        if !records.is_empty() {
            let mut forgotten = Forgotten::clone(&self.live.load());
            for record in records {
                let key = record.key.unwrap_or_default();
                if !forgotten.take(&key, &record.value) {
                    tracing::warn!("a record of the topic of tombstones is none");
                }
            }
            self.live.store(forgotten.into());
        }
        match &read {
            Ok(State::Loading) => self.health.not_ready("reading the tombstones"),
            Ok(_) => self.health.ready(),
            Err(error) => self.health.not_ready(&error.to_string()),
        }
        read
    }
}
