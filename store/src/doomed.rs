//! What is to be deleted, and what was.

use jiff::civil::Date;

/// Documents to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doomed {
    /// Whole daily indices before this day.
    Before(Date),
    /// Documents whose keyword field has this value, of any day.
    Of {
        /// The field's name in the field table.
        field: &'static str,
        /// Its value, whole.
        value: String,
    },
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Names of the indices that went as a whole.
    pub indices: Vec<String>,
    /// Documents that went one by one.
    pub documents: u64,
}
