//! Times in the form that nearly all of them have, without a general parser.

use jiff::Timestamp;

/// Reads `2026-01-02T03:04:05.678901Z`, also with a space, without `Z` or without a fraction, from
/// 1970 on; `None` for any other form, which is left to the general parser.
pub(super) fn read(text: &[u8]) -> Option<Timestamp> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let is_plain = head.iter().zip(b"0000-00-00T00:00:00");
    let is_plain = is_plain.fold(true, |is, (byte, form)| {
        is & match form {
            b'0' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b' '),
            mark => byte == mark,
        }
    });
    let two = |at: usize| i64::from(head[at] & 0xf) * 10 + i64::from(head[at + 1] & 0xf);
    let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    // The last days of months are left to the general parser.
    let is_sure = year >= 1970 && (1..=12).contains(&month) && (1..=28).contains(&day);
    if !is_plain || !is_sure || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
    let nanosecond = match rest {
        [] => 0,
        [b'.', fraction @ ..] if (1..=9).contains(&fraction.len()) => {
            digits(fraction)? * 10_i64.pow(9 - fraction.len() as u32)
        }
        _ => return None,
    };
    let days = days_of(year, month, day);
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    Timestamp::new(seconds, nanosecond as i32).ok()
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// Days since 1970, by counting years from March so that leap days come last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

/// Year, month and day of the days since 1970: the inverse of [`days_of`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, in_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Writes RFC 3339 in UTC with milliseconds, or with as many more digits as the time has; for years
/// of four digits.
pub fn write(out: &mut Vec<u8>, time: Timestamp) {
    let nanoseconds = time.subsec_nanosecond();
    let seconds = time.as_second() - i64::from(nanoseconds < 0);
    let nanoseconds = nanoseconds.rem_euclid(1_000_000_000) as u32;
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400) as u32;
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    put(&mut text[0..4], year as u32);
    put(&mut text[5..7], month as u32);
    put(&mut text[8..10], day as u32);
    put(&mut text[11..13], second / 3_600);
    put(&mut text[14..16], second / 60 % 60);
    put(&mut text[17..19], second % 60);
    put(&mut text[20..23], nanoseconds / 1_000_000);
    let finer = nanoseconds % 1_000_000;
    let length = match finer {
        0 => 23,
        _ if finer.is_multiple_of(1_000) => 26,
        _ => 29,
    };
    if finer != 0 {
        put(&mut text[23..29], finer);
    }
    text[length] = b'Z';
    out.extend_from_slice(&text[..=length]);
}

/// Puts the last digits of a number, as many as there is room for.
#[inline]
fn put(room: &mut [u8], mut number: u32) {
    for place in room.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The years 0 to 9999.
    const YEARS: std::ops::Range<i64> = -62_167_219_200..253_402_207_200;

    fn written(time: Timestamp) -> String {
        let mut out = Vec::new();
        write(&mut out, time);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn milliseconds_are_always_written() {
        let check = |text: &str, expected: &str| {
            assert_eq!(written(text.parse().unwrap()), expected);
        };
        check("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000Z");
        check("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250Z");
        check("2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678901Z");
        check(
            "2026-01-02T03:04:05.000000001Z",
            "2026-01-02T03:04:05.000000001Z",
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in YEARS, nanosecond in 0..1_000_000_000) {
            let time = Timestamp::new(seconds, nanosecond).unwrap();
            prop_assert_eq!(written(time).parse::<Timestamp>().unwrap(), time);
        }

        #[test]
        fn milliseconds_are_cut_as_by_the_general_printer(
            seconds in YEARS, nanosecond in 0..1_000_000_000,
        ) {
            let time = Timestamp::new(seconds, nanosecond).unwrap();
            prop_assert_eq!(super::super::format(time), format!("{time:.3}"));
        }

        #[test]
        fn plain_form_is_read_as_by_the_general_parser(
            text in "[12][0-9]{3}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?Z?"
        ) {
            let plain = read(text.as_bytes());
            prop_assert!(plain.is_none() || plain == super::super::parse_general(&text), "{}", text);
        }
    }
}
