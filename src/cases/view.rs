//! What a reader sees of a case.
//!
//! Invariants: the coordinator sees who takes part; everyone else sees the coordinator and itself. Of the referrals everyone sees those that they
//! are a party to; who coordinates or directs it also the ids of those that are stuck. Why it was stepped up, and that it was before, is for the
//! coordinator and the process director. What a reader other than these sees names days, not moments, and its tag changes only with what it
//! sees. Whoever is only invited, or no longer, sees that, and its own referrals, and nothing else.

use super::store::{Event, What};
use super::types::{Rules, Seen, Whole};
use crate::clock::Timestamp;
use crate::covenant::Standings;
use crate::ids::Oin;
use crate::lifecycle::case::Role;
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

/// Who reads.
pub(super) struct Reader<'a> {
    pub(super) organisation: &'a Oin,
    pub(super) roles: Vec<Role>,
    /// Whether it is only invited and has not signed for the case, or had signed and is not invited any more.
    pub(super) outside: bool,
}

impl Reader<'_> {
    pub(super) fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it steers: coordinates or directs.
    fn steers(&self) -> bool {
        self.is(Role::Coordinator) || self.is(Role::ProcessDirector)
    }
}

/// The day of a moment (UTC): what does not tell two readers that they look at the same.
pub(super) const fn day_of(moment: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400_000_000;
    Timestamp::from_micros(moment.as_micros() - moment.as_micros().rem_euclid(DAY))
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::Coordinator => "coordinator",
        Role::Candidate => "candidate",
        Role::Invited => "invited",
        Role::Participant => "participant",
        Role::ProcessDirector => "process-director",
        Role::Gateway => "gateway",
    }
}

fn words(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|role| word(*role)).collect()
}

/// What tells this reader whether the case has changed for it. The alias in the view makes it another one for every reader; for the
/// coordinator every change counts.
pub(super) fn tag(view: &Value, whole: &Whole, reader: &Reader<'_>) -> String {
    let version = if reader.is(Role::Coordinator) { whole.kept.version } else { 0 };
    let seen = digest(&SHA256, json!([view, version]).to_string().as_bytes());
    hex::encode(seen.as_ref().get(..16).unwrap_or_default())
}

/// The case as this reader sees it.
pub(super) fn case(seen: &Seen, reader: &Reader<'_>, rules: &Rules, now: Timestamp) -> Value {
    let Seen { alias, whole, shown } = seen;
    let opened_at = whole.kept.opened_at;
    let case = whole.kept.case.settled(&rules.terms, now);
    let coordinates = reader.is(Role::Coordinator);
    let stepped_up = case.stepped_up.map(|now| {
        if reader.steers() {
            json!({ "reason": now.reason, "until": now.until })
        } else {
            json!({ "until": now.until })
        }
    });
    let mut view = Map::from_iter([
        ("id".to_owned(), json!(alias)),
        ("status".to_owned(), json!(if case.closed_at.is_some() { "closed" } else { "open" })),
        ("roles".to_owned(), json!(words(&reader.roles))),
        ("referrals".to_owned(), json!(shown.referrals)),
    ]);
    if reader.outside {
        return Value::Object(view);
    }
    view.insert("coordinator".into(), json!(case.coordinator));
    view.insert("steppedUp".into(), json!(stepped_up));
    if coordinates || reader.is(Role::Candidate) {
        let offer = case.hand_over.as_ref().map(|offer| json!({ "organisation": offer.to, "dueAt": offer.due_at }));
        view.insert("offer".into(), json!(offer));
    }
    if coordinates || reader.is(Role::ProcessDirector) {
        let proposal = case.proposal.map(|proposal| json!({ "dueAt": proposal.due_at, "overdue": proposal.overdue }));
        view.insert("stepUpProposal".into(), json!(proposal));
        view.insert("stuckReferrals".into(), json!(shown.stuck));
    }
    if coordinates {
        view.insert("openReferrals".into(), json!(whole.open));
        view.insert("idleUntil".into(), json!(case.idle_until));
        view.insert("openedAt".into(), json!(opened_at));
        view.insert("closedAt".into(), json!(case.closed_at));
    }
    Value::Object(view)
}

/// Who takes part, as this reader sees it: those whom [`shown`] names.
pub(super) fn participants(
    whole: &Whole,
    reader: &Reader<'_>,
    standings: &Standings,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Value> {
    let coordinates = reader.is(Role::Coordinator);
    let view = |party: &Oin| {
        let roles = whole.roles(party, rules, now);
        let taking_part = |role: &Role| matches!(role, Role::Coordinator | Role::Invited | Role::Participant);
        let is_open = coordinates || party == reader.organisation;
        // As what the coordinator takes part besides is its own business.
        let shown = roles.into_iter().filter(taking_part).filter(|role| is_open || *role == Role::Coordinator);
        let mut view = json!({ "organisation": party, "roles": words(&shown.collect::<Vec<_>>()) });
        if let (Value::Object(view), true) = (&mut view, is_open) {
            view.insert("signed".into(), json!(standings.of(party).signed_for(whole.kept.id)));
        }
        view
    };
    shown(whole, reader).iter().map(view).collect()
}

/// Of whom this reader sees that they take part.
pub(super) fn shown(whole: &Whole, reader: &Reader<'_>) -> Vec<Oin> {
    let mut all: Vec<Oin> = whole.participants.clone();
    all.push(whole.kept.case.coordinator.clone());
    all.extend(whole.kept.case.invited.iter().cloned());
    all.sort_unstable();
    all.dedup();
    let coordinates = reader.is(Role::Coordinator);
    all.retain(|party| coordinates || party == reader.organisation || *party == whole.kept.case.coordinator);
    all
}

/// Who coordinated it and from when, as this reader sees it.
pub(super) fn coordinators(whole: &Whole, history: &[Event], reader: &Reader<'_>) -> Vec<Value> {
    let changes = history.iter().filter_map(|event| match &event.what {
        What::Coordinator { from, to } => Some((from, to, event.at)),
        _ => None,
    });
    let mut terms: Vec<(Oin, Timestamp, Option<Timestamp>)> = Vec::new();
    for (from, to, at) in changes {
        match terms.last_mut() {
            Some(last) => last.2 = Some(at),
            None => terms.push((from.clone(), whole.kept.opened_at, Some(at))),
        }
        terms.push((to.clone(), at, None));
    }
    if terms.is_empty() {
        terms.push((whole.kept.case.coordinator.clone(), whole.kept.opened_at, None));
    }
    let coordinates = reader.is(Role::Coordinator);
    terms.retain(|(party, _, until)| coordinates || until.is_none() || party == reader.organisation);
    let shown = |party: &Oin, moment: Timestamp| {
        if coordinates || party == reader.organisation { moment } else { day_of(moment) }
    };
    let view = |(party, since, until): &(Oin, Timestamp, Option<Timestamp>)| json!({ "organisation": party, "since": shown(party, *since), "until": until.map(|until| shown(party, until)) });
    terms.iter().map(view).collect()
}

/// When it was stepped up, by whom and for how long, as this reader sees it.
pub(super) fn step_ups(
    whole: &Whole,
    history: &[Event],
    reader: &Reader<'_>,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Value> {
    let mut step_ups: Vec<(&Oin, &'static str, Timestamp, Timestamp, Option<Timestamp>)> = Vec::new();
    for event in history {
        if let (What::SteppedUp { .. } | What::SteppedDown, Some(last)) = (&event.what, step_ups.last_mut()) {
            last.4 = last.4.or(Some(event.at));
        }
        if let What::SteppedUp { by, reason, until } = &event.what {
            step_ups.push((by, reason.as_str(), event.at, *until, None));
        }
    }
    if !reader.steers() {
        let lasts = whole.kept.case.settled(&rules.terms, now).stepped_up.is_some();
        let present = step_ups
            .last()
            .filter(|_| lasts)
            .map(|(by, _, at, until, _)| json!({ "by": by, "at": day_of(*at), "until": until, "endedAt": null }));
        return present.into_iter().collect();
    }
    let view = |(by, reason, at, until, ended): &(&Oin, &str, Timestamp, Timestamp, Option<Timestamp>)| json!({ "by": by, "reason": reason, "at": at, "until": until, "endedAt": ended });
    step_ups.iter().map(view).collect()
}
