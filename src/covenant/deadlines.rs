//! How long a holder has: the covenant's general terms, those that a purpose has of its own, and what a priority leaves of either.
//!
//! Invariants: of each purpose there is one complete set of terms; a term that a purpose names takes the place of the general one, and
//! what it leaves out is the general one.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::{Table, Value};

use super::findings::Finding;
use super::reader::Reader;
use super::types::{Covenant, PurposeCode};
use crate::lifecycle::Reason;
use crate::lifecycle::terms::Terms;

const PLACE: &str = "covenant.toml: deadlines";

/// Terms within which the holder of a referral must act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HolderTerms {
    /// Working days until a referral must be received.
    pub received_working_days: u32,
    /// Working days until it must be decided on.
    pub decided_working_days: u32,
    /// Working days in which the sender must act on a rejection.
    pub sender_acts_working_days: u32,
    /// Weeks that one extension reaches at most, and that the work may take.
    pub extension_weeks: u32,
    /// Working days after which work that waits must be looked at again.
    pub hold_working_days: u32,
    /// Working days in which a request to call off is answered.
    pub cancellation_working_days: u32,
    /// Working days after a missed deadline until it counts as missed again.
    pub again_working_days: u32,
    /// Reasons of `on-hold` for which the term of the work stands still.
    pub pausing: Vec<Reason>,
}

/// Everything that the covenant says of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deadlines {
    /// For every purpose without terms of its own.
    #[serde(flatten)]
    pub general: HolderTerms,
    /// For the purposes that have some of their own, with the general ones for what they leave out.
    pub purposes: BTreeMap<PurposeCode, HolderTerms>,
    /// Working days in which a coordinator, or who was asked to become one, answers. A case has referrals of several purposes.
    pub coordinator_working_days: u32,
    /// Weeks that a step-up lasts.
    pub step_up_weeks: u32,
    /// Working days in which whoever received something under a consent confirms what became of it after a withdrawal.
    pub confirmation_working_days: u32,
    /// Percentage of the term per priority: routine, urgent, asap, stat.
    pub priority_percent: PriorityPercent,
}

/// What remains of a term for each priority, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PriorityPercent {
    /// For `routine`.
    pub routine: u32,
    /// For `urgent`.
    pub urgent: u32,
    /// For `asap`.
    pub asap: u32,
    /// For `stat`.
    pub stat: u32,
}

impl Deadlines {
    /// The terms of a referral for this purpose, of which its priority leaves so much, and that may be reopened for so many days.
    #[must_use]
    pub fn terms(&self, purpose: &PurposeCode, percent: u32, reopen_days: u32) -> Terms {
        let holder = self.purposes.get(purpose).unwrap_or(&self.general);
        Terms {
            received: holder.received_working_days,
            decided: holder.decided_working_days,
            extension_weeks: holder.extension_weeks,
            sender_acts: holder.sender_acts_working_days,
            hold: holder.hold_working_days,
            cancellation: holder.cancellation_working_days,
            again: holder.again_working_days,
            pausing: holder.pausing.clone(),
            reopen_days,
            percent,
        }
    }
}

/// Reads `[deadlines]`.
pub(super) fn read(table: &Table, findings: &mut Vec<Finding>) -> Option<Deadlines> {
    let mut reader = Reader::new(table, PLACE.to_owned(), findings);
    let general = read_holder(&mut reader, None);
    let coordinator_working_days = reader.number("coordinator-answers-within-working-days", 1, 100);
    let step_up_weeks = reader.number("step-up-at-most-weeks", 1, 6);
    // Covenants that were signed before there were confirmations do not name it.
    let confirmation_working_days =
        if reader.has(CONFIRMED) { reader.number(CONFIRMED, 1, 100) } else { CONFIRMATION_WORKING_DAYS };
    let percent = reader.table("priority-percent");
    let purposes = if reader.has("purposes") { reader.table("purposes") } else { None };
    reader.finish();
    let priority_percent = percent.map(|table| read_percent(table, findings));
    let general = general?;
    let purposes = purposes.map(|table| read_purposes(table, &general, findings)).unwrap_or_default();
    Some(Deadlines {
        general,
        purposes,
        coordinator_working_days,
        step_up_weeks,
        confirmation_working_days,
        priority_percent: priority_percent?,
    })
}

const CONFIRMED: &str = "withdrawal-confirmed-within-working-days";

/// How long a confirmation takes where the covenant says nothing: well within the month in which a resident is to hear what was done (art. 12.3 AVG).
pub const CONFIRMATION_WORKING_DAYS: u32 = 10;

/// Reads the terms of a holder; with `general` each may be left out, and is then the general one.
fn read_holder(reader: &mut Reader<'_, '_>, general: Option<&HolderTerms>) -> Option<HolderTerms> {
    let mut number = |key, most, of: fn(&HolderTerms) -> u32| match general {
        Some(general) if !reader.has(key) => of(general),
        _ => reader.number(key, 1, most),
    };
    let received_working_days = number("received-within-working-days", 100, |terms| terms.received_working_days);
    let decided_working_days = number("decided-within-working-days", 100, |terms| terms.decided_working_days);
    let sender_acts_working_days =
        number("sender-acts-within-working-days", 100, |terms| terms.sender_acts_working_days);
    let extension_weeks = number("extension-at-most-weeks", 52, |terms| terms.extension_weeks);
    let hold_working_days = number("on-hold-reviewed-within-working-days", 100, |terms| terms.hold_working_days);
    let cancellation_working_days =
        number("cancellation-answered-within-working-days", 100, |terms| terms.cancellation_working_days);
    let again_working_days = number("overdue-again-after-working-days", 100, |terms| terms.again_working_days);
    let pausing = match general {
        Some(general) if !reader.has(PAUSES) => Some(general.pausing.clone()),
        _ => read_pausing(reader),
    };
    Some(HolderTerms {
        received_working_days,
        decided_working_days,
        sender_acts_working_days,
        extension_weeks,
        hold_working_days,
        cancellation_working_days,
        again_working_days,
        pausing: pausing?,
    })
}

const PAUSES: &str = "on-hold-pauses-for";

fn read_pausing(reader: &mut Reader<'_, '_>) -> Option<Vec<Reason>> {
    reader.codes(PAUSES, |word| match Reason::from_word(word) {
        Some(reason @ (Reason::WaitingList | Reason::ResidentUnreachable | Reason::InformationRequested)) => Ok(reason),
        _ => Err("expected a reason of on-hold"),
    })
}

fn read_percent(table: &Table, findings: &mut Vec<Finding>) -> PriorityPercent {
    let mut reader = Reader::new(table, format!("{PLACE}.priority-percent"), findings);
    let percent = PriorityPercent {
        routine: reader.number("routine", 1, 100),
        urgent: reader.number("urgent", 1, 100),
        asap: reader.number("asap", 1, 100),
        stat: reader.number("stat", 1, 100),
    };
    reader.finish();
    percent
}

/// Reads `[deadlines.purposes.…]`.
fn read_purposes(
    table: &Table,
    general: &HolderTerms,
    findings: &mut Vec<Finding>,
) -> BTreeMap<PurposeCode, HolderTerms> {
    let mut purposes = BTreeMap::new();
    for (purpose, own) in table {
        let place = place_of(purpose);
        match own {
            Value::Table(own) if own.is_empty() => {
                findings.push(Finding::new(place, "names no term; name one or remove it"));
            }
            Value::Table(own) => {
                let mut reader = Reader::new(own, place.clone(), findings);
                let terms = read_holder(&mut reader, Some(general));
                reader.finish();
                match purpose.parse() {
                    Ok(purpose) => purposes.extend(terms.map(|terms| (purpose, terms))),
                    Err(error) => findings.push(Finding::new(place, format!("\"{purpose}\": {error}"))),
                }
            }
            _ => findings.push(Finding::new(place, "must be a table")),
        }
    }
    purposes
}

fn place_of(purpose: &str) -> String {
    format!("{PLACE}.purposes.{purpose}")
}

/// Adds a finding for everything that does not fit together, or not with the rest of the covenant.
pub(super) fn check(covenant: &Covenant, findings: &mut Vec<Finding>) {
    check_holder(&covenant.deadlines.general, PLACE, findings);
    for (purpose, own) in &covenant.deadlines.purposes {
        let place = place_of(purpose.as_str());
        if covenant.purpose(purpose.as_str()).is_none() {
            findings.push(Finding::new(&place, format!("\"{purpose}\" is no purpose; add it to purposes")));
        } else if !covenant.rows.iter().any(|row| row.purpose == *purpose) {
            findings.push(Finding::new(&place, "no row hands anything over for this purpose; remove its terms"));
        }
        check_holder(own, &place, findings);
    }
}

/// An extension reaches from the referral: one that ends with the ordinary terms would shorten what it should extend.
fn check_holder(terms: &HolderTerms, place: &str, findings: &mut Vec<Finding>) {
    const WORKING_DAYS: u32 = 5;
    let ordinary = terms.received_working_days.saturating_add(terms.decided_working_days);
    let extended = terms.extension_weeks.saturating_mul(WORKING_DAYS);
    // What could not be read is nought, and was said.
    if extended > 0 && extended <= ordinary {
        let message = format!(
            "must reach further than receiving and deciding together, {ordinary} working days; a week has {WORKING_DAYS}"
        );
        findings.push(Finding::new(format!("{place}.extension-at-most-weeks"), message));
    }
}
