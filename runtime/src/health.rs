//! Which parts of the process are ready, and why the others are not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The readiness of a process: ready when every component is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    components: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
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
        components
            .iter()
            .map(|(name, reason)| (*name, reason.clone()))
            .collect()
    }

    /// Whether every component is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let components = self
            .components
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        components.values().all(Option::is_none)
    }

    fn set(&self, name: &'static str, reason: Option<&str>) {
        let mut components = self
            .components
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let state = components
            .entry(name)
            .or_insert_with(|| Some(String::new()));
        if state.as_deref() == reason {
            return;
        }
        match reason {
            Some("starting") => {}
            Some(reason) => tracing::warn!(component = name, reason, "not ready"),
            None => tracing::info!(component = name, "ready"),
        }
        *state = reason.map(str::to_owned);
    }
}

impl Component {
    /// Whether it said so last.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let components = self.health.components.lock();
        let components = components.unwrap_or_else(PoisonError::into_inner);
        components.get(self.name).is_some_and(Option::is_none)
    }

    /// Says that the component does its work. Logged once at each change.
    pub fn ready(&self) {
        self.health.set(self.name, None);
    }

    /// Says why the component cannot do its work; `reason` holds no event data. Logged once at each
    /// change.
    pub fn not_ready(&self, reason: &str) {
        self.health.set(self.name, Some(reason));
    }
}
