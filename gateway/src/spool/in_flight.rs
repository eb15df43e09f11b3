//! Appends on their direct way: how old the oldest is, and whom to tell that it is too old. None needs a
//! timer of its own, nor a place in a list that runs through the memory of all the others.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

/// Appends under way: those that began between two looks are counted together.
pub(super) struct InFlight {
    /// From when on, and how many; the oldest first, and those that begin now last.
    begun: VecDeque<(Instant, usize)>,
    /// The number of the first of `begun`, of all there ever were.
    first: u64,
    /// The tasks that wait for each.
    wakers: Slab<Option<Waker>>,
    /// How often all of them were told that some take too long.
    tellings: u32,
}

/// An append among those in flight.
#[derive(Clone, Copy)]
pub(super) struct Place {
    begun: u64,
    waker: u32,
    /// How often those in flight had been told anything when it began.
    tellings: u32,
}

impl InFlight {
    pub(super) fn new() -> Self {
        Self {
            begun: [(Instant::now(), 0)].into(),
            first: 0,
            wakers: Slab::new(),
            tellings: 0,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.wakers.len()
    }

    /// Counts an append, until [`InFlight::end`].
    pub(super) fn begin(&mut self) -> Place {
        let last = self.begun.len() - 1;
        self.begun[last].1 += 1;
        Place {
            begun: self.first + last as u64,
            // As many as there are connections at most.
            waker: self.wakers.insert(None) as u32,
            tellings: self.tellings,
        }
    }

    pub(super) fn end(&mut self, place: Place) {
        self.begun[(place.begun - self.first) as usize].1 -= 1;
        self.wakers.remove(place.waker as usize);
    }

    /// Whether an append was told that some take too long; if not, `waker` is woken when it is.
    pub(super) fn is_told(&mut self, place: Place, waker: &Waker) -> bool {
        match &mut self.wakers[place.waker as usize] {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        place.tellings != self.tellings
    }

    /// The same place, for one that knows by now.
    pub(super) fn again(&self, place: Place) -> Place {
        let tellings = self.tellings;
        Place { tellings, ..place }
    }

    /// Tells all that some take too long.
    pub(super) fn tell(&mut self) {
        self.tellings = self.tellings.wrapping_add(1);
        for (_, waker) in &mut self.wakers {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    /// How old the oldest is at least.
    pub(super) fn look(&mut self) -> Duration {
        let now = Instant::now();
        self.begun.push_back((now, 0));
        while self.begun.len() > 1 && self.begun[0].1 == 0 {
            self.begun.pop_front();
            self.first += 1;
        }
        // It began before those did that are counted apart from it.
        let next = self.begun.get(1);
        next.map_or(Duration::ZERO, |(since, _)| now - *since)
    }
}
