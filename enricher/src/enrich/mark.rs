//! What the steps can come to.

use super::trace::Step;
use crate::agent::Agent;
use crate::clock::Clock;
use crate::consent::Gate;
use crate::geo::Outcome;
use crate::source::Category;

/// What a step came to: a closed set, for each is a series of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    ConsentOpen,
    ConsentAnonymized,
    ConsentDropped,
    ClockClient,
    ClockCorrected,
    ClockReceived,
    SchemaValid,
    SchemaInvalid,
    RepairFit,
    RepairMisfit,
    AgentKnown,
    AgentUnknown,
    AgentNone,
    PlaceHit,
    PlaceMiss,
    PlacePrivate,
    PlaceNone,
    SourceKnown,
    SourceUnknown,
    SourceDirect,
    SourceInternal,
    BotsPerson,
    BotsProgram,
    DuplicatesFirst,
    DuplicatesAgain,
    PrivacyClean,
    PrivacyRedacted,
}

impl Mark {
    /// Every mark, in their order.
    pub(crate) const ALL: [Self; 27] = [
        Self::ConsentOpen,
        Self::ConsentAnonymized,
        Self::ConsentDropped,
        Self::ClockClient,
        Self::ClockCorrected,
        Self::ClockReceived,
        Self::SchemaValid,
        Self::SchemaInvalid,
        Self::RepairFit,
        Self::RepairMisfit,
        Self::AgentKnown,
        Self::AgentUnknown,
        Self::AgentNone,
        Self::PlaceHit,
        Self::PlaceMiss,
        Self::PlacePrivate,
        Self::PlaceNone,
        Self::SourceKnown,
        Self::SourceUnknown,
        Self::SourceDirect,
        Self::SourceInternal,
        Self::BotsPerson,
        Self::BotsProgram,
        Self::DuplicatesFirst,
        Self::DuplicatesAgain,
        Self::PrivacyClean,
        Self::PrivacyRedacted,
    ];

    /// The step, and the stable name of what it came to.
    pub(crate) const fn labels(self) -> (Step, &'static str) {
        match self {
            Self::ConsentOpen => (Step::Consent, "open"),
            Self::ConsentAnonymized => (Step::Consent, "anonymized"),
            Self::ConsentDropped => (Step::Consent, "dropped"),
            Self::ClockClient => (Step::Clock, "client"),
            Self::ClockCorrected => (Step::Clock, "corrected"),
            Self::ClockReceived => (Step::Clock, "received"),
            Self::SchemaValid => (Step::Schema, "valid"),
            Self::SchemaInvalid => (Step::Schema, "invalid"),
            Self::RepairFit => (Step::Repair, "fit"),
            Self::RepairMisfit => (Step::Repair, "misfit"),
            Self::AgentKnown => (Step::Agent, "known"),
            Self::AgentUnknown => (Step::Agent, "unknown"),
            Self::AgentNone => (Step::Agent, "none"),
            Self::PlaceHit => (Step::Place, "hit"),
            Self::PlaceMiss => (Step::Place, "miss"),
            Self::PlacePrivate => (Step::Place, "private"),
            Self::PlaceNone => (Step::Place, "none"),
            Self::SourceKnown => (Step::Source, "known"),
            Self::SourceUnknown => (Step::Source, "unknown"),
            Self::SourceDirect => (Step::Source, "direct"),
            Self::SourceInternal => (Step::Source, "internal"),
            Self::BotsPerson => (Step::Bots, "person"),
            Self::BotsProgram => (Step::Bots, "program"),
            Self::DuplicatesFirst => (Step::Duplicates, "first"),
            Self::DuplicatesAgain => (Step::Duplicates, "again"),
            Self::PrivacyClean => (Step::Privacy, "clean"),
            Self::PrivacyRedacted => (Step::Privacy, "redacted"),
        }
    }

    /// What an agent came to; none was parsed of an event that has none or comes from a server.
    pub(super) fn of_agent(agent: Option<&Agent>) -> Self {
        match agent {
            None => Self::AgentNone,
            Some(agent) if *agent == Agent::default() => Self::AgentUnknown,
            Some(_) => Self::AgentKnown,
        }
    }
}

impl Outcome {
    pub(super) fn mark(&self) -> Mark {
        match self {
            Self::None => Mark::PlaceNone,
            Self::Private => Mark::PlacePrivate,
            Self::Miss => Mark::PlaceMiss,
            Self::Hit(_) => Mark::PlaceHit,
        }
    }
}

impl Gate {
    pub(super) fn mark(self) -> Mark {
        match self {
            Self::Open => Mark::ConsentOpen,
            Self::Anonymize => Mark::ConsentAnonymized,
            Self::Drop => Mark::ConsentDropped,
        }
    }
}

impl Category {
    pub(super) fn mark(self) -> Mark {
        match self {
            Self::Direct => Mark::SourceDirect,
            Self::Internal => Mark::SourceInternal,
            Self::Unknown => Mark::SourceUnknown,
            _ => Mark::SourceKnown,
        }
    }
}

impl Clock {
    pub(super) fn mark(&self) -> Mark {
        match self.quality {
            "client" => Mark::ClockClient,
            "corrected" => Mark::ClockCorrected,
            _ => Mark::ClockReceived,
        }
    }
}
