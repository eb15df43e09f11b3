//! A trickle of visitors for a first look.

use std::time::Duration;

use jiff::Timestamp;

use crate::connection::{Connection, Target};
use crate::events::Events;
use crate::visitor::Addresses;

/// Visitors of the demo.
const USERS: usize = 500;

/// Shortest time between two requests; a higher rate sends several events a request.
const TICK: Duration = Duration::from_millis(20);

/// Posts `rate` events a second to `url`, until dropped. A gateway that is away is tried again.
///
/// # Errors
/// When `url` is no address of a collect route.
pub async fn feed(url: &str, rate: f64, seed: u64) -> anyhow::Result<()> {
    let target = Target::new(url)?;
    let mut events = Events::new(seed, USERS, Addresses::Benchmark);
    let spacing = Duration::from_secs_f64(1.0 / rate.max(0.01));
    let mut tick = tokio::time::interval(spacing.max(TICK));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut due = 0.0;
    let mut connection: Option<Connection> = None;
    loop {
        tick.tick().await;
        due += rate * tick.period().as_secs_f64();
        let mut body = Vec::new();
        while due >= 1.0 {
            events.write(Timestamp::now(), &mut body);
            body.push(b'\n');
            due -= 1.0;
        }
        if body.is_empty() {
            continue;
        }
        let mut open = match connection.take() {
            Some(open) if !open.is_over() => open,
            _ => match Connection::open(&target).await {
                Ok(open) => open,
                Err(_) => continue,
            },
        };
        if open.post(&target, &body).await.is_ok() {
            connection = Some(open);
        }
    }
}
