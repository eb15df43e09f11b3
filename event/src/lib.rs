//! The shared model: event, dead letter, limits and the field table.
