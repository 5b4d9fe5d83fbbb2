//! What a reader sees of a case.
//!
//! Invariants: the coordinator sees who takes part; everyone else sees the coordinator and itself. Of the referrals everyone sees those that they
//! are a party to; who coordinates or directs it also the ids of those that are stuck. No moment that two readers could recognise the same
//! case by but those that they must act on.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::store::{Event, What};
use super::types::{Rules, Whole};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::lifecycle::case::Role;

/// Who reads.
pub(super) struct Reader<'a> {
    pub(super) organisation: &'a Oin,
    pub(super) roles: Vec<Role>,
}

impl Reader<'_> {
    pub(super) fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
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

/// The case as this reader sees it.
pub(super) fn case(alias: Uuid, whole: &Whole, reader: &Reader<'_>, rules: &Rules, now: Timestamp) -> Value {
    let (version, opened_at) = (whole.kept.version, whole.kept.opened_at);
    let case = whole.kept.case.settled(&rules.terms, now);
    let coordinates = reader.is(Role::Coordinator);
    let known = whole.members.iter().filter(|member| member.is_known_to(reader.organisation));
    let mut view = Map::from_iter([
        ("id".to_owned(), json!(alias)),
        ("status".to_owned(), json!(if case.closed_at.is_some() { "closed" } else { "open" })),
        ("roles".to_owned(), json!(words(&reader.roles))),
        ("coordinator".to_owned(), json!(case.coordinator)),
        ("steppedUp".to_owned(), json!(case.stepped_up.map(|now| json!({ "reason": now.reason, "until": now.until })))),
        ("referrals".to_owned(), known.map(|member| json!(member.id)).collect()),
        ("version".to_owned(), json!(version)),
    ]);
    if coordinates || reader.is(Role::Candidate) {
        let offer = case.hand_over.as_ref().map(|offer| json!({ "organisation": offer.to, "dueAt": offer.due_at }));
        view.insert("offer".into(), json!(offer));
    }
    if coordinates || reader.is(Role::ProcessDirector) {
        let proposal = case.proposal.map(|proposal| json!({ "dueAt": proposal.due_at, "overdue": proposal.overdue }));
        view.insert("stepUpProposal".into(), json!(proposal));
        let stuck = whole.members.iter().filter(|member| member.stuck);
        view.insert("stuckReferrals".into(), stuck.map(|member| json!(member.id)).collect());
    }
    if coordinates {
        view.insert("openReferrals".into(), json!(whole.open()));
        view.insert("idleUntil".into(), json!(case.idle_until));
        view.insert("openedAt".into(), json!(opened_at));
        view.insert("closedAt".into(), json!(case.closed_at));
    }
    Value::Object(view)
}

/// Who takes part, as this reader sees it.
pub(super) fn participants(whole: &Whole, reader: &Reader<'_>, rules: &Rules, now: Timestamp) -> Vec<Value> {
    let mut all: Vec<Oin> = whole.participants();
    all.push(whole.kept.case.coordinator.clone());
    all.extend(whole.kept.case.invited.iter().cloned());
    all.sort_unstable();
    all.dedup();
    let coordinates = reader.is(Role::Coordinator);
    all.retain(|party| coordinates || party == reader.organisation || *party == whole.kept.case.coordinator);
    all.iter()
        .map(|party| {
            let roles = whole.roles(party, rules, now);
            let taking_part = |role: &Role| matches!(role, Role::Coordinator | Role::Invited | Role::Participant);
            // As what the coordinator takes part besides is its own business.
            let shown: Vec<Role> = roles
                .into_iter()
                .filter(taking_part)
                .filter(|role| coordinates || party == reader.organisation || *role == Role::Coordinator)
                .collect();
            json!({ "organisation": party, "roles": words(&shown) })
        })
        .collect()
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
    terms.iter().map(|(party, since, until)| json!({ "organisation": party, "since": since, "until": until })).collect()
}

/// When it was stepped up, by whom and for how long.
pub(super) fn step_ups(history: &[Event]) -> Vec<Value> {
    let mut step_ups: Vec<(&Oin, &'static str, Timestamp, Timestamp, Option<Timestamp>)> = Vec::new();
    for event in history {
        if let (What::SteppedUp { .. } | What::SteppedDown, Some(last)) = (&event.what, step_ups.last_mut()) {
            last.4 = last.4.or(Some(event.at));
        }
        if let What::SteppedUp { by, reason, until } = &event.what {
            step_ups.push((by, reason.as_str(), event.at, *until, None));
        }
    }
    let view = |(by, reason, at, until, ended): &(&Oin, &str, Timestamp, Timestamp, Option<Timestamp>)| json!({ "by": by, "reason": reason, "at": at, "until": until, "endedAt": ended });
    step_ups.iter().map(view).collect()
}
