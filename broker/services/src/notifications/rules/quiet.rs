//! Quiet hours, by the clock on the user's wall.
//!
//! A time that a change of the clock leaves out is the moment of the change; of one that it repeats
//! the second counts as the end, so that nobody is woken in the repeated hour.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::moment::Moment;
use crate::notifications::model::Priority;
use crate::refusal::Refusal;

/// When a user wants to be left alone.
#[derive(Clone, Debug)]
pub struct Quiet {
    zone: TimeZone,
    from: Time,
    to: Time,
    /// Monday to Sunday: days on which quiet hours begin.
    days: [bool; 7],
}

/// What is done with a notification at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent.
    Send,
    /// It waits until then.
    Defer(Moment),
    /// Its time is over, or will be before it may be sent.
    Expire,
}

impl Quiet {
    /// Quiet hours from one minute of the day to another, which may be of the next day.
    ///
    /// # Errors
    /// A refusal of the field that is not valid.
    pub fn new(zone: &str, from: u16, to: u16, days: [bool; 7]) -> Result<Self, Refusal> {
        let zone =
            TimeZone::get(zone).map_err(|_| Refusal::field("tz", "a name of a time zone"))?;
        let time = |minute: u16| {
            let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
            Time::new(hour, minute, 0, 0).ok()
        };
        let (Some(from), Some(to)) = (time(from), time(to)) else {
            return Err(Refusal::field("from", "minutes of a day"));
        };
        if from == to {
            return Err(Refusal::field("to", "another minute than the first"));
        }
        Ok(Quiet { zone, from, to, days })
    }

    /// When the quiet hours of this moment end; `None` if it is in none.
    #[must_use]
    pub fn end(&self, now: Moment) -> Option<Moment> {
        let now = Timestamp::from_millisecond(now.as_ms()).ok()?;
        let local = self.zone.to_datetime(now);
        let today = local.date();
        let yesterday = today.checked_sub(1.day()).ok()?;
        [yesterday, today].into_iter().find_map(|day| {
            let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
            let is_over_night = self.to < self.from;
            let last = if is_over_night { day.checked_add(1.day()).ok()? } else { day };
            let (start, end) = (day.to_datetime(self.from), last.to_datetime(self.to));
            let is_quiet = self.days.get(weekday) == Some(&true);
            let end = self.later(end)?;
            (is_quiet && start <= local && now < end).then(|| Moment::from_ms(end.as_millisecond()))
        })
    }

    fn later(&self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        ambiguous.later().ok()
    }
}

/// What is done with a notification. What matters most is sent at any hour.
#[must_use]
pub fn decide(
    quiet: Option<&Quiet>,
    priority: Priority,
    is_critical: bool,
    now: Moment,
    expires_at: Moment,
) -> Verdict {
    if now > expires_at {
        return Verdict::Expire;
    }
    let is_urgent = is_critical || priority == Priority::High;
    match quiet.filter(|_| !is_urgent).and_then(|quiet| quiet.end(now)) {
        None => Verdict::Send,
        Some(end) if end > expires_at => Verdict::Expire,
        Some(end) => Verdict::Defer(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    fn nights(zone: &str) -> Quiet {
        Quiet::new(zone, 22 * 60, 7 * 60, [true; 7]).unwrap()
    }

    #[test]
    fn a_night_ends_in_the_morning_of_the_user() {
        let bangkok = nights("Asia/Bangkok");
        let morning = Some(at("2026-11-24T07:00:00+07:00"));
        assert_eq!(bangkok.end(at("2026-11-23T22:00:00+07:00")), morning);
        assert_eq!(bangkok.end(at("2026-11-24T06:59:59+07:00")), morning);
        assert_eq!(bangkok.end(at("2026-11-24T07:00:00+07:00")), None);
        assert_eq!(bangkok.end(at("2026-11-23T21:59:59+07:00")), None);
    }

    #[test]
    fn quiet_hours_begin_on_their_days_only() {
        let mut days = [false; 7];
        days[4] = true;
        let friday = Quiet::new("Asia/Bangkok", 22 * 60, 7 * 60, days).unwrap();
        assert!(friday.end(at("2026-11-21T06:00:00+07:00")).is_some());
        assert_eq!(friday.end(at("2026-11-21T23:00:00+07:00")), None);
    }

    #[test]
    fn a_time_that_the_clock_leaves_out_is_the_moment_of_the_change() {
        let quiet = Quiet::new("Europe/Berlin", 60, 150, [true; 7]).unwrap();
        let end = quiet.end(at("2026-03-29T01:30:00+01:00"));
        assert_eq!(end, Some(at("2026-03-29T03:30:00+02:00")));
    }

    #[test]
    fn nobody_is_woken_in_the_hour_that_the_clock_repeats() {
        let quiet = Quiet::new("Europe/Berlin", 60, 150, [true; 7]).unwrap();
        let end = Some(at("2026-10-25T02:30:00+01:00"));
        assert_eq!(quiet.end(at("2026-10-25T02:29:00+02:00")), end);
        assert_eq!(quiet.end(at("2026-10-25T02:45:00+02:00")), end);
        assert_eq!(quiet.end(at("2026-10-25T02:30:00+01:00")), None);
    }

    #[test]
    fn what_waits_waits_no_longer_than_it_is_worth() {
        let quiet = nights("Asia/Bangkok");
        let (now, morning) = (at("2026-11-23T23:00:00+07:00"), at("2026-11-24T07:00:00+07:00"));
        let decide = |priority, critical, expires| {
            super::decide(Some(&quiet), priority, critical, now, expires)
        };
        assert_eq!(decide(Priority::Normal, false, morning), Verdict::Defer(morning));
        let early = at("2026-11-24T06:59:00+07:00");
        assert_eq!(decide(Priority::Normal, false, early), Verdict::Expire);
        assert_eq!(decide(Priority::High, false, early), Verdict::Send);
        assert_eq!(decide(Priority::Low, true, early), Verdict::Send);
        assert_eq!(decide(Priority::High, true, at("2026-11-23T22:59:00+07:00")), Verdict::Expire);
        assert_eq!(super::decide(None, Priority::Low, false, now, now), Verdict::Send);
    }

    #[test]
    fn hours_that_make_no_sense_are_refused() {
        assert!(Quiet::new("Moon/Base", 0, 60, [true; 7]).is_err());
        assert!(Quiet::new("UTC", 60, 60, [true; 7]).is_err());
        assert!(Quiet::new("UTC", 0, 1_440, [true; 7]).is_err());
    }
}
