//! What the steps of one event came to and how long they took, for the metrics.

use std::time::Instant;

use event::redact::Counts as Redactions;

use super::mark::Mark;

/// A step of the enrichment, by which its time is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Reading the record.
    Read,
    /// Consent, and visitors that were forgotten.
    Consent,
    /// The time, the id and the index day.
    Clock,
    /// The JSON Schema of the event's type.
    Schema,
    /// Types, and members that the table does not know.
    Repair,
    /// Agent and client hints.
    Agent,
    /// The GeoIP look-up.
    Place,
    /// Source category and channel.
    Source,
    /// Programs told from people.
    Bots,
    /// Contents that were seen before.
    Duplicates,
    /// The user's look-ups, rules and pseudonyms.
    Rules,
    /// Addresses and texts without what people are known by.
    Privacy,
    /// Writing the document.
    Write,
}

impl Step {
    /// Every step, in their order.
    pub(crate) const ALL: [Self; 13] = [
        Self::Read,
        Self::Consent,
        Self::Clock,
        Self::Schema,
        Self::Repair,
        Self::Agent,
        Self::Place,
        Self::Source,
        Self::Bots,
        Self::Duplicates,
        Self::Rules,
        Self::Privacy,
        Self::Write,
    ];

    /// The stable name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Consent => "consent",
            Self::Clock => "clock",
            Self::Schema => "schema",
            Self::Repair => "repair",
            Self::Agent => "agent",
            Self::Place => "place",
            Self::Source => "source",
            Self::Bots => "bots",
            Self::Duplicates => "duplicates",
            Self::Rules => "rules",
            Self::Privacy => "privacy",
            Self::Write => "write",
        }
    }
}

/// Nanoseconds of every step, in the order of [`Step::ALL`]; zero where it did not run.
pub(crate) type Laps = [u32; Step::ALL.len()];

/// What came of the steps of one event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    marks: u32,
    /// What was taken out of texts, by kind.
    pub(crate) redactions: Redactions,
    /// Look-ups in the user's tables that found a row, and that found none.
    pub(crate) lookups: (u32, u32),
    /// Rules that changed the event, and that failed.
    pub(crate) rules: (u32, u32),
    /// The members for which the event is refused.
    pub(crate) misfits: Vec<String>,
    /// When the last step ended, where time is taken.
    lap_end: Option<Instant>,
    laps: Laps,
}

const _: () = assert!(Mark::ALL.len() <= u32::BITS as usize);

impl Trace {
    /// A trace that takes the time of every step, which costs about half a microsecond.
    pub(crate) fn timed() -> Self {
        Self {
            lap_end: Some(Instant::now()),
            ..Self::default()
        }
    }

    /// Notes what a step came to.
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.marks |= 1 << mark as u32;
    }

    /// Whether a step came to this.
    pub(crate) fn has(&self, mark: Mark) -> bool {
        self.marks & 1 << mark as u32 != 0
    }

    /// Notes that a step has ended.
    pub(crate) fn end(&mut self, step: Step) {
        let Some(last) = self.lap_end else { return };
        let present = Instant::now();
        let lap = present.duration_since(last).as_nanos();
        self.laps[step as usize] = u32::try_from(lap).unwrap_or(u32::MAX);
        self.lap_end = Some(present);
    }

    /// How long the steps took, where time was taken.
    pub(crate) fn laps(&self) -> Option<&Laps> {
        self.lap_end.map(|_| &self.laps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_steps_are_their_places() {
        for (place, mark) in Mark::ALL.into_iter().enumerate() {
            assert_eq!(mark as usize, place);
            let mut trace = Trace::default();
            trace.mark(mark);
            assert!(Mark::ALL.into_iter().all(|m| trace.has(m) == (m == mark)));
        }
        for (place, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, place);
        }
    }

    #[test]
    fn time_is_taken_only_where_it_is_wanted() {
        let mut trace = Trace::default();
        trace.end(Step::Read);
        assert_eq!(trace.laps(), None);
        let mut trace = Trace::timed();
        std::hint::black_box((0..10_000).sum::<u64>());
        trace.end(Step::Read);
        let laps = trace.laps().unwrap();
        assert!(laps[Step::Read as usize] > 0 && laps[Step::Write as usize] == 0);
    }
}
