//! Members of a JSON object, read in order.

use std::borrow::Cow;
use std::collections::HashSet;

/// Of members with equal names, keeps the last, for duplicate keys are allowed and the last wins.
/// The order of those that stay is kept.
pub fn keep_last<T>(members: &mut Vec<(Cow<'_, str>, T)>) {
    if members.len() < 2 {
        return;
    }
    let mut seen = HashSet::with_capacity(members.len());
    let mut is_last: Vec<bool> = members
        .iter()
        .rev()
        .map(|(name, _)| seen.insert(name.clone()))
        .collect();
    members.retain(|_| is_last.pop().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_of_equal_names_stays_in_its_place() {
        let mut members = ["a", "b", "a", "c", "b"]
            .iter()
            .enumerate()
            .map(|(at, name)| (Cow::Borrowed(*name), at))
            .collect();
        keep_last(&mut members);
        assert_eq!(members, [("a".into(), 2), ("c".into(), 3), ("b".into(), 4)]);
    }
}
