//! What a sink writes of itself beside the documents, so that the health of the pipeline can be
//! searched where the events are.

/// The figures of a health document: documents by outcome since the last one, records behind,
/// documents set aside, and the time from receipt to written document.
pub const FIGURES: &[&str] = &[
    "created",
    "duplicate",
    "dead_lettered",
    "retried",
    "lag",
    "set_aside",
    "end_to_end_p50_ms",
    "end_to_end_p99_ms",
];
