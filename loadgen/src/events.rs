//! Endless events of visitors who walk through the shop.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use crate::model::{LANDING, Page, draw};
use crate::visitor::{Addresses, Visitor, uuid};

/// Sessions that go on side by side, so that neighbouring events are of different visitors.
const SESSIONS: usize = 256;

/// The events of some visitors, the same for the same seed.
pub struct Events {
    random: Xoshiro256PlusPlus,
    visitors: Vec<Visitor>,
    sessions: Vec<Option<Session>>,
    /// The second that `clock` shows.
    second: i64,
    clock: String,
}

/// A visit under way.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    visitor: usize,
    page: Page,
}

impl Events {
    /// Draws `users` visitors, at least one.
    #[must_use]
    pub fn new(seed: u64, users: usize, addresses: Addresses) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let visitors = (0..users.max(1)).map(|_| Visitor::draw(&mut random, addresses));
        Self {
            visitors: visitors.collect(),
            sessions: vec![None; SESSIONS],
            second: i64::MIN,
            clock: String::new(),
            random,
        }
    }

    /// Appends the next event, as one line of JSON without its end, and returns its id.
    pub fn write(&mut self, time: Timestamp, out: &mut Vec<u8>) -> Uuid {
        loop {
            let slot = self.random.random_range(0..SESSIONS);
            let before = self.sessions[slot];
            let session = match before {
                Some(session) => self.step(session),
                None => Some(self.begin()),
            };
            self.sessions[slot] = session;
            // An event tells of a page that was reached; staying and leaving tell nothing.
            if let Some(session) = session
                && before.is_none_or(|before| before.page != session.page)
            {
                return self.write_page(session, time, out);
            }
        }
    }

    /// A visitor's landing.
    pub(crate) fn begin(&mut self) -> Session {
        Session {
            visitor: self.random.random_range(0..self.visitors.len()),
            page: draw(LANDING, &mut self.random),
        }
    }

    /// A step of a session; `None` where it ends.
    pub(crate) fn step(&mut self, session: Session) -> Option<Session> {
        let page = draw(session.page.next(), &mut self.random)?;
        Some(Session { page, ..session })
    }

    pub(crate) fn random(&mut self) -> &mut Xoshiro256PlusPlus {
        &mut self.random
    }

    pub(crate) fn write_page(
        &mut self,
        session: Session,
        time: Timestamp,
        out: &mut Vec<u8>,
    ) -> Uuid {
        let id = uuid(&mut self.random);
        let page = session.page.name().as_bytes();
        out.extend_from_slice(b"{\"event_id\":\"");
        let mut text = Uuid::encode_buffer();
        out.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
        out.extend_from_slice(b"\",\"event_timestamp\":\"");
        self.write_time(time, out);
        out.extend_from_slice(
            b"\",\"event_type\":\"pageview\",\"page_url\":\"http://www.dummywebsite.com/",
        );
        out.extend_from_slice(page);
        out.extend_from_slice(b"\",\"page_url_path\":\"/");
        out.extend_from_slice(page);
        out.push(b'"');
        out.extend_from_slice(&self.visitors[session.visitor].tail);
        id
    }

    /// `2026-01-31 12:00:00.000000`, UTC; the second is rendered once.
    fn write_time(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        if time.as_second() != self.second {
            let zoned = time.to_zoned_datetime(TimeZone::UTC);
            self.clock = zoned.strftime("%Y-%m-%d %H:%M:%S.").to_string();
            self.second = time.as_second();
        }
        out.extend_from_slice(self.clock.as_bytes());
        let mut micros = time.subsec_microsecond().unsigned_abs();
        let mut digits = [b'0'; 6];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(micros % 10).unwrap_or(0);
            micros /= 10;
        }
        out.extend_from_slice(&digits);
    }
}

impl Session {
    /// Whether a step reached another page.
    pub(crate) fn is_elsewhere(self, before: Self) -> bool {
        self.page != before.page
    }
}

#[cfg(test)]
mod tests;
