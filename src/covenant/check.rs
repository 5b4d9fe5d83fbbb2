//! What must hold inside a covenant: unique codes, and every reference resolves.
//!
//! Invariant: rules and rows can be matched against the covenant without ever meeting a code that it lacks.

use std::collections::BTreeSet;

use super::deadlines;
use super::emergency;
use super::findings::Finding;
use super::register;
use super::retention;
use super::types::{Covenant, Party, PartyKind, Row, RowParty};

/// Adds a finding for everything that does not fit together.
pub(super) fn check(covenant: &Covenant, findings: &mut Vec<Finding>) {
    unique(findings, "parties", covenant.parties.iter().map(|party| party.id.as_str()));
    unique(findings, "parties, oin", covenant.parties.iter().map(|party| party.oin.as_str()));
    unique(findings, "bases", covenant.bases.iter().map(|basis| basis.id.as_str()));
    unique(findings, "categories", covenant.categories.iter().map(|category| category.id.as_str()));
    unique(findings, "purposes", covenant.purposes.iter().map(|purpose| purpose.id.as_str()));
    unique(findings, "rows", covenant.rows.iter().map(|row| row.id.as_str()));
    if covenant.municipality().is_none() {
        let message = format!("\"{}\" is no party; name a party", covenant.municipality);
        findings.push(Finding::new("covenant.toml: roles.municipality", message));
    }
    for purpose in &covenant.purposes {
        let place = format!("covenant.toml: purposes[{}].bases", purpose.id);
        let used: BTreeSet<_> = covenant
            .rows
            .iter()
            .filter(|row| row.purpose == purpose.id)
            .flat_map(|row| row.bases.iter().chain(&row.municipality_bases))
            .collect();
        for basis in &purpose.bases {
            if covenant.basis(basis.as_str()).is_none() {
                findings.push(Finding::new(&place, format!("\"{basis}\" is no legal basis; add it to bases")));
            } else if !used.contains(basis) {
                findings.push(Finding::new(&place, format!("no row of this purpose uses \"{basis}\"; remove it")));
            }
        }
    }
    for party in &covenant.parties {
        check_acting(covenant, party, findings);
    }
    for row in &covenant.rows {
        check_row(covenant, row, findings);
    }
    emergency::check(covenant, findings);
    deadlines::check(covenant, findings);
    register::check(covenant, findings);
    retention::check(covenant, findings);
}

/// Only another municipality acts for the municipality, and only where a row names it as who receives.
fn check_acting(covenant: &Covenant, party: &Party, findings: &mut Vec<Finding>) {
    let place = format!("covenant.toml: parties[{}].acts-for", party.id);
    if !party.acts_for.is_empty() && (party.kind != PartyKind::Municipality || party.id == covenant.municipality) {
        findings.push(Finding::new(&place, "only another municipality acts for the municipality; remove it"));
    }
    let names_it = |row: &Row| row.to.contains(&RowParty::Named(party.id.clone()));
    for purpose in &party.acts_for {
        if !covenant.rows.iter().any(|row| row.purpose == *purpose && names_it(row)) {
            let message = format!("no row of \"{purpose}\" names it in to; add one, or remove the purpose");
            findings.push(Finding::new(&place, message));
        }
    }
}

fn check_row(covenant: &Covenant, row: &Row, findings: &mut Vec<Finding>) {
    let place = |key: &str| format!("covenant.toml: rows[{}].{key}", row.id);
    match covenant.purpose(row.purpose.as_str()) {
        None => findings.push(Finding::new(place("purpose"), format!("\"{}\" is no purpose", row.purpose))),
        Some(purpose) => {
            for basis in row.bases.iter().chain(&row.municipality_bases) {
                if !purpose.bases.contains(basis) {
                    let message = format!("the purpose does not accept \"{basis}\"; add it there or remove it here");
                    findings.push(Finding::new(place("bases"), message));
                }
            }
        }
    }
    for (key, parties) in [("from", &row.from), ("to", &row.to)] {
        if parties.is_empty() {
            findings.push(Finding::new(place(key), "is empty; name who"));
        }
        for party in parties {
            if let RowParty::Named(slug) = party
                && covenant.party(slug.as_str()).is_none()
            {
                findings.push(Finding::new(place(key), format!("\"{slug}\" is no party; add it to parties")));
            }
        }
    }
    for category in &row.categories {
        if covenant.category(category.as_str()).is_none() {
            let message = format!("\"{category}\" is no data category; add it to categories");
            findings.push(Finding::new(place("categories"), message));
        }
    }
    if row.bases.is_empty() && row.municipality_bases.is_empty() {
        findings.push(Finding::new(place("bases"), "is empty; name a legal basis"));
    }
    if !row.core && row.categories.is_empty() {
        findings.push(Finding::new(place("categories"), "is empty; name a data category"));
    }
}

fn unique<'a>(findings: &mut Vec<Finding>, list: &str, ids: impl Iterator<Item = &'a str>) {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            findings.push(Finding::new(format!("covenant.toml: {list}"), format!("\"{id}\" occurs twice; rename one")));
        }
    }
}
