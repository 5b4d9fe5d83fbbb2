//! A veto as it is kept, and what becomes of it. Pure.

use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::lifecycle::working_days::after_working_days;
use crate::subjects::SubjectReference;

closed_list! {
    /// How a veto stands.
    Status {
        /// Its holder is to look at it again.
        Open = "open",
        /// Its holder did not in time.
        Overdue = "overdue",
        /// The resident is helped outside the channel. It blocks as before.
        Resolved = "resolved",
        /// It blocks nothing any more.
        Ended = "ended",
    }
}

closed_list! {
    /// What its holder concludes.
    Conclusion {
        /// The resident is helped outside the channel, which stays closed. No clock runs.
        ResolvedOtherwise = "resolved-otherwise",
        /// Nothing has changed; another term begins.
        Continued = "continued",
        /// The channel can be used again: it ends.
        ChannelSafeAgain = "channel-safe-again",
    }
}

closed_list! {
    /// What the holder's privacy officer finds of an access report (art. 15.4 and 23.1.i AVG).
    Weighing {
        /// An access report may show what the veto was set on.
        MayBeReported = "may-be-reported",
        /// It would endanger somebody.
        MustNotBeReported = "must-not-be-reported",
    }
}

/// A veto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veto {
    /// Its id.
    pub id: Uuid,
    /// Who set it, and holds it.
    pub organisation: Oin,
    /// About whom, as only the gateway knows them.
    pub subject: String,
    /// The referral of its own that it was set on; none where there was none.
    pub referral: Option<Uuid>,
    /// When it was set.
    pub set_at: Timestamp,
    /// Working days of each term.
    pub days: u32,
    /// Until when its holder looks at it again; none where no clock runs.
    pub due_at: Option<Timestamp>,
    /// Whether that the present term passed was told.
    pub told: bool,
    /// How many terms passed.
    pub missed: u32,
    /// What was concluded last, and when.
    pub concluded: Option<(Conclusion, Timestamp)>,
    /// From when on it blocks nothing.
    pub ended_at: Option<Timestamp>,
    /// What the holder's privacy officer found, and when.
    pub weighed: Option<(Weighing, Timestamp)>,
    /// Counts its changes.
    pub version: i64,
}

impl Veto {
    /// One that is set now; `days` are the working days in which its holder looks at it again.
    #[must_use]
    pub fn new(
        id: Uuid,
        organisation: Oin,
        subject: String,
        referral: Option<Uuid>,
        days: u32,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            organisation,
            subject,
            referral,
            set_at: now,
            days,
            due_at: Some(after_working_days(now, days)),
            told: false,
            missed: 0,
            concluded: None,
            ended_at: None,
            weighed: None,
            version: 1,
        }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        match (self.ended_at, self.due_at) {
            (Some(_), _) => Status::Ended,
            (None, None) => Status::Resolved,
            (None, Some(due_at)) if due_at <= now => Status::Overdue,
            (None, Some(_)) => Status::Open,
        }
    }

    /// The deadline that is still to be told when it passes.
    #[must_use]
    pub fn alarm_at(&self) -> Option<Timestamp> {
        self.due_at.filter(|_| !self.told)
    }

    /// Notes that its term has passed; whether there was anything to note.
    #[must_use]
    pub fn pass(&mut self, now: Timestamp) -> bool {
        let passed = self.alarm_at().is_some_and(|due_at| due_at <= now);
        if passed {
            (self.told, self.missed) = (true, self.missed.saturating_add(1));
        }
        passed
    }

    /// Concludes; whether that is possible. What has ended stays so: a danger that is there again is another veto.
    #[must_use]
    pub fn conclude(&mut self, conclusion: Conclusion, now: Timestamp) -> bool {
        let possible = match self.status(now) {
            Status::Ended => false,
            Status::Resolved => conclusion != Conclusion::ResolvedOtherwise,
            Status::Open | Status::Overdue => true,
        };
        if possible {
            self.concluded = Some((conclusion, now));
            self.told = false;
            self.due_at = (conclusion == Conclusion::Continued).then(|| after_working_days(now, self.days));
            self.ended_at = (conclusion == Conclusion::ChannelSafeAgain).then_some(now);
        }
        possible
    }

    /// Whether an access report may show what it was set on: only once that was weighed.
    #[must_use]
    pub const fn may_be_reported(&self) -> bool {
        matches!(self.weighed, Some((Weighing::MayBeReported, _)))
    }
}

/// A veto as it is asked for: the resident and nothing else. A reason would be about the resident.
#[derive(Deserialize)]
pub struct VetoCreation {
    /// About whom.
    pub subject: SubjectReference,
}

/// A conclusion as it is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ConclusionCreation {
    /// What.
    pub conclusion: Conclusion,
}

/// A weighing as it is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct WeighingCreation {
    /// What.
    pub weighing: Weighing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Set on a Monday, with five working days.
    fn veto() -> Veto {
        let organisation = "00000099000000003000".parse().unwrap();
        Veto::new(Uuid::nil(), organisation, "somebody".to_owned(), None, 5, at("2026-11-23T10:00:00Z"))
    }

    #[test]
    fn it_is_overdue_once_for_each_term() {
        let mut veto = veto();
        let due = veto.due_at.unwrap();
        let before = Timestamp::from_micros(due.as_micros() - 1);
        assert_eq!((veto.status(before), veto.pass(before)), (Status::Open, false));
        assert_eq!((veto.status(due), veto.pass(due), veto.pass(due)), (Status::Overdue, true, false));
        assert_eq!((veto.status(due), veto.missed, veto.alarm_at()), (Status::Overdue, 1, None));
        assert!(veto.conclude(Conclusion::Continued, due));
        assert_eq!(veto.status(due), Status::Open);
        let next = veto.due_at.unwrap();
        assert!(next > due && veto.pass(next));
        assert_eq!(veto.missed, 2);
    }

    #[test]
    fn no_clock_runs_once_the_resident_is_helped_and_the_channel_stays_closed() {
        let mut veto = veto();
        let now = veto.set_at;
        assert!(veto.conclude(Conclusion::ResolvedOtherwise, now));
        assert_eq!((veto.status(now), veto.alarm_at(), veto.ended_at), (Status::Resolved, None, None));
        assert!(!veto.conclude(Conclusion::ResolvedOtherwise, now), "said already");
        assert!(veto.conclude(Conclusion::Continued, now), "it turned out otherwise");
        assert_eq!(veto.status(now), Status::Open);
    }

    #[test]
    fn what_has_ended_is_concluded_no_more() {
        let mut veto = veto();
        let now = veto.set_at;
        assert!(veto.conclude(Conclusion::ChannelSafeAgain, now));
        assert_eq!((veto.status(now), veto.due_at, veto.alarm_at()), (Status::Ended, None, None));
        let ended = veto.clone();
        for conclusion in Conclusion::ALL {
            assert!(!veto.conclude(conclusion, now));
        }
        assert_eq!(veto, ended);
    }

    #[test]
    fn nothing_is_reported_that_was_not_weighed() {
        let mut veto = veto();
        assert!(!veto.may_be_reported());
        veto.weighed = Some((Weighing::MustNotBeReported, veto.set_at));
        assert!(!veto.may_be_reported());
        veto.weighed = Some((Weighing::MayBeReported, veto.set_at));
        assert!(veto.may_be_reported());
    }
}
