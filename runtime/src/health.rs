//! Which parts of the process are ready, and why the others are not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The readiness of a process: ready when every component is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    components: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Ready,
    /// It does its work, in a way that an operator should know of.
    Noted(String),
    NotReady(String),
}

/// One part's handle for saying whether it is ready.
#[derive(Debug, Clone)]
pub struct Component {
    name: &'static str,
    health: Health,
}

impl Health {
    /// Adds a component, not ready with the reason "starting". A name that exists is shared.
    #[must_use]
    pub fn component(&self, name: &'static str) -> Component {
        let component = Component {
            name,
            health: self.clone(),
        };
        component.not_ready("starting");
        component
    }

    /// Every component in order of name, with the reason where it is not ready.
    #[must_use]
    pub fn report(&self) -> Vec<(&'static str, Option<String>)> {
        let components = self
            .components
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let reason = |state: &State| match state {
            State::NotReady(reason) => Some(reason.clone()),
            _ => None,
        };
        components
            .iter()
            .map(|(name, state)| (*name, reason(state)))
            .collect()
    }

    /// What ready components want known, by name.
    #[must_use]
    pub fn notes(&self) -> BTreeMap<&'static str, String> {
        let components = self
            .components
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let note = |(name, state): (&&'static str, &State)| match state {
            State::Noted(note) => Some((*name, note.clone())),
            _ => None,
        };
        components.iter().filter_map(note).collect()
    }

    /// Whether every component is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let components = self
            .components
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_ready = |state: &State| !matches!(state, State::NotReady(_));
        components.values().all(is_ready)
    }

    fn set(&self, name: &'static str, next: State) {
        let mut components = self
            .components
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let state = components
            .entry(name)
            .or_insert_with(|| State::NotReady(String::new()));
        if *state == next {
            return;
        }
        match (&next, &*state) {
            (State::NotReady(reason), _) if reason == "starting" => {}
            (State::NotReady(reason), _) => tracing::warn!(component = name, reason, "not ready"),
            // A note may hold numbers that change all the time.
            (State::Noted(_), State::Noted(_)) => {}
            (State::Noted(note), _) => tracing::warn!(component = name, note, "ready"),
            (State::Ready, _) => tracing::info!(component = name, "ready"),
        }
        *state = next;
    }
}

impl Component {
    /// Whether it said so last.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let components = self.health.components.lock();
        let components = components.unwrap_or_else(PoisonError::into_inner);
        let state = components.get(self.name);
        state.is_some_and(|state| !matches!(state, State::NotReady(_)))
    }

    /// Says that the component does its work. Logged once at each change.
    pub fn ready(&self) {
        self.health.set(self.name, State::Ready);
    }

    /// Says that the component does its work, and what an operator should know of how it does.
    /// `note` holds no event data. Logged when there was none.
    pub fn ready_but(&self, note: &str) {
        self.health.set(self.name, State::Noted(note.to_owned()));
    }

    /// Says why the component cannot do its work; `reason` holds no event data. Logged once at each
    /// change.
    pub fn not_ready(&self, reason: &str) {
        self.health
            .set(self.name, State::NotReady(reason.to_owned()));
    }
}
