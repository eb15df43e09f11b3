//! One token that every task watches.
//!
//! Shutting down means: stop intake, finish, flush, commit, report. The signal only sets the token;
//! each stage's `run` returns once it is done, and the process waits for them within its grace.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio_util::sync::CancellationToken;

/// Tells tasks to stop. Cheap to clone; set once, never unset.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    /// The same as a flag, set before the token is: the token takes a lock to be asked.
    flag: Arc<Flag>,
}

#[derive(Debug, Default)]
struct Flag {
    is_set: AtomicBool,
    parent: Option<Arc<Flag>>,
}

impl Shutdown {
    /// A token set by SIGINT or SIGTERM. A second signal ends the process at once with status 130.
    ///
    /// # Panics
    /// When called outside of a Tokio runtime.
    #[must_use]
    pub fn on_signal() -> Self {
        let shutdown = Self::default();
        let token = shutdown.clone();
        // Owned by the process: it lives until the process ends and holds nothing.
        tokio::spawn(async move {
            signal().await;
            token.start();
            signal().await;
            std::process::exit(130);
        });
        shutdown
    }

    /// Tells every task to stop.
    pub fn start(&self) {
        self.flag.is_set.store(true, Ordering::SeqCst);
        self.token.cancel();
    }

    /// Whether tasks must stop. Costs nothing to ask, and is true once [`Shutdown::started`] completes.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.flag.is_set()
    }

    /// Completes when tasks must stop.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn started(&self) {
        self.token.cancelled().await;
    }

    /// [`Shutdown::started`] for a task that waits for something else most of the time and is polled
    /// often.
    #[must_use]
    pub fn watch(&self) -> Watch<'_> {
        Watch {
            shutdown: self,
            started: Box::pin(self.started()),
            is_asked: false,
        }
    }

    /// A token that is set with this one, but can also be set alone, so that stages can be stopped
    /// one after another in the order of the flow.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            flag: Arc::new(Flag {
                is_set: AtomicBool::new(false),
                parent: Some(self.flag.clone()),
            }),
        }
    }
}

/// Completes when tasks must stop. Asks for that once, which takes locks, and looks at a flag after; so it
/// must be polled by one task only.
pub struct Watch<'a> {
    shutdown: &'a Shutdown,
    started: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    is_asked: bool,
}

impl Future for Watch<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shutdown.has_started() {
            return Poll::Ready(());
        }
        if self.is_asked {
            return Poll::Pending;
        }
        self.is_asked = true;
        self.started.as_mut().poll(cx)
    }
}

impl Flag {
    fn is_set(&self) -> bool {
        let is_set = self.is_set.load(Ordering::SeqCst);
        is_set || self.parent.as_deref().is_some_and(Self::is_set)
    }
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
