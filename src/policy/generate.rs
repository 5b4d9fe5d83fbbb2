//! Writes the Cedar permits of the covenant's rows: one per row and category, the core categories as one.
//!
//! Invariant: the text depends on the covenant alone and is the same each time. It is never stored, so that the rows
//! of `covenant.toml` stay the only truth.

use std::fmt::Write as _;

use crate::covenant::{BasisCode, BasisKind, Covenant, Label, Purpose, Row, RowParty};

/// One generated permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GeneratedPermit {
    /// Row and category, such as `debt-counselling-finance`.
    pub id: String,
    /// What it says.
    pub label: Label,
    /// The Cedar text.
    pub text: String,
}

/// The permits of all rows, in the order of the covenant.
pub(super) fn permits(covenant: &Covenant) -> Vec<GeneratedPermit> {
    let mut permits = Vec::new();
    for row in &covenant.rows {
        let Some(purpose) = covenant.purpose(row.purpose.as_str()) else { continue };
        if row.core {
            permits.push(permit(covenant, row, purpose, "core", "context.category in CategoryGroup::\"core\""));
        }
        for category in &row.categories {
            let condition = format!("context.category == Category::\"{category}\"");
            permits.push(permit(covenant, row, purpose, category.as_str(), &condition));
        }
    }
    permits
}

fn permit(covenant: &Covenant, row: &Row, purpose: &Purpose, what: &str, category: &str) -> GeneratedPermit {
    let id = format!("{}-{what}", row.id);
    let name = covenant.category(what).map_or_else(
        || Label { nl: "kerngegevens".to_owned(), en: "core data".to_owned() },
        |category| category.label.clone(),
    );
    let label = Label { nl: format!("{}: {}", row.label.nl, name.nl), en: format!("{}: {}", row.label.en, name.en) };
    let mut conditions = vec![
        format!("context.purpose == Purpose::\"{}\"", purpose.id),
        format!("context.phase == Phase::\"{}\"", purpose.phase),
        category.to_owned(),
    ];
    conditions.extend(parties("context.sender", &row.from));
    conditions.extend(parties("context.recipient", &row.to));
    conditions.push(bases(covenant, row));
    let mut text = format!("@id(\"{id}\")\n@rule(\"1\")\n@nl({})\n@en({})\n", quoted(&label.nl), quoted(&label.en));
    let _ = write!(
        text,
        "permit (principal, action in Action::\"give\", resource)\nwhen {{\n  {}\n}};\n",
        conditions.join(" &&\n  ")
    );
    GeneratedPermit { id, label, text }
}

/// The condition on who sends or receives; none for any party.
fn parties(who: &str, parties: &[RowParty]) -> Option<String> {
    if parties.contains(&RowParty::AnyParty) {
        return None;
    }
    let alternatives: Vec<_> = parties
        .iter()
        .map(|party| match party {
            RowParty::AnyParty => "true".to_owned(),
            RowParty::AnyPartner => format!("!({who} in Role::\"municipality\")"),
            RowParty::Municipality => format!("{who} in Role::\"municipality\""),
            RowParty::Named(slug) => format!("{who} == Party::\"{slug}\""),
        })
        .collect();
    Some(format!("({})", alternatives.join(" || ")))
}

/// The condition on the basis: consent is not for the municipality where it has a law, and its laws serve only what it
/// sends or receives.
fn bases(covenant: &Covenant, row: &Row) -> String {
    let list = |bases: &[BasisCode]| {
        let literals: Vec<_> = bases.iter().map(|basis| format!("Basis::\"{basis}\"")).collect();
        format!("[{}].contains(context.basis)", literals.join(", "))
    };
    let mut alternatives = Vec::new();
    if !row.bases.is_empty() {
        let of_anyone = list(&row.bases);
        let consent_only = row
            .bases
            .iter()
            .all(|basis| covenant.basis(basis.as_str()).is_some_and(|basis| basis.kind == BasisKind::Consent));
        if row.municipality_bases.is_empty() || !consent_only {
            alternatives.push(of_anyone);
        } else {
            alternatives.push(format!("({of_anyone} && !(context.sender in Role::\"municipality\"))"));
        }
    }
    if !row.municipality_bases.is_empty() {
        let of_municipality = list(&row.municipality_bases);
        alternatives.push(format!(
            "({of_municipality} && (context.sender in Role::\"municipality\" || context.recipient in Role::\"municipality\"))"
        ));
    }
    format!("({})", alternatives.join(" || "))
}

/// A Cedar string literal.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
