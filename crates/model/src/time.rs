//! Instants in milliseconds since 1970 UTC and the two text forms that the vendor's interfaces use.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// Broken-down UTC time.
struct Civil {
    year: i64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    milli: u32,
}

const DAY_MS: i64 = 86_400_000;

/// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let mp = i64::from((month + 9) % 12);
    let doy = (153 * mp + 2) / 5 + i64::from(day) - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads `bytes` as an unsigned decimal number; `None` when any byte is not a digit.
fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

impl Timestamp {
    fn civil(self) -> Civil {
        let days = self.0.div_euclid(DAY_MS);
        let ms = self.0.rem_euclid(DAY_MS) as u32;
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: ms / 3_600_000,
            minute: ms / 60_000 % 60,
            second: ms / 1000 % 60,
            milli: ms % 1000,
        }
    }

    fn from_civil(c: &Civil) -> Option<Self> {
        let valid = (1..=12).contains(&c.month)
            && (1..=days_in_month(c.year, c.month)).contains(&c.day)
            && c.hour < 24
            && c.minute < 60
            && c.second < 60;
        valid.then(|| {
            let seconds = i64::from(c.hour * 3600 + c.minute * 60 + c.second);
            Self(days_from_civil(c.year, c.month, c.day) * DAY_MS + seconds * 1000 + i64::from(c.milli))
        })
    }

    /// `yyyyMMdd'T'HHmmss'Z'`, the default form of times in the API (`iotda-v5-api.md` §1.5).
    #[must_use]
    pub fn compact(self) -> String {
        let c = self.civil();
        format!("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
    }

    /// `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'`, the form with milliseconds.
    #[must_use]
    pub fn millis(self) -> String {
        let c = self.civil();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second, c.milli
        )
    }

    /// `YYYYMMDDHH`, the hour that devices sign with (002 §2.1.2.11).
    #[must_use]
    pub fn hour_stamp(self) -> String {
        let c = self.civil();
        format!("{:04}{:02}{:02}{:02}", c.year, c.month, c.day, c.hour)
    }

    /// Parses `YYYYMMDDHH` (002 §2.1.2.11); `None` when it is not an hour.
    #[must_use]
    pub fn parse_hour_stamp(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() != 10 {
            return None;
        }
        Self::from_civil(&Civil {
            year: i64::from(digits(&b[0..4])?),
            month: digits(&b[4..6])?,
            day: digits(&b[6..8])?,
            hour: digits(&b[8..10])?,
            minute: 0,
            second: 0,
            milli: 0,
        })
    }

    /// Parses either documented form of an event time (002 §2.1.2.8.1): `yyyyMMdd'T'HHmmss'Z'` or
    /// `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'` (fraction of 1 to 9 digits). `None` for anything else; a reader of reports
    /// then takes the platform's time. A form without a fraction is refused on purpose: the vendor's Python device SDK
    /// sends it with local time (`iotda-device-access.md` §1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() == 16 {
            if b[8] != b'T' || b[15] != b'Z' {
                return None;
            }
            return Self::from_civil(&Civil {
                year: i64::from(digits(&b[0..4])?),
                month: digits(&b[4..6])?,
                day: digits(&b[6..8])?,
                hour: digits(&b[9..11])?,
                minute: digits(&b[11..13])?,
                second: digits(&b[13..15])?,
                milli: 0,
            });
        }
        let framed = (22..=30).contains(&b.len())
            && b[4] == b'-'
            && b[7] == b'-'
            && b[10] == b'T'
            && b[13] == b':'
            && b[16] == b':'
            && b[b.len() - 1] == b'Z';
        if !framed {
            return None;
        }
        let milli = match &b[19..b.len() - 1] {
            [b'.', fraction @ ..] if !fraction.is_empty() => {
                digits(fraction)?;
                let mut padded = [b'0'; 3];
                let n = fraction.len().min(3);
                padded[..n].copy_from_slice(&fraction[..n]);
                digits(&padded)?
            }
            _ => return None,
        };
        Self::from_civil(&Civil {
            year: i64::from(digits(&b[0..4])?),
            month: digits(&b[5..7])?,
            day: digits(&b[8..10])?,
            hour: digits(&b[11..13])?,
            minute: digits(&b[14..16])?,
            second: digits(&b[17..19])?,
            milli,
        })
    }

    /// This instant moved by `ms` milliseconds, saturating.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(Timestamp::parse(text).map(|t| t.0), expected, "{text}");
    }

    #[test]
    fn both_documented_forms_parse() {
        check("20151212T121212Z", Some(1_449_922_332_000));
        check("2015-12-12T12:12:12.333Z", Some(1_449_922_332_333));
        check("2015-12-12T12:12:12Z", None);
        check("2015-12-12T12:12:12.3Z", Some(1_449_922_332_300));
        check("20150229T000000Z", None);
        check("20161232T000000Z", None);
        check("2015-12-12T12:12:12.Z", None);
        check("2015-12-12 12:12:12.333Z", None);
        check("", None);
        check("２０１５12T1212Z", None);
    }

    #[test]
    fn forms_round_trip() {
        for ms in [0, 951_782_400_000, 1_709_164_800_000, 4_102_444_799_999, -1] {
            let t = Timestamp(ms);
            assert_eq!(Timestamp::parse(&t.millis()), Some(t));
            assert_eq!(Timestamp::parse(&t.compact()).map(|c| c.0), Some(ms.div_euclid(1000) * 1000));
        }
        assert_eq!(Timestamp(1_532_454_980_000).hour_stamp(), "2018072417");
        assert_eq!(Timestamp::parse_hour_stamp("2018072417").map(|t| t.0), Some(1_532_451_600_000));
        assert_eq!(Timestamp::parse_hour_stamp("2018072424"), None);
    }
}
