//! The hours in which a shop answers, in its own time zone.

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
pub use sampan_client::chat::{Span, Week};

use crate::moment::Moment;
use crate::refusal::Refusal;

/// Days that are looked at, at most: two years.
const DAYS_MAX: usize = 732;
/// Spans of one day.
const SPANS_MAX: usize = 8;

/// When the shop answers.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: TimeZone,
    days: [Vec<Span>; 7],
    holidays: Vec<Date>,
}

impl Hours {
    /// The hours of a week.
    ///
    /// # Errors
    /// A refusal of the field that is not valid.
    pub fn new(week: &Week) -> Result<Self, Refusal> {
        let zone = TimeZone::get(&week.time_zone)
            .map_err(|_| Refusal::field("time_zone", "a name of a time zone"))?;
        let is_ordered = |spans: &Vec<Span>| {
            let each = spans.iter().all(|span| span.from < span.to && span.to <= 1_440);
            each && spans.is_sorted_by(|a, b| a.to <= b.from) && spans.len() <= SPANS_MAX
        };
        if !week.days.iter().all(is_ordered) {
            return Err(Refusal::field("days", "spans of a day in order, none over another"));
        }
        let holidays: Result<Vec<Date>, _> = week.holidays.iter().map(|day| day.parse()).collect();
        let holidays = holidays.map_err(|_| Refusal::field("holidays", "dates"))?;
        Ok(Hours { zone, days: week.days.clone(), holidays })
    }

    /// Whether the shop answers at this moment.
    #[must_use]
    pub fn is_open(&self, at: Moment) -> bool {
        self.from(at).next().is_some_and(|(start, _)| start <= at)
    }

    /// Open time between two moments, at most that of two years.
    #[must_use]
    pub fn between(&self, from: Moment, to: Moment) -> Duration {
        let spans = self.from(from).take_while(|(start, _)| *start < to);
        spans.map(|(start, end)| end.min(to).since(start.max(from))).sum()
    }

    /// The moment after so much open time; `None` if two years do not have it.
    #[must_use]
    pub fn after(&self, from: Moment, open: Duration) -> Option<Moment> {
        let mut left = open;
        for (start, end) in self.from(from) {
            let start = start.max(from);
            let span = end.since(start);
            if left <= span {
                return Some(start.after(left));
            }
            left -= span;
        }
        None
    }

    /// Spans that end after the moment, in order.
    fn from(&self, at: Moment) -> impl Iterator<Item = (Moment, Moment)> {
        let first = self.date(at);
        let days = (0..DAYS_MAX).scan(first, |day, _| {
            let this = *day;
            *day = this.checked_add(1.day()).ok()?;
            Some(this)
        });
        let spans = days.filter(|day| !self.holidays.contains(day)).flat_map(move |day| {
            let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0);
            let spans = self.days.get(weekday).map_or(&[][..], Vec::as_slice);
            spans.iter().filter_map(move |span| {
                Some((self.moment(day, span.from)?, self.moment(day, span.to)?))
            })
        });
        spans.filter(move |(_, end)| *end > at)
    }

    fn date(&self, at: Moment) -> Date {
        local_date(&self.zone, at)
    }

    /// A minute of a day. One that a change of the clock leaves out is the moment of the change,
    /// one that it repeats is the first.
    fn moment(&self, day: Date, minute: u16) -> Option<Moment> {
        let (day, minute) =
            if minute >= 1_440 { (day.checked_add(1.day()).ok()?, 0) } else { (day, minute) };
        let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
        let time = Time::new(hour, minute, 0, 0).ok()?;
        let zoned = self.zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok()?;
        Some(Moment::from_ms(zoned.timestamp().as_millisecond()))
    }
}

fn local_date(zone: &TimeZone, at: Moment) -> Date {
    let at = Timestamp::from_millisecond(at.as_ms()).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(at).date()
}

/// The day of a moment where the shop is, such as `2026-11-23`; of UTC if the zone is unknown.
#[must_use]
pub fn local_day(time_zone: &str, at: Moment) -> String {
    local_date(&TimeZone::get(time_zone).unwrap_or(TimeZone::UTC), at).to_string()
}

/// Every day from Monday to Friday, from nine to half past five.
#[must_use]
pub fn office(time_zone: &str) -> Week {
    let spans = |day| match day {
        Weekday::Saturday | Weekday::Sunday => Vec::new(),
        _ => vec![Span { from: 9 * 60, to: 17 * 60 + 30 }],
    };
    let days = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    Week { time_zone: time_zone.to_owned(), days: days.map(spans), holidays: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    fn bangkok() -> Hours {
        Hours::new(&office("Asia/Bangkok")).unwrap()
    }

    #[test]
    fn a_shop_is_open_in_its_own_hours() {
        let open = |text| bangkok().is_open(at(text));
        assert!(open("2026-11-23T09:00:00+07:00"));
        assert!(open("2026-11-23T02:00:00Z"));
        assert!(!open("2026-11-23T17:30:00+07:00"));
        assert!(!open("2026-11-22T12:00:00+07:00"));
    }

    #[test]
    fn only_open_time_counts() {
        let hours = bangkok();
        let (friday, monday) = (at("2026-11-20T17:00:00+07:00"), at("2026-11-23T09:15:00+07:00"));
        assert_eq!(hours.between(friday, monday), Duration::from_secs(45 * 60));
        assert_eq!(hours.after(friday, Duration::from_secs(45 * 60)), Some(monday));
        assert_eq!(hours.between(monday, friday), Duration::ZERO);
    }

    #[test]
    fn a_holiday_has_no_hours_and_a_week_without_any_never_ends() {
        let mut week = office("Asia/Bangkok");
        week.holidays = vec!["2026-11-23".to_owned()];
        let hours = Hours::new(&week).unwrap();
        let after = hours.after(at("2026-11-23T09:00:00+07:00"), Duration::ZERO);
        assert_eq!(after, Some(at("2026-11-24T09:00:00+07:00")));
        let never = Week { days: Default::default(), ..week };
        let never = Hours::new(&never).unwrap();
        assert_eq!(never.after(at("2026-11-23T09:00:00+07:00"), Duration::from_secs(1)), None);
    }

    #[test]
    fn a_change_of_the_clock_moves_the_hours() {
        let hours = Hours::new(&office("Europe/Berlin")).unwrap();
        let before = at("2026-03-27T12:00:00+01:00");
        let after = at("2026-03-30T12:00:00+02:00");
        assert_eq!(hours.between(before, after), Duration::from_secs(17 * 1_800));
    }

    #[test]
    fn a_week_that_makes_no_sense_is_refused() {
        assert!(Hours::new(&office("Asia/Nowhere")).is_err());
        let mut week = office("Asia/Bangkok");
        week.days[0] = vec![Span { from: 60, to: 30 }];
        assert!(Hours::new(&week).is_err());
        week.days[0] = vec![Span { from: 0, to: 700 }, Span { from: 600, to: 1_440 }];
        assert!(Hours::new(&week).is_err());
        assert_eq!(local_day("Asia/Bangkok", at("2026-11-22T20:00:00Z")), "2026-11-23");
    }
}
