//! Waiting between tries: exponential with full jitter.

use std::time::Duration;

use rand::RngExt as _;

use crate::Shutdown;

/// First upper bound of a wait: short, for most faults are.
const FIRST: Duration = Duration::from_millis(100);

/// Last upper bound of a wait: long enough to spare a server in trouble, short enough that its
/// return is noticed soon.
const LAST: Duration = Duration::from_secs(10);

/// A run of waits, each drawn between nothing and a bound that doubles from 100 ms to 10 s (full
/// jitter, so that many waiters do not return together).
#[derive(Debug, Clone)]
pub struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: FIRST }
    }
}

impl Backoff {
    /// Waits before the next try; returns at once, with `false`, when shutdown starts.
    pub async fn wait(&mut self, shutdown: &Shutdown) -> bool {
        let drawn = rand::rng().random_range(0.0..=1.0_f64);
        let wait = self.bound.mul_f64(drawn).max(FIRST / 10);
        self.bound = (self.bound * 2).min(LAST);
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = shutdown.started() => false,
        }
    }

    /// Starts the run of waits again, after a success.
    pub fn reset(&mut self) {
        self.bound = FIRST;
    }
}
