//! What a capacity notice says, until when it holds, and to whom one would turn instead. Pure.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::PurposeCode;
use crate::ids::Oin;
use crate::lifecycle::Day;
use crate::problem::InvalidParam;

/// How many days ahead a notice may reach: whoever needs longer announces it again.
pub const LONGEST_DAYS: i64 = 26 * 7;

closed_list! {
    /// What is announced.
    Kind {
        /// Nobody is taken in.
        NoIntake = "no-intake",
        /// People are taken in, and wait.
        WaitingList = "waiting-list",
    }
}

closed_list! {
    /// How a notice stands.
    Status {
        /// It holds.
        Active = "active",
        /// Its last day is over.
        Expired = "expired",
        /// A later one for the same purpose came in its place.
        Replaced = "replaced",
        /// Its organisation ended it early.
        Ended = "ended",
    }
}

closed_list! {
    /// How a notice ended before its last day was over.
    Ending {
        /// A later one for the same purpose came in its place.
        Replaced = "replaced",
        /// Its organisation ended it.
        Ended = "ended",
    }
}

/// How much room there is, where there is less than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// Nobody is taken in.
    NoIntake,
    /// People wait about so many weeks, one at least.
    WaitingList(u32),
}

impl Capacity {
    /// From its parts; nothing where they do not belong together.
    #[must_use]
    pub const fn of(kind: Kind, expected_wait_weeks: Option<u32>) -> Option<Self> {
        match (kind, expected_wait_weeks) {
            (Kind::NoIntake, None) => Some(Self::NoIntake),
            (Kind::WaitingList, Some(weeks)) => Some(Self::WaitingList(weeks)),
            _ => None,
        }
    }

    /// What is announced.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::NoIntake => Kind::NoIntake,
            Self::WaitingList(_) => Kind::WaitingList,
        }
    }

    /// How many weeks people wait; nothing where nobody is taken in.
    #[must_use]
    pub const fn expected_wait_weeks(self) -> Option<u32> {
        match self {
            Self::NoIntake => None,
            Self::WaitingList(weeks) => Some(weeks),
        }
    }
}

/// A notice as it is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// For which purpose.
    pub purpose: PurposeCode,
    /// What is announced.
    pub kind: Kind,
    /// With a waiting list, about how many weeks.
    #[serde(default)]
    pub expected_wait_weeks: Option<u32>,
    /// The last day on which it holds.
    pub until: Day,
}

impl Announcement {
    /// What it says, if it can be announced today.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn capacity(&self, today: Day) -> Result<Capacity, Vec<InvalidParam>> {
        let mut wrong = Vec::new();
        let capacity = Capacity::of(self.kind, self.expected_wait_weeks);
        match (capacity, self.kind) {
            (Some(_), _) => {}
            (None, Kind::NoIntake) => {
                wrong.push(InvalidParam::new("expectedWaitWeeks", "not-expected", "expected only with waiting-list"));
            }
            (None, Kind::WaitingList) => {
                wrong.push(InvalidParam::new("expectedWaitWeeks", "required", "expected with waiting-list"));
            }
        }
        if !(0..=LONGEST_DAYS).contains(&today.days_until(self.until)) {
            let expected = format!("expected a day from today on, {} weeks ahead at most", LONGEST_DAYS / 7);
            wrong.push(InvalidParam::new("until", "range", expected));
        }
        capacity.filter(|_| wrong.is_empty()).ok_or(wrong)
    }
}

/// A notice that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id.
    pub id: Uuid,
    /// Who announced it.
    pub organisation: Oin,
    /// For which purpose.
    pub purpose: PurposeCode,
    /// What it says.
    pub capacity: Capacity,
    /// The last day on which it holds, in Amsterdam.
    pub until: Day,
    /// When it was announced.
    pub announced_at: Timestamp,
    /// How and when it ended before its last day was over.
    pub ended: Option<(Ending, Timestamp)>,
}

impl Notice {
    /// How it stands on this day.
    #[must_use]
    pub fn status(&self, today: Day) -> Status {
        match self.ended {
            Some((Ending::Replaced, _)) => Status::Replaced,
            Some((Ending::Ended, _)) => Status::Ended,
            None if self.until < today => Status::Expired,
            None => Status::Active,
        }
    }

    /// Whether it holds on this day.
    #[must_use]
    pub fn holds(&self, today: Day) -> bool {
        self.status(today) == Status::Active
    }

    /// The notice as everybody sees it.
    #[must_use]
    pub fn to_json(&self, today: Day) -> Value {
        json!({
            "id": self.id,
            "organisation": self.organisation,
            "purpose": self.purpose,
            "kind": self.capacity.kind(),
            "expectedWaitWeeks": self.capacity.expected_wait_weeks(),
            "until": self.until,
            "status": self.status(today),
            "announcedAt": self.announced_at,
            "endedAt": self.ended.map(|(_, at)| at),
        })
    }
}

/// Another organisation, with what it has announced for the purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its OIN.
    pub organisation: Oin,
    /// Its name in the directory.
    pub name: String,
    /// What it has announced; nothing where there is room.
    pub capacity: Option<Capacity>,
}

impl Other {
    /// The organisation as an alternative.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "organisation": self.organisation,
            "name": self.name,
            "expectedWaitWeeks": self.capacity.and_then(Capacity::expected_wait_weeks),
        })
    }
}

/// To whom one would turn instead of an organisation with this capacity: those that take people in, and sooner. First those that announced
/// nothing, then by the time that people wait, each time by OIN.
#[must_use]
pub fn alternatives(instead_of: Capacity, others: impl IntoIterator<Item = Other>) -> Vec<Other> {
    let weeks = |capacity: Option<Capacity>| match capacity {
        None => 0,
        Some(Capacity::WaitingList(weeks)) => weeks,
        Some(Capacity::NoIntake) => u32::MAX,
    };
    let longest = weeks(Some(instead_of));
    let mut others: Vec<Other> = others.into_iter().filter(|other| weeks(other.capacity) < longest).collect();
    others.sort_by(|a, b| (weeks(a.capacity), &a.organisation).cmp(&(weeks(b.capacity), &b.organisation)));
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(number: u32, capacity: Option<Capacity>) -> Other {
        let organisation = format!("000000990000000{number:05}").parse().unwrap();
        Other { organisation, name: String::new(), capacity }
    }

    fn order(instead_of: Capacity, others: &[(u32, Option<Capacity>)]) -> Vec<String> {
        let others = others.iter().map(|(number, capacity)| other(*number, *capacity));
        alternatives(instead_of, others).iter().map(|other| other.organisation.as_str()[15..].to_owned()).collect()
    }

    #[test]
    fn who_has_room_comes_first_then_who_lets_people_wait_the_shortest_and_never_who_takes_nobody_in() {
        use Capacity::{NoIntake, WaitingList};
        let others = [
            (7, Some(WaitingList(3))),
            (6, None),
            (5, Some(NoIntake)),
            (4, Some(WaitingList(8))),
            (3, Some(WaitingList(3))),
            (2, None),
        ];
        assert_eq!(order(NoIntake, &others), ["00002", "00006", "00003", "00007", "00004"]);
        let mut turned = others;
        turned.reverse();
        assert_eq!(order(NoIntake, &turned), order(NoIntake, &others));
        assert_eq!(order(WaitingList(8), &others), ["00002", "00006", "00003", "00007"], "not where one waits as long");
        assert_eq!(order(WaitingList(1), &others), ["00002", "00006"]);
        assert_eq!(order(NoIntake, &[]), [""; 0]);
    }

    fn wrong(kind: Kind, weeks: Option<u32>, until: &str) -> Vec<(String, String)> {
        let announcement = Announcement {
            purpose: "debt-counselling".parse().unwrap(),
            kind,
            expected_wait_weeks: weeks,
            until: until.parse().unwrap(),
        };
        let wrong = announcement.capacity("2026-11-22".parse().unwrap()).err().unwrap_or_default();
        wrong.into_iter().map(|wrong| (wrong.name, wrong.code.into_owned())).collect()
    }

    #[test]
    fn a_notice_holds_today_at_least_and_half_a_year_at_most() {
        for day in ["2026-11-22", "2026-12-31", "2027-05-23"] {
            assert_eq!(wrong(Kind::NoIntake, None, day), []);
        }
        for day in ["2026-11-21", "2027-05-24", "9999-12-31", "0001-01-01"] {
            assert_eq!(wrong(Kind::NoIntake, None, day), [("until".to_owned(), "range".to_owned())], "{day}");
        }
    }

    #[test]
    fn a_waiting_time_belongs_to_a_waiting_list_and_all_mistakes_come_together() {
        let weeks = |code: &str| ("expectedWaitWeeks".to_owned(), code.to_owned());
        assert_eq!(wrong(Kind::WaitingList, Some(6), "2026-12-01"), []);
        assert_eq!(wrong(Kind::WaitingList, None, "2026-12-01"), [weeks("required")]);
        let both = [weeks("not-expected"), ("until".to_owned(), "range".to_owned())];
        assert_eq!(wrong(Kind::NoIntake, Some(6), "2025-12-01"), both);
    }
}
