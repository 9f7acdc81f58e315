//! What time it was when something was loaded.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Seconds since 1970, of a time in nanoseconds since the machine started.
pub fn wall_seconds(since_boot_ns: u64) -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64());
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let first = text.split_ascii_whitespace().next();
    let uptime: f64 = first.and_then(|word| word.parse().ok()).unwrap_or(0.0);
    let then = now - uptime + since_boot_ns as f64 / 1e9;
    // Times before 1970 and fractions of a second do not matter here.
    then.max(0.0) as u64
}

/// Seconds since 1970 as a date, in UTC.
pub fn text(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+0000")
}

/// The date of a day counted from 1970. Years are counted from March, so that the day that
/// some years lack comes last.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day - first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let check = |seconds, wanted: &str| assert_eq!(text(seconds), wanted);
        check(0, "1970-01-01T00:00:00+0000");
        check(951_782_399, "2000-02-28T23:59:59+0000");
        check(951_782_400, "2000-02-29T00:00:00+0000");
        check(1_795_231_657, "2026-11-21T03:27:37+0000");
        check(4_107_542_400, "2100-03-01T00:00:00+0000");
    }
}
