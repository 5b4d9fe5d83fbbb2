//! What a safety veto keeps out of a report, until its holder's privacy officer found that it may be shown (art. 15.4 and 23.1.i AVG). Pure.
//!
//! Invariants: of what who set a veto recorded and declared there stays what a hand-over in the report rests on, and of that nothing that this hand-over does not
//! show already; what others recorded and declared stays as it is. So the report reads as if nobody had begun what the veto is about.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::gather::Ask;
use super::store::Standing;
use super::types::{Flow, Named, ReportScope};
use crate::consents::{Confirmation, Consent, Use};
use crate::emergencies::EmergencyAccess;
use crate::ids::Oin;
use crate::vetoes::Withheld;

/// What was recorded, confirmed and declared about a resident.
pub(super) struct Stated {
    pub(super) recordings: Vec<Consent>,
    pub(super) confirmations: Vec<Confirmation>,
    pub(super) declarations: Vec<EmergencyAccess>,
}

/// What is left out.
#[derive(Default)]
pub(super) struct Hidden {
    /// The referrals that a veto was set on.
    referrals: BTreeSet<Uuid>,
    /// Who set a veto: on a referral or beforehand.
    holders: BTreeSet<Oin>,
}

impl Hidden {
    /// Of what no report shows, that which this one could: a veto counts in the full report and in that of who set it. Not in that of another party: it would learn
    /// of the veto by what is missing of what it received itself.
    pub(super) fn of(withheld: Vec<Withheld>, ask: &Ask<'_>) -> Self {
        let mut hidden = Self::default();
        let counts = |one: &Withheld| ask.scope == ReportScope::Full || one.organisation == *ask.reader;
        for Withheld { organisation, referral } in withheld.into_iter().filter(counts) {
            hidden.holders.insert(organisation);
            hidden.referrals.extend(referral);
        }
        hidden
    }

    /// Whether nothing of a referral is shown.
    pub(super) fn hides(&self, referral: Uuid) -> bool {
        self.referrals.contains(&referral)
    }

    /// Takes out of what is stated, and of the hand-overs that are shown, what leads to what is left out. When in doubt it goes.
    pub(super) fn take_out(
        &self,
        stated: &mut Stated,
        flows: &mut [Flow],
        uses: &[Use],
        standings: &BTreeMap<Uuid, Standing>,
    ) {
        for flow in &mut *flows {
            flow.based_on = flow.based_on.filter(|earlier| !self.hides(*earlier));
        }
        let is_others = |organisation: &Oin| !self.holders.contains(organisation);
        stated.recordings.retain_mut(|one| is_others(&one.organisation) || keeps_recording(one, flows, uses));
        stated.confirmations.retain(|one| is_others(&one.recorder) || keeps_confirmation(one, flows));
        stated.declarations.retain_mut(|one| is_others(&one.organisation) || keeps_declaration(one, flows, standings));
    }
}

/// Whether a hand-over that is shown rests on the record. Of the record there stays what those hand-overs show: the parties, purposes and categories.
fn keeps_recording(consent: &mut Consent, flows: &[Flow], uses: &[Use]) -> bool {
    let is_of = |flow: &Flow, one: &Use| flow.referral == Some(one.part.referral);
    let uses: Vec<&Use> =
        uses.iter().filter(|one| one.consent == consent.id && flows.iter().any(|flow| is_of(flow, one))).collect();
    let flows: Vec<&Flow> = flows.iter().filter(|flow| uses.iter().any(|one| is_of(flow, one))).collect();
    let is_party = |oin: &Oin| flows.iter().any(|flow| flow.giver == *oin || flow.receiver == *oin);
    let recording = &mut consent.recording;
    recording.recipients.retain(is_party);
    recording.purposes.retain(|code| {
        flows.iter().any(|flow| flow.purpose.as_ref().is_some_and(|purpose| purpose.code == code.as_str()))
    });
    recording.categories.retain(|code| uses.iter().any(|one| one.category == *code));
    if let Some(withdrawal) = &mut consent.withdrawal {
        withdrawal.report = withdrawal.report.take().filter(|report| is_party(&report.by));
    }
    !flows.is_empty()
}

/// Whether it is about something that is shown as received by who confirms.
fn keeps_confirmation(confirmation: &Confirmation, flows: &[Flow]) -> bool {
    confirmation.referrals().any(|referral| {
        flows.iter().any(|flow| flow.referral == Some(referral) && flow.receiver == confirmation.organisation)
    })
}

/// Whether a hand-over that is shown was made under the declaration, of which there stay the categories of those hand-overs.
fn keeps_declaration(access: &mut EmergencyAccess, flows: &[Flow], standings: &BTreeMap<Uuid, Standing>) -> bool {
    let declaration = |flow: &Flow| standings.get(&flow.referral?)?.declaration;
    let flows: Vec<&Flow> = flows.iter().filter(|flow| declaration(flow) == Some(access.id)).collect();
    let given = |flow: &&Flow| {
        let received = flow.received.iter().flat_map(|received| &received.categories);
        received.chain(&flow.waiting).map(|Named { code, .. }| code.clone()).collect::<Vec<_>>()
    };
    let given: BTreeSet<String> = flows.iter().flat_map(given).collect();
    access.categories.retain(|code| given.contains(code.as_str()));
    !flows.is_empty()
}
