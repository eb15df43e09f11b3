//! How many bulks are in flight: slowly more while the store keeps up, half at once when it says
//! that it does not (additive increase, multiplicative decrease).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of bulks that may be in flight, between one and a limit. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    limit: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    allowed: usize,
    /// Clean bulks since the number last changed.
    clean: usize,
}

impl Pace {
    /// Begins at the limit: trouble is told at once, and most stores have none.
    pub(crate) fn new(limit: usize) -> Self {
        let (allowed, clean) = (limit.max(1), 0);
        Self {
            limit: allowed,
            state: Arc::new(Mutex::new(State { allowed, clean })),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn allowed(&self) -> usize {
        self.state().allowed
    }

    /// A bulk went through at the first try: one more after a round of them.
    pub(crate) fn clean(&self) {
        let mut state = self.state();
        state.clean += 1;
        if state.clean >= state.allowed && state.allowed < self.limit {
            state.allowed += 1;
            state.clean = 0;
        }
    }

    /// The store is overloaded or away.
    pub(crate) fn trouble(&self) {
        let mut state = self.state();
        state.allowed = (state.allowed / 2).max(1);
        state.clean = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_halves_and_clean_rounds_add_one() {
        let pace = Pace::new(8);
        pace.trouble();
        assert_eq!(pace.allowed(), 4);
        (0..3).for_each(|_| pace.clean());
        assert_eq!(pace.allowed(), 4, "a round is not over");
        pace.clean();
        assert_eq!(pace.allowed(), 5);
        (0..100).for_each(|_| pace.clean());
        assert_eq!(pace.allowed(), 8, "never above the limit");
        (0..100).for_each(|_| pace.trouble());
        assert_eq!(pace.allowed(), 1, "never below one");
    }
}
