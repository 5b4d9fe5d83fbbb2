//! What a draft would change in past decisions, counted.
//!
//! Invariant: every section of every decision that was taken again is counted once, as changed or as unchanged; every decision that was not is
//! counted under its reason.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::{CategoryCode, Covenant, PartySlug, PolicyDigest, PurposeCode};
use crate::ids::Oin;
use crate::policy::{Code, Decision, Effect, Engine, OnWithheld, Outcome, Request, SectionDecision};

closed_list!(
    /// What a draft would change for a section.
    Change {
        /// It was permitted and would be withheld.
        NowRefused = "now-refused",
        /// It was withheld and would be permitted.
        NewlyAllowed = "newly-allowed",
        /// The same becomes of it, by other rules or for another reason.
        OtherRules = "other-rules",
    }
);

closed_list!(
    /// Why a decision was not taken again, or not compared.
    LeftOut {
        /// Its facts were erased.
        FactsErased = "facts-erased",
        /// Its record holds no facts, or none that can be read.
        Unreadable = "unreadable",
        /// The record is not as it was written.
        Altered = "altered",
        /// The version that decided is not published here, or does not load.
        VersionUnusable = "version-unusable",
        /// Under its own version it does not come out as recorded.
        NotReproduced = "not-reproduced",
        /// The draft looks at the case where the version that decided did not, so that nothing of the case was recorded.
        CaseNotRecorded = "case-not-recorded",
        /// It was refused because of where the referral stood or who takes part, whatever the rules say.
        RefusedAnyway = "refused-anyway",
    }
);

closed_list!(
    /// A kind of thing that a covenant names.
    Named {
        /// A party.
        Party = "party",
        /// A purpose.
        Purpose = "purpose",
        /// A legal basis.
        Basis = "basis",
        /// A data category.
        Category = "category",
    }
);

/// Something that was asked about and that the draft does not name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unknown {
    /// What kind of thing.
    pub kind: Named,
    /// Its code; of a party its OIN.
    pub code: String,
}

/// What is said of one section, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Said {
    /// Whether it may cross.
    pub effect: Effect,
    /// Why not.
    pub code: Option<Code>,
    /// The rules that decided.
    pub rules: Vec<String>,
}

impl From<&SectionDecision> for Said {
    fn from(section: &SectionDecision) -> Self {
        Self { effect: section.effect(), code: section.code(), rules: section.rules().to_vec() }
    }
}

/// Sections that are alike: the same route, purpose, category, and the same change for the same reasons.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Flow {
    /// What changes.
    pub change: Change,
    /// Who gave; of a note that is the referral's recipient.
    pub sender: Oin,
    /// Who received.
    pub recipient: Oin,
    /// Why.
    pub purpose: PurposeCode,
    /// Of which category.
    pub category: CategoryCode,
    /// What was decided.
    pub before: Said,
    /// What the draft says.
    pub after: Said,
    /// What the draft does not name; only where it withholds.
    pub unknown: Vec<Unknown>,
}

/// Hand-overs that are alike: the same route and purpose, and the same change of the outcome.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Ending {
    /// Who gave.
    pub sender: Oin,
    /// Who received.
    pub recipient: Oin,
    /// Why.
    pub purpose: PurposeCode,
    /// What became of the whole.
    pub before: Outcome,
    /// What would become of it.
    pub after: Outcome,
}

/// How many, and some of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// How many of them in records of which kind.
    pub kinds: BTreeMap<String, u64>,
    /// Identifiers of records, the newest first.
    pub examples: Vec<String>,
}

impl Tally {
    fn add(&mut self, of: Origin<'_>, examples: usize) {
        self.count += 1;
        *self.kinds.entry(of.kind.to_owned()).or_default() += 1;
        if self.examples.len() < examples && self.examples.last().is_none_or(|last| last != of.record) {
            self.examples.push(of.record.to_owned());
        }
    }
}

/// The record that something is counted from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Its identifier.
    pub record: &'a str,
    /// What it is about.
    pub kind: &'a str,
}

/// The draft that was held against past decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// Its version.
    pub version: String,
    /// What its parties would sign.
    pub digest: PolicyDigest,
}

/// What a draft would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// Of which draft.
    pub draft: Draft,
    /// In decisions from this moment on.
    pub since: Timestamp,
    /// How many records of the log were looked at, of whatever kind.
    pub records: u64,
    /// How many decisions were taken again.
    pub decisions: u64,
    /// How many sections they have together.
    pub sections: u64,
    /// Of how many of these nothing changes.
    pub unchanged: u64,
    /// The others.
    #[serde(serialize_with = "as_list")]
    pub changes: BTreeMap<Flow, Tally>,
    /// The hand-overs of which something else would become as a whole.
    #[serde(serialize_with = "as_list")]
    pub outcomes: BTreeMap<Ending, Tally>,
    /// The decisions that were not taken again.
    #[serde(serialize_with = "as_reasons")]
    pub left_out: BTreeMap<LeftOut, Tally>,
    #[serde(skip)]
    examples: usize,
    /// The short names of the draft's parties.
    #[serde(skip)]
    names: BTreeMap<Oin, PartySlug>,
}

impl Impact {
    /// Nothing counted yet; at most so many examples will be named of each kind.
    #[must_use]
    pub fn none(draft: &Engine, since: Timestamp, examples: usize) -> Self {
        Self {
            draft: Draft { version: draft.covenant().version.clone(), digest: draft.digest().clone() },
            since,
            records: 0,
            decisions: 0,
            sections: 0,
            unchanged: 0,
            changes: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            left_out: BTreeMap::new(),
            examples,
            names: draft.covenant().parties.iter().map(|party| (party.oin.clone(), party.id.clone())).collect(),
        }
    }

    /// An organisation as the draft names it in short; its OIN where it does not.
    pub(super) fn name<'a>(&'a self, organisation: &'a Oin) -> &'a str {
        self.names.get(organisation).map_or(organisation.as_str(), PartySlug::as_str)
    }

    /// Counts a decision that was not taken again.
    pub fn leave_out(&mut self, reason: LeftOut, of: Origin<'_>) {
        self.left_out.entry(reason).or_default().add(of, self.examples);
    }

    /// Takes a decision under the draft, and counts how it differs from `before`.
    pub fn weigh(
        &mut self,
        draft: &Engine,
        request: &Request,
        on_withheld: OnWithheld,
        before: &Decision,
        of: Origin<'_>,
    ) {
        // What was encrypted for somebody else stays behind under any rules.
        let left_out = before.sections().iter().filter(|section| section.code() == Some(Code::EncryptedForAnother));
        let left_out: Vec<_> = left_out.map(|section| section.category().clone()).collect();
        let after = draft.decide(request).leaving_out(&left_out);
        self.decisions += 1;
        for (was, would_be) in before.sections().iter().zip(after.sections()) {
            self.sections += 1;
            let (before, after) = (Said::from(was), Said::from(would_be));
            let change = match (before.effect, after.effect) {
                _ if before == after => {
                    self.unchanged += 1;
                    continue;
                }
                (Effect::Permit, Effect::Withhold) => Change::NowRefused,
                (Effect::Withhold, Effect::Permit) => Change::NewlyAllowed,
                _ => Change::OtherRules,
            };
            let withheld = after.effect == Effect::Withhold;
            let flow = Flow {
                change,
                sender: request.giver.clone(),
                recipient: request.receiver.clone(),
                purpose: request.referral.purpose.clone(),
                category: was.category().clone(),
                before,
                after,
                unknown: if withheld { unknown(draft.covenant(), request, was.category()) } else { Vec::new() },
            };
            self.changes.entry(flow).or_default().add(of, self.examples);
        }
        let (before, after) = (before.outcome(on_withheld), after.outcome(on_withheld));
        if before != after {
            let ending = Ending {
                sender: request.giver.clone(),
                recipient: request.receiver.clone(),
                purpose: request.referral.purpose.clone(),
                before,
                after,
            };
            self.outcomes.entry(ending).or_default().add(of, self.examples);
        }
    }

    /// How many sections change in this way.
    #[must_use]
    pub fn count(&self, change: Change) -> u64 {
        self.changes.iter().filter(|(flow, _)| flow.change == change).map(|(_, tally)| tally.count).sum()
    }
}

/// What of a question the draft does not name.
fn unknown(covenant: &Covenant, request: &Request, category: &CategoryCode) -> Vec<Unknown> {
    let terms = &request.referral;
    let party = |oin: &Oin| (Named::Party, oin.to_string(), covenant.party_by_oin(oin).is_some());
    let (purpose, basis, category) = (terms.purpose.as_str(), terms.basis.as_str(), category.as_str());
    let asked = [
        party(&request.giver),
        party(&request.receiver),
        (Named::Purpose, purpose.to_owned(), covenant.purpose(purpose).is_some()),
        (Named::Basis, basis.to_owned(), covenant.basis(basis).is_some()),
        (Named::Category, category.to_owned(), covenant.category(category).is_some()),
    ];
    let missing = asked.into_iter().filter(|(.., is_named)| !is_named);
    missing.map(|(kind, code, _)| Unknown { kind, code }).collect()
}

/// What is counted, with its count, as one object each.
fn as_list<K: Serialize, S: serde::Serializer>(counted: &BTreeMap<K, Tally>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Line<'a, K> {
        #[serde(flatten)]
        what: &'a K,
        #[serde(flatten)]
        tally: &'a Tally,
    }
    to.collect_seq(counted.iter().map(|(what, tally)| Line { what, tally }))
}

fn as_reasons<S: serde::Serializer>(counted: &BTreeMap<LeftOut, Tally>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Line<'a> {
        reason: LeftOut,
        #[serde(flatten)]
        tally: &'a Tally,
    }
    to.collect_seq(counted.iter().map(|(reason, tally)| Line { reason: *reason, tally }))
}
