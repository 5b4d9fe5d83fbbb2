//! What a subscription and a delivery are, and the small decisions about them. No I/O.
//!
//! Invariant: the text of a state occurs here only, and is the one of the contract and of the database.

use std::time::Duration;

use uuid::Uuid;

use super::Addressee;
use super::event::EventType;
use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::organisations::Role;

closed_list! {
    /// The state of a subscription.
    SubscriptionStatus {
        /// The sink has not answered its handshake yet.
        Pending = "pending",
        /// Events are pushed.
        Active = "active",
        /// Held by the subscriber; events are kept.
        Paused = "paused",
        /// The sink answered 410, or never answered its handshake.
        Ended = "ended",
    }
}

closed_list! {
    /// The state of a delivery.
    DeliveryStatus {
        /// Waits for its first or next attempt.
        Pending = "pending",
        /// The sink answered 2xx.
        Delivered = "delivered",
        /// Given up; can be replayed.
        Dead = "dead",
    }
}

/// A webhook of an organisation, or of a role in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its identifier.
    pub id: Uuid,
    /// Whose feed is pushed.
    pub reader: Addressee,
    /// Where to.
    pub sink: String,
    /// Which types, by name.
    pub types: Vec<String>,
    /// Whether the gateway shows its own certificate.
    pub mutual_tls: bool,
    /// Its state.
    pub status: SubscriptionStatus,
    /// Whether the present sink has answered its handshake.
    pub confirmed: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Rises with every change.
    pub version: i64,
}

/// The types a subscription asks for, each once and in order; all that its reader can be told when it does not say.
#[must_use]
pub fn wanted_types(names: Option<Vec<String>>, role: Option<Role>) -> Vec<String> {
    let all = || {
        let told = EventType::ALL.into_iter().filter(|kind| kind.is_for(role));
        told.map(|kind| kind.as_str().to_owned()).collect()
    };
    let mut names: Vec<String> = names.unwrap_or_else(all);
    names.sort_unstable();
    names.dedup();
    names
}

/// The places of the types that this reader is never told of.
#[must_use]
pub fn strange_types(names: &[String], role: Option<Role>) -> Vec<usize> {
    let is_strange = |name: &String| !EventType::from_name(name).is_some_and(|kind| kind.is_for(role));
    (0..).zip(names).filter_map(|(place, name)| is_strange(name).then_some(place)).collect()
}

/// What a subscriber wants to be different.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Another address.
    pub sink: Option<String>,
    /// Other types.
    pub types: Option<Vec<String>>,
    /// Whether the gateway shows its own certificate.
    pub mutual_tls: Option<bool>,
    /// Paused, or active again; no other state can be asked for.
    pub paused: Option<bool>,
    /// A fresh signing secret.
    pub rotate_secret: bool,
}

impl Change {
    /// The subscription after this change, and whether its handshake begins anew; nothing when it has ended and is not revived.
    #[must_use]
    pub fn apply(&self, present: &Subscription, now: Timestamp) -> Option<(Subscription, bool)> {
        let mut next = Subscription { updated_at: now, version: present.version + 1, ..present.clone() };
        if let Some(sink) = &self.sink {
            next.confirmed &= *sink == next.sink;
            next.sink.clone_from(sink);
        }
        let role = present.reader.role;
        next.types = self.types.clone().map_or(next.types, |types| wanted_types(Some(types), role));
        next.mutual_tls = self.mutual_tls.unwrap_or(next.mutual_tls);
        let ended = present.status == SubscriptionStatus::Ended;
        let revived = self.paused == Some(false) || (self.paused.is_none() && next.sink != present.sink);
        if ended && !revived {
            return None;
        }
        next.confirmed &= !ended;
        next.status = match self.paused.unwrap_or(present.status == SubscriptionStatus::Paused) {
            true => SubscriptionStatus::Paused,
            false if next.confirmed => SubscriptionStatus::Active,
            false => SubscriptionStatus::Pending,
        };
        let restart = ended || next.sink != present.sink;
        Some((next, restart))
    }
}

/// One delivery as its subscriber sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event's place in the feed.
    pub position: i64,
    /// The event; within a subscription also the name of the delivery.
    pub event: Uuid,
    /// The event's type.
    pub kind: String,
    /// Its state.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// When it will be tried, while it waits.
    pub next_attempt_at: Option<Timestamp>,
    /// The status of the last answer.
    pub last_status: Option<i64>,
    /// Why the last attempt failed, from a closed list.
    pub last_error: Option<String>,
}

/// The minute in which a sink's allowed rate is counted (`CloudEvents` webhooks 1.0.2 section 4.2.2: requests per minute).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateWindow {
    /// When the minute began.
    pub started_at: Timestamp,
    /// How many requests were sent in it.
    pub sent: i64,
}

impl RateWindow {
    const LENGTH: Duration = Duration::from_mins(1);

    /// How many of `wanted` requests may be sent now, and the window after them.
    #[must_use]
    pub fn grant(self, rate: Option<i64>, wanted: i64, now: Timestamp) -> (i64, Self) {
        let current = if now >= self.started_at.plus(Self::LENGTH) { Self { started_at: now, sent: 0 } } else { self };
        let granted = rate.map_or(wanted, |rate| wanted.min(rate - current.sent).max(0));
        (granted, Self { sent: current.sent.saturating_add(granted), ..current })
    }
}

/// What a sink's answer to the handshake means (`CloudEvents` webhooks 1.0.2 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Deliveries may be sent, at this many a minute when it says so.
    Granted {
        /// Requests a minute; none means that the sink set no limit.
        rate: Option<i64>,
    },
    /// They may not.
    Denied,
    /// The target is gone for good.
    Gone,
}

/// Judges the answer: 2xx that names `origin`, or anyone.
#[must_use]
pub fn consent(status: u16, allowed_origin: Option<&str>, allowed_rate: Option<&str>, origin: &str) -> Consent {
    if status == 410 {
        return Consent::Gone;
    }
    let named =
        allowed_origin.map(str::trim).is_some_and(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin));
    if !(200..300).contains(&status) || !named {
        return Consent::Denied;
    }
    match allowed_rate.map(str::trim) {
        None | Some("*") => Consent::Granted { rate: None },
        Some(number) => match number.parse::<i64>() {
            Ok(rate) if rate > 0 => Consent::Granted { rate: Some(rate) },
            // A rate that cannot be read may have been meant as a limit.
            _ => Consent::Denied,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: &str = "gateway.example";

    #[test]
    fn only_a_success_that_names_us_is_consent() {
        let free = Consent::Granted { rate: None };
        assert_eq!(consent(200, Some(ORIGIN), None, ORIGIN), free);
        assert_eq!(consent(204, Some("*"), Some("*"), ORIGIN), free);
        assert_eq!(consent(200, Some("Gateway.Example"), Some("120"), ORIGIN), Consent::Granted { rate: Some(120) });
        for (status, origin, rate) in [
            (200, None, None),
            (200, Some("other.example"), None),
            (200, Some("gateway.example.evil"), None),
            (302, Some("*"), None),
            (405, Some("*"), None),
            (500, Some("*"), None),
            (200, Some("*"), Some("0")),
            (200, Some("*"), Some("-1")),
            (200, Some("*"), Some("many")),
        ] {
            assert_eq!(consent(status, origin, rate, ORIGIN), Consent::Denied, "{status} {origin:?} {rate:?}");
        }
        assert_eq!(consent(410, Some("*"), None, ORIGIN), Consent::Gone);
    }

    #[test]
    fn a_role_is_told_what_is_for_it_and_the_organisations_own_system_everything_else() {
        let officer = wanted_types(None, Some(Role::PrivacyOfficer));
        assert_eq!(
            officer,
            [
                "nl.sluis.case.overdue-at-municipality.v1",
                "nl.sluis.case.stepped-up-by-director.v1",
                "nl.sluis.consent.confirmation-unanswered.v1",
                "nl.sluis.emergency.declared.v1",
                "nl.sluis.handoff.overdue-at-municipality.v1",
                "nl.sluis.incident.assessment-overdue.v1",
                "nl.sluis.incident.deletion-confirmed.v1",
                "nl.sluis.incident.deletion-overdue.v1",
                "nl.sluis.incident.opened.v1",
                "nl.sluis.informing-duty.neglected.v1",
                "nl.sluis.objection.recorded.v1",
                "nl.sluis.objection.taken-back.v1",
                "nl.sluis.objection.weighing-overdue.v1",
                "nl.sluis.review.concluded.v1",
                "nl.sluis.review.notification-overdue.v1",
                "nl.sluis.review.overdue.v1"
            ]
        );
        let of_a_party = wanted_types(None, Some(Role::DataProtectionOfficer));
        assert_eq!(of_a_party.len(), 12);
        assert!(of_a_party.iter().all(|name| officer.contains(name)), "{of_a_party:?}");
        let own = wanted_types(None, None);
        // Of an incident both hear: whoever sees it first acts.
        let (both, officers_alone): (Vec<_>, Vec<_>) = officer.iter().partition(|name| own.contains(name));
        assert!(both.iter().all(|name| name.starts_with("nl.sluis.incident.")), "{both:?}");
        assert_eq!(both.len(), 4);
        assert_eq!(own.len() + officers_alone.len(), EventType::ALL.len(), "no type is told to nobody");
        for role in [Role::Monitor, Role::Administrator] {
            assert_eq!(wanted_types(None, Some(role)), [""; 0], "{}", role.name());
        }
        assert_eq!(strange_types(&officer, None), [0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(strange_types(&own, None), [0; 0]);
        assert_eq!(strange_types(&["nl.sluis.nothing.v1".to_owned()], None), [0]);
    }

    #[test]
    fn states_survive_their_text() {
        for status in ["pending", "active", "paused", "ended"] {
            assert_eq!(status.parse::<SubscriptionStatus>().unwrap().as_str(), status);
        }
        assert!("Active".parse::<SubscriptionStatus>().is_err());
    }

    fn subscription(status: SubscriptionStatus, confirmed: bool) -> Subscription {
        Subscription {
            id: Uuid::nil(),
            reader: "00000099000000001000".parse().unwrap(),
            sink: "https://one.example/".into(),
            types: vec![],
            mutual_tls: false,
            status,
            confirmed,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
            version: 1,
        }
    }

    #[test]
    fn each_change_leads_to_the_state_that_the_contract_says() {
        use SubscriptionStatus::{Active, Ended, Paused, Pending};
        let pause = Change { paused: Some(true), ..Change::default() };
        let resume = Change { paused: Some(false), ..Change::default() };
        let same = Change { sink: Some("https://one.example/".into()), ..Change::default() };
        let moved = Change { sink: Some("https://two.example/".into()), ..Change::default() };
        for (change, from, confirmed, expected) in [
            (&pause, Active, true, Some((Paused, false))),
            (&pause, Pending, false, Some((Paused, false))),
            (&pause, Ended, false, None),
            (&resume, Paused, true, Some((Active, false))),
            (&resume, Paused, false, Some((Pending, false))),
            (&resume, Active, true, Some((Active, false))),
            (&resume, Pending, false, Some((Pending, false))),
            (&resume, Ended, false, Some((Pending, true))),
            (&same, Active, true, Some((Active, false))),
            (&same, Ended, false, None),
            (&moved, Active, true, Some((Pending, true))),
            (&moved, Paused, true, Some((Paused, true))),
            (&moved, Ended, false, Some((Pending, true))),
        ] {
            let after = change.apply(&subscription(from, confirmed), Timestamp::from_micros(5));
            let seen = after.as_ref().map(|(next, restart)| (next.status, *restart));
            assert_eq!(seen, expected, "{change:?} from {from}");
            if let Some((next, _)) = after {
                assert_eq!((next.version, next.updated_at), (2, Timestamp::from_micros(5)));
                assert!(next.status != Active || next.confirmed, "active without a handshake");
            }
        }
    }

    proptest! {
        #[test]
        fn no_minute_sees_more_than_the_allowed_rate(
            rate in 1..50_i64, steps in proptest::collection::vec((0..30_000_000_i64, 0..40_i64), 1..60)
        ) {
            let mut now = 0;
            let mut window = RateWindow { started_at: Timestamp::from_micros(0), sent: 0 };
            let mut by_window = std::collections::BTreeMap::new();
            for (pause, wanted) in steps {
                now += pause;
                let (granted, next) = window.grant(Some(rate), wanted, Timestamp::from_micros(now));
                prop_assert!(granted >= 0 && granted <= wanted);
                *by_window.entry(next.started_at).or_insert(0) += granted;
                window = next;
            }
            prop_assert!(by_window.values().all(|sent| *sent <= rate));
        }

        #[test]
        fn without_a_limit_everything_is_granted(sent in 0..i64::MAX / 2, wanted in 0..1_000_i64) {
            let window = RateWindow { started_at: Timestamp::from_micros(0), sent };
            prop_assert_eq!(window.grant(None, wanted, Timestamp::from_micros(1)).0, wanted);
        }
    }
}
