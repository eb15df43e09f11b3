//! How many files the process may open, of which connections are the most.

/// Files that a process needs beside its connections: segments of the log, an index of each day,
/// brokers, and those that are being replaced.
const OWN_FILES: u64 = 1_024;

/// Raises the limit of open files as far as the system lets it; returns it.
///
/// Systems start processes with a low limit for the sake of programs that cannot take a higher one.
pub fn raise_limit() -> u64 {
    // One that cannot be told is taken for the lowest that systems have.
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024)
}

/// Connections that a limit of open files leaves room for: what the process does not need itself,
/// and never less than half.
#[must_use]
pub fn connections(limit: u64) -> usize {
    let left = limit.saturating_sub(OWN_FILES).max(limit / 2);
    usize::try_from(left).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        assert_eq!(connections(65_536), 64_512);
        assert_eq!(connections(1_024), 512);
        assert_eq!(connections(200), 100);
    }
}
