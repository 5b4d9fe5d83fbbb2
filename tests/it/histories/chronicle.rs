//! What is remembered of a case: who coordinated it, and when it was stepped up.

use serde_json::{Value, json};
use sluis::clock::Timestamp;
use sluis::lifecycle::StepUpReason;
use sluis::lifecycle::case::{Case, Happened, Operation};

use super::cast::Org;
use super::play::DAY;

#[derive(Debug, Clone)]
struct Term {
    who: Org,
    since: Timestamp,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct StepUp {
    by: Org,
    reason: StepUpReason,
    at: Timestamp,
    until: Timestamp,
    ended: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct Chronicle {
    pub opened_at: Timestamp,
    coordinators: Vec<Term>,
    step_ups: Vec<StepUp>,
}

/// The day of a moment (UTC).
const fn day(moment: Timestamp) -> Timestamp {
    Timestamp::from_micros(moment.as_micros() - moment.as_micros().rem_euclid(DAY))
}

impl Chronicle {
    pub fn of(coordinator: Org, now: Timestamp) -> Self {
        let first = Term { who: coordinator, since: now, until: None };
        Self { opened_at: now, coordinators: vec![first], step_ups: Vec::new() }
    }

    pub fn write(
        &mut self,
        before: &Case<Org>,
        after: &Case<Org>,
        by: Option<Org>,
        happened: &[Happened<Org>],
        now: Timestamp,
    ) {
        for happened in happened {
            match happened {
                Happened::Coordinator { to, .. } => {
                    self.coordinators.last_mut().unwrap().until = Some(now);
                    self.coordinators.push(Term { who: *to, since: now, until: None });
                }
                Happened::SteppedDown | Happened::Step(Operation::Close) => self.end(now),
                Happened::Step(Operation::StepUp) => {
                    self.end(now);
                    if let Some(present) = after.stepped_up {
                        let by = by.unwrap_or(before.coordinator);
                        let (reason, until) = (present.reason, present.until);
                        self.step_ups.push(StepUp { by, reason, at: now, until, ended: None });
                    }
                }
                _ => {}
            }
        }
    }

    fn end(&mut self, now: Timestamp) {
        if let Some(last) = self.step_ups.last_mut() {
            last.ended = last.ended.or(Some(now));
        }
    }

    /// The coordinators as this reader sees them: of others than itself only the present one and the days, unless it coordinates.
    pub fn coordinators_for(&self, reader: Org, coordinates: bool) -> Vec<Value> {
        let known = |term: &&Term| coordinates || term.until.is_none() || term.who == reader;
        let shown = |term: &Term| {
            let moment = |moment: Timestamp| if coordinates || term.who == reader { moment } else { day(moment) };
            json!({
                "organisation": term.who.oin(), "since": moment(term.since), "until": term.until.map(moment),
            })
        };
        self.coordinators.iter().filter(known).map(shown).collect()
    }

    /// The step-ups as this reader sees them: whether it is stepped up now, and since which day; all for who coordinates or directs it.
    pub fn step_ups_for(&self, steers: bool, lasts: bool) -> Vec<Value> {
        let whole = |it: &StepUp| json!({ "by": it.by.oin(), "reason": it.reason, "at": it.at, "until": it.until, "endedAt": it.ended });
        if steers {
            return self.step_ups.iter().map(whole).collect();
        }
        let present = self.step_ups.last().filter(|_| lasts);
        let bare = |it: &StepUp| json!({ "by": it.by.oin(), "at": day(it.at), "until": it.until, "endedAt": null });
        present.map(bare).into_iter().collect()
    }
}
