//! Deadlines and retention as the document shows them.

use super::super::deadlines::HolderTerms;
use super::super::emergency::Mandate;
use super::super::retention::Retention;
use super::super::types::Covenant;
use super::lists;
use super::protocol;
use super::said::Link;
use super::words;

/// The terms of a holder: for everything, or for one purpose.
pub(super) struct TermsView {
    /// The purpose; none for the general ones.
    pub purpose: Option<Link>,
    pub received: String,
    pub decided: String,
    pub sender_acts: String,
    pub extension: String,
    pub hold: String,
    pub cancellation: String,
    pub again: String,
    pub pausing: String,
}

pub(super) fn terms(covenant: &Covenant) -> Vec<TermsView> {
    let deadlines = &covenant.deadlines;
    let own = deadlines.purposes.iter().map(|(code, terms)| {
        let link = covenant.purpose(code.as_str()).map(lists::purpose_link);
        view(link, terms)
    });
    [view(None, &deadlines.general)].into_iter().chain(own).collect()
}

fn view(purpose: Option<Link>, terms: &HolderTerms) -> TermsView {
    let pausing: Vec<_> = terms.pausing.iter().copied().map(words::waiting).collect();
    TermsView {
        purpose,
        received: working_days(terms.received_working_days),
        decided: working_days(terms.decided_working_days),
        sender_acts: working_days(terms.sender_acts_working_days),
        extension: words::count(terms.extension_weeks, "week", "weken"),
        hold: working_days(terms.hold_working_days),
        cancellation: working_days(terms.cancellation_working_days),
        again: working_days(terms.again_working_days),
        pausing: if pausing.is_empty() { "geen".to_owned() } else { pausing.join(", ") },
    }
}

pub(super) fn working_days(number: u32) -> String {
    words::count(number, "werkdag", "werkdagen")
}

pub(super) fn days(number: u32) -> String {
    words::count(number, "dag", "dagen")
}

/// A role that may declare break-glass.
pub(super) struct MandateView<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub parties: Vec<Link>,
}

/// Who may declare break-glass; nobody where the covenant names no role.
pub(super) fn mandates(covenant: &Covenant) -> Vec<MandateView<'_>> {
    let mut views = Vec::new();
    for Mandate { id, parties, label } in &covenant.emergency.roles {
        let parties = parties.iter().map(|party| protocol::who(covenant, party)).collect();
        views.push(MandateView { id: id.as_str(), name: &label.nl, parties });
    }
    views
}

/// How long something is kept.
pub(super) struct RetentionView {
    pub what: String,
    pub days: String,
}

pub(super) fn retention(covenant: &Covenant) -> Vec<RetentionView> {
    let Retention { content, categories, referral, consent, event, audit } = &covenant.retention;
    let general = if categories.is_empty() { "inhoud van een verwijzing" } else { "overige inhoud van een verwijzing" };
    let own = categories.iter().map(|(category, days)| {
        let label = covenant.category(category.as_str()).map_or(category.as_str(), |category| &category.label.nl);
        (format!("inhoud van een verwijzing, {label}, na het einde van de verwijzing"), days)
    });
    let rest = [
        (format!("{general}, na het einde van de verwijzing"), content),
        ("de verwijzing zonder inhoud, na het einde van de verwijzing en van haar casus".to_owned(), referral),
        ("toestemming, ontheffing of instemming, nadat zij is geëindigd".to_owned(), consent),
        ("gebeurtenis (bericht dat er iets is gebeurd), nadat zij is vastgelegd".to_owned(), event),
        ("wat in het auditlog naar een persoon kan leiden, nadat het is vastgelegd".to_owned(), audit),
    ];
    own.chain(rest).map(|(what, days)| RetentionView { what, days: self::days(*days) }).collect()
}
