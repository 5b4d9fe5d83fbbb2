//! Deadlines and retention as the document shows them.

use super::super::deadlines::HolderTerms;
use super::super::emergency::Mandate;
use super::super::types::{Covenant, Retention};
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
    pub what: &'static str,
    pub days: String,
    /// Whether this version of the gateway removes it by itself.
    pub is_kept_to: bool,
}

/// What the gateway removes by itself when its term is over, by the field of [`Retention`]: `App::throw_away` and `retention::sweep`.
pub(super) const KEPT_TO: [&str; 2] = ["content", "event"];

pub(super) fn retention(retention: &Retention) -> Vec<RetentionView> {
    let Retention { content, referral, consent, event, audit } = retention;
    [
        ("content", "inhoud van een verwijzing, na het einde van de verwijzing", content),
        ("referral", "de verwijzing zonder inhoud, nadat zij is vastgelegd", referral),
        ("consent", "toestemming, ontheffing of instemming, nadat zij is vastgelegd", consent),
        ("event", "gebeurtenis (bericht dat er iets is gebeurd), nadat zij is vastgelegd", event),
        ("audit", "record in het auditlog, nadat het is vastgelegd", audit),
    ]
    .map(|(field, what, days)| RetentionView { what, days: self::days(*days), is_kept_to: KEPT_TO.contains(&field) })
    .into()
}
