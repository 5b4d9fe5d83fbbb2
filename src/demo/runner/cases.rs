//! Plays what happens to cases: by which id each actor knows one.
//!
//! Invariant: an actor learns of a case as a partner would, by a referral of it that it is a party to or by an event; who knows nothing of it asks
//! for an id that no case has.

use std::collections::{BTreeMap, BTreeSet};

use super::super::client::Request;
use super::super::expect::Seen;
use super::super::scenario::{Accounted, Step};
use super::super::words::ROLES;
use super::super::world::PlayError;
use super::{NOWHERE, Play};
use crate::organisations::Role;

/// A case of the scenario.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The ids of its referrals.
    pub(super) referrals: Vec<String>,
    /// The ids by which actors know it.
    aliases: BTreeMap<String, String>,
}

impl Play<'_> {
    /// The case as this actor knows it.
    pub(super) async fn alias(&mut self, case: &str, who: &str) -> Result<String, PlayError> {
        let is_party = ROLES.iter().all(|(role, ..)| *role != who);
        let has_events = is_party || who == Role::PrivacyOfficer.name();
        let Some(known) = self.cases.get(case).filter(|_| has_events) else { return Ok(NOWHERE.to_owned()) };
        if let Some(alias) = known.aliases.get(who) {
            return Ok(alias.clone());
        }
        let mut alias = None;
        // The privacy officer is a party to nothing; what it is told of a case it knows by its own events.
        for referral in known.referrals.iter().filter(|_| is_party) {
            let seen = self.house.world.ask(who, Request::get(format!("/v1/referrals/{referral}"))).await?;
            alias = alias.or_else(|| seen.text_at("/caseId").map(str::to_owned));
        }
        let alias = match alias {
            Some(alias) => Some(alias),
            None => self.told_of(case, who).await?,
        };
        if let (Some(alias), Some(known)) = (&alias, self.cases.get_mut(case)) {
            known.aliases.insert(who.to_owned(), alias.clone());
        }
        Ok(alias.unwrap_or_else(|| NOWHERE.to_owned()))
    }

    /// The one case that this actor was told of in this play, and that is none of the others which it knows.
    async fn told_of(&mut self, case: &str, who: &str) -> Result<Option<String>, PlayError> {
        self.house.app().sequence().await?;
        self.house.world.read_feed(who).await?;
        let others = self.cases.iter().filter(|(name, _)| *name != case);
        let others: BTreeSet<&String> = others.filter_map(|(_, known)| known.aliases.get(who)).collect();
        let events = self.house.world.events_since(who, self.began);
        let told = events.iter().filter_map(|event| event.pointer("/data/case")?.as_str());
        let told: BTreeSet<String> = told.map(str::to_owned).filter(|alias| !others.contains(alias)).collect();
        match told.len() {
            0 | 1 => Ok(told.into_iter().next()),
            _ => Err(PlayError::WhichCase(case.to_owned())),
        }
    }

    /// The names that the scenario gave to referrals, by their ids.
    pub(super) fn names(&self) -> BTreeMap<String, String> {
        self.referrals.iter().map(|(name, sent)| (sent.id.clone(), name.clone())).collect()
    }

    /// The audit records about a referral; or about a case, which each party's records name by that party's own id.
    pub(super) async fn audit(&mut self, step: &Step, of: &Accounted) -> Result<Seen, PlayError> {
        self.house.app().sequence().await?;
        let Some(case) = &of.case else {
            let referral = of.referral.as_deref().map_or_else(|| NOWHERE.to_owned(), |name| self.referral(name));
            return self.get(step, format!("/v1/audit/records?limit=1000&referral={referral}")).await;
        };
        let mut resources = BTreeSet::new();
        for party in &self.scenario.given.parties {
            if self.house.world.client(party).is_ok() {
                resources.insert(format!("/v1/cases/{}", self.alias(case, party).await?));
            }
        }
        let path = format!("/v1/audit/records?limit=1000&kind=case&from={}", self.began);
        Ok(Seen { resources: Some(resources), ..self.get(step, path).await? })
    }
}
