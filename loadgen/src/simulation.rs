//! Events along a simulated clock, busy by day and quiet by night.
//!
//! The clock goes in steps of ten seconds, give or take three; at each step sessions begin by the
//! hour's share of a day and every open session makes a step.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;

use crate::events::{Events, Session};
use crate::model::VISITS_PER_HOUR;

/// Simulated seconds of a step.
const STEP_SECONDS: i64 = 10;

/// A simulated time and what happens in it.
pub struct Simulation {
    events: Events,
    clock: Timestamp,
    sessions_per_day: f64,
    open: Vec<Session>,
}

impl Simulation {
    /// Begins at `start` with a shop that is empty.
    #[must_use]
    pub fn new(events: Events, start: Timestamp, sessions_per_day: u32) -> Self {
        Self {
            events,
            clock: start,
            sessions_per_day: f64::from(sessions_per_day),
            open: Vec::new(),
        }
    }

    /// The simulated time.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Makes a step; appends its events, a line each, and returns how many.
    pub fn step(&mut self, out: &mut Vec<u8>) -> usize {
        let jitter = self.events.random().random_range(-3..3);
        let seconds = STEP_SECONDS + jitter;
        self.clock += SignedDuration::from_secs(seconds);
        let before = std::mem::take(&mut self.open);
        let mut count = 0;
        for session in before {
            if let Some(next) = self.events.step(session) {
                self.open.push(next);
                if next.is_elsewhere(session) {
                    self.write(next, seconds, out);
                    count += 1;
                }
            }
        }
        for _ in 0..self.beginnings() {
            let session = self.events.begin();
            self.open.push(session);
            self.write(session, seconds, out);
            count += 1;
        }
        count
    }

    /// Sessions that begin in this step; a fraction is settled by chance.
    fn beginnings(&mut self) -> u64 {
        let hour = self.clock.to_zoned_datetime(TimeZone::UTC).hour();
        let share = VISITS_PER_HOUR[usize::from(hour.unsigned_abs())];
        let expected = share * self.sessions_per_day * STEP_SECONDS as f64 / 3_600.0;
        let chance: f64 = self.events.random().random();
        (expected.floor() as u64) + u64::from(chance < expected.fract())
    }

    /// An event's time lies within 30 % of a step around the clock.
    fn write(&mut self, session: Session, seconds: i64, out: &mut Vec<u8>) {
        let reach = seconds * 300;
        let offset = self.events.random().random_range(-reach..=reach);
        let time = self.clock + SignedDuration::from_millis(offset);
        self.events.write_page(session, time, out);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Addresses;

    #[test]
    fn a_day_has_its_sessions_and_its_hours() {
        let events = Events::new(11, 50, Addresses::Public);
        let start: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
        let mut simulation = Simulation::new(events, start, 20_000);
        let mut by_hour = [0.0; 24];
        let mut lines = Vec::new();
        while simulation.clock() < start + SignedDuration::from_hours(24) {
            lines.clear();
            let count = simulation.step(&mut lines);
            assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), count);
            let hour = simulation.clock().to_zoned_datetime(TimeZone::UTC).hour();
            by_hour[usize::from(hour.unsigned_abs())] += count as f64;
        }
        let total: f64 = by_hour.iter().sum();
        // 2.434 events a session by the model; steps are a little shorter than ten seconds.
        let sessions = total / 2.434;
        assert!((19_500.0..22_500.0).contains(&sessions), "{sessions}");
        for (hour, share) in VISITS_PER_HOUR.iter().enumerate() {
            let found = by_hour[hour] / total;
            assert!(
                (found - share).abs() < 0.006,
                "hour {hour}: {found} instead of {share}"
            );
        }
    }
}
