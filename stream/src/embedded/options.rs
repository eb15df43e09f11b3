//! Settings of the log.

/// Settings of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes of all topics together; appends are refused above.
    pub max_bytes: u64,
    /// Bytes of the disk that must stay free; appends are refused below.
    pub min_free_bytes: u64,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// Size at which the next segment is started; the unit of deletion.
    pub segment_bytes: u64,
    /// Largest record, in bytes of key, headers and value.
    pub max_record_bytes: usize,
}

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The record survives power loss.
    #[default]
    Fsync,
    /// The record survives the end of the process, not of the machine.
    Os,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 30,
            min_free_bytes: 1 << 30,
            durability: Durability::Fsync,
            // A 64th of the default cap: deletion frees room in small steps, and a segment is read
            // whole in well under a second.
            segment_bytes: 64 << 20,
            max_record_bytes: 8 << 20,
        }
    }
}
