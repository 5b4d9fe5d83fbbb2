//! Hand-overs, made of what the log says and of where the referrals stand now. Pure.
//!
//! Invariants: a flow is there because something of it was received, waits, or waited and was erased, never because it was only thought of; what waits shows to who gave it and in the
//! full report, so that a recipient who never picked it up sees nothing come or go; what was withheld shows in the own report of who gave it alone, and the
//! entries of a full report, which are those of recipients, do not hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::store::Standing;
use super::types::{
    Basis, Corrected, Erased, Flow, Named, Received, ReportScope, Rule, UnderBreakGlass, Withheld, Words,
};
use crate::audit::{Effect, Field, Kind, Outcome, SectionOutcome, StoredRecord};
use crate::clock::Timestamp;
use crate::covenant::Covenant;
use crate::ids::Oin;
use crate::lifecycle::Status;
use crate::policy::{Code, Engine};
use crate::referrals::{CorrectionEffect, CorrectionReason};

/// What one record of the log says of sections.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    kind: Kind,
    pub(super) at: Timestamp,
    owner: Oin,
    pub(super) giver: Oin,
    pub(super) receiver: Oin,
    purpose: Option<String>,
    phase: Option<String>,
    basis: Option<String>,
    activity: Option<String>,
    pub(super) version: Option<String>,
    outcome: Option<Outcome>,
    sections: Vec<SectionOutcome>,
    pub(super) referral: Option<Uuid>,
    reason: Option<CorrectionReason>,
}

impl Entry {
    /// Reads a record whose seal was checked; none where it is not of the form of one that says what became of sections.
    pub(super) fn read(record: &StoredRecord) -> Option<Self> {
        let text = |field| record.value(field).map(str::to_owned);
        Some(Self {
            kind: Kind::from_word(record.value(Field::Kind)?)?,
            at: record.value(Field::Time)?.parse().ok()?,
            owner: record.value(Field::Organisation)?.parse().ok()?,
            giver: record.value(Field::Sender)?.parse().ok()?,
            receiver: record.value(Field::Recipient)?.parse().ok()?,
            purpose: text(Field::Purpose),
            phase: text(Field::Phase),
            basis: text(Field::LegalBasis),
            activity: text(Field::ProcessingActivity),
            version: text(Field::CovenantVersion),
            outcome: record.value(Field::Outcome).and_then(Outcome::from_word),
            sections: serde_json::from_str(record.value(Field::Sections)?).ok()?,
            referral: record.value(Field::Referral).and_then(|id| id.parse().ok()),
            reason: record.value(Field::StatusReason).and_then(CorrectionReason::from_word),
        })
    }

    /// Whether it says something to this report: of an organisation's own flows its own records, of all flows those of who received.
    pub(super) fn counts(&self, scope: ReportScope) -> bool {
        match scope {
            ReportScope::Own => self.owner == self.giver || self.owner == self.receiver,
            ReportScope::Full => self.owner == self.receiver,
        }
    }

    fn way(&self) -> Way {
        (self.referral, self.giver.clone(), self.receiver.clone())
    }

    fn categories(&self, effect: Effect) -> Vec<&str> {
        let some = self.sections.iter().filter(|section| section.effect == effect);
        some.map(|section| section.category.as_str()).collect()
    }

    /// Whether something was handed over with it.
    fn hands_over(&self) -> bool {
        self.kind == Kind::Disclosure && matches!(self.outcome, Some(Outcome::Permitted | Outcome::Minimised))
    }
}

/// The words of the versions of the covenant that the records name.
pub(super) struct Texts {
    pub(super) in_force: Arc<Engine>,
    pub(super) versions: BTreeMap<String, Arc<Engine>>,
}

impl Texts {
    /// The covenants, the one of this version first, then the one in force.
    fn covenants(&self, version: Option<&str>) -> impl Iterator<Item = &Covenant> {
        let of_version = version.and_then(|version| self.versions.get(version));
        of_version.into_iter().chain([&self.in_force]).map(|engine| engine.covenant())
    }

    pub(super) fn category(&self, version: Option<&str>, code: &str) -> Named {
        let label =
            self.covenants(version).find_map(|covenant| covenant.category(code)).map(|found| (&found.label).into());
        named(code, label)
    }

    pub(super) fn purpose(&self, version: Option<&str>, code: &str) -> Named {
        let label =
            self.covenants(version).find_map(|covenant| covenant.purpose(code)).map(|found| (&found.label).into());
        named(code, label)
    }

    fn basis(&self, version: Option<&str>, code: &str) -> Basis {
        let found = self.covenants(version).find_map(|covenant| covenant.basis(code));
        let Named { code, label } = named(code, found.map(|found| (&found.label).into()));
        Basis { code, label, source: found.map(|found| found.source.clone()) }
    }

    fn rule(&self, version: Option<&str>, id: &str) -> Option<Rule> {
        let (nl, en) = self.versions.get(version?)?.sentences(id)?;
        Some(Rule { id: id.to_owned(), text: Words::of(nl, en) })
    }
}

fn named(code: &str, label: Option<Words>) -> Named {
    Named { code: code.to_owned(), label: label.unwrap_or_else(|| Words::of(code, code)) }
}

/// What was given between whom under which referral.
type Way = (Option<Uuid>, Oin, Oin);

/// The flows of a report that `reader` composes, in the order of the referrals.
pub(super) fn flows(
    scope: ReportScope,
    reader: &Oin,
    mut entries: Vec<Entry>,
    erasures: Vec<Entry>,
    standings: &BTreeMap<Uuid, Standing>,
    texts: &Texts,
) -> Vec<Flow> {
    entries.sort_by_key(|entry| entry.at);
    let mut ways: BTreeMap<Way, Vec<Entry>> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| entry.counts(scope)) {
        ways.entry(entry.way()).or_default().push(entry);
    }
    let mut erased: BTreeMap<Way, Vec<Entry>> = BTreeMap::new();
    for entry in erasures {
        erased.entry(entry.way()).or_default().push(entry);
    }
    let flow = |(way, entries): (&Way, &Vec<Entry>)| {
        let standing = way.0.and_then(|referral| standings.get(&referral));
        let erased = erased.get(way).map(|entries| self::erased(entries, texts)).unwrap_or_default();
        Flow { erased, ..flow(scope, reader, way, entries, standing, texts) }
    };
    let is_there = |flow: &Flow| !flow.received.is_empty() || !flow.waiting.is_empty() || !flow.erased.is_empty();
    ways.iter().map(flow).filter(is_there).collect()
}

fn flow(
    scope: ReportScope,
    reader: &Oin,
    (referral, giver, receiver): &Way,
    entries: &[Entry],
    standing: Option<&Standing>,
    texts: &Texts,
) -> Flow {
    // The first that says it; later ones say the same.
    let said = |field: fn(&Entry) -> &Option<String>| entries.iter().find_map(|entry| field(entry).as_deref());
    let version = said(|entry| &entry.version);
    let by_giver = giver == reader;
    let sees_what_waits = by_giver || scope == ReportScope::Full;
    let withheld = (by_giver && scope == ReportScope::Own).then(|| withheld(entries, texts));
    Flow {
        referral: *referral,
        status: standing.map(|standing| standing.status.as_str().to_owned()),
        giver: giver.clone(),
        receiver: receiver.clone(),
        purpose: said(|entry| &entry.purpose).map(|code| texts.purpose(version, code)),
        phase: said(|entry| &entry.phase).map(str::to_owned),
        legal_basis: said(|entry| &entry.basis).map(|code| texts.basis(version, code)),
        processing_activity: said(|entry| &entry.activity).map(str::to_owned),
        received: received(entries, texts),
        waiting: standing
            .filter(|_| sees_what_waits)
            .map(|standing| waiting(standing, giver, texts))
            .unwrap_or_default(),
        withheld,
        corrections: corrections(entries, texts),
        erased: Vec::new(),
        break_glass: standing
            .and_then(|standing| standing.emergency)
            .map(|(reason, declared_at, delete_since)| UnderBreakGlass { reason, declared_at, delete_since }),
        based_on: standing.filter(|_| sees_what_waits).and_then(|standing| standing.based_on),
    }
}

/// What was handed over; the same read again is counted and not repeated.
fn received(entries: &[Entry], texts: &Texts) -> Vec<Received> {
    let mut all: Vec<Received> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.hands_over()) {
        let version = entry.version.as_deref();
        let permitted = entry.sections.iter().filter(|section| section.effect == Effect::Permit);
        let categories: Vec<Named> =
            permitted.clone().map(|section| texts.category(version, &section.category)).collect();
        let rules: BTreeSet<Rule> =
            permitted.flat_map(|section| &section.rules).filter_map(|id| texts.rule(version, id)).collect();
        let rules: Vec<Rule> = rules.into_iter().collect();
        let same = |one: &&mut Received| {
            one.categories == categories && one.covenant_version == entry.version && one.rules == rules
        };
        match all.iter_mut().find(same) {
            Some(one) => {
                one.times += 1;
                one.last_at = entry.at;
            }
            None if categories.is_empty() => {}
            None => all.push(Received {
                first_at: entry.at,
                last_at: entry.at,
                times: 1,
                categories,
                covenant_version: entry.version.clone(),
                rules,
            }),
        }
    }
    all
}

/// What the gateway keeps until it is picked up. What was called off or turned down is not handed over any more; what came back with that is.
fn waiting(standing: &Standing, giver: &Oin, texts: &Texts) -> Vec<Named> {
    let from_sender = *giver == standing.sender;
    let over = match standing.status {
        Status::EnteredInError => true,
        Status::Cancelled | Status::Rejected => from_sender,
        _ => false,
    };
    let theirs = standing.waiting.iter().filter(|(by, _)| by == giver && !over);
    let categories: BTreeSet<Named> = theirs.map(|(_, code)| texts.category(None, code.as_str())).collect();
    categories.into_iter().collect()
}

fn withheld(entries: &[Entry], texts: &Texts) -> Vec<Withheld> {
    let mut all = BTreeSet::new();
    for entry in entries.iter().filter(|entry| entry.kind != Kind::Correction) {
        let version = entry.version.as_deref();
        for section in entry.sections.iter().filter(|section| section.effect == Effect::Withhold) {
            let reason = section.code.as_deref().and_then(Code::from_word);
            all.insert(Withheld {
                category: texts.category(version, &section.category),
                reason: reason.map(|code| named(code.as_str(), Some(Words::of(code.nl(), code.en())))),
            });
        }
    }
    all.into_iter().collect()
}

fn corrections(entries: &[Entry], texts: &Texts) -> Vec<Corrected> {
    let effects = [(Effect::Permit, CorrectionEffect::Replaced), (Effect::Withhold, CorrectionEffect::Retracted)];
    let of = |entry: &Entry| {
        let version = entry.version.clone();
        effects.map(|(effect, became)| Corrected {
            at: entry.at,
            reason: entry.reason,
            effect: became,
            categories: entry
                .categories(effect)
                .into_iter()
                .map(|code| texts.category(version.as_deref(), code))
                .collect(),
        })
    };
    let corrected = entries.iter().filter(|entry| entry.kind == Kind::Correction).flat_map(of);
    corrected.filter(|one| !one.categories.is_empty()).collect()
}

fn erased(entries: &[Entry], texts: &Texts) -> Vec<Erased> {
    // Such a record names no version.
    let named = |code: &str| texts.category(None, code);
    let one = |entry: &Entry| Erased {
        at: entry.at,
        categories: entry.categories(Effect::Withhold).into_iter().map(named).collect(),
    };
    entries.iter().map(one).collect()
}
