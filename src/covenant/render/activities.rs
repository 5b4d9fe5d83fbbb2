//! The register of processing activities (art. 30 AVG): one entry per purpose, as far as the covenant says it.
//!
//! Invariant: who answers, who receives and which data it is about follow from the rows; everything else is the covenant's own text or is said
//! to be missing.

use std::collections::BTreeSet;

use super::super::register::{Controllers, Processor};
use super::super::types::{Covenant, Party, Purpose, Row, RowParty};
use super::lists::{self, CategoryRef, Uri};
use super::said::{Gaps, Kind, Link, Said};
use super::words;

/// What is said for all entries.
pub(super) struct RegisterView {
    pub contact_point: Said,
    pub security_measures: Said,
    pub transfers: Said,
    pub processor: ProcessorView,
}

/// The operator of the gateway.
pub(super) struct ProcessorView {
    pub name: Said,
    pub contact: Said,
    pub data_protection_officer: Said,
    pub agreement: Said,
    pub sub_processors: Said,
}

/// One entry.
pub(super) struct ActivityView<'a> {
    pub anchor: String,
    pub purpose: &'a Purpose,
    pub link: Link,
    pub uri: Uri<'a>,
    pub description: Said,
    /// What only an entry with rows has.
    pub flows: Option<Flows>,
}

/// What follows from the rows of a purpose, and what is said of it.
pub(super) struct Flows {
    pub controllers: Said,
    /// None where the parties answer separately.
    pub arrangement: Option<Said>,
    pub parties: Vec<Link>,
    pub senders: Vec<Link>,
    pub recipients: Vec<Link>,
    pub data_subjects: Said,
    pub categories: Vec<CategoryRef>,
    pub bases: Vec<Link>,
    pub dpia: Said,
    pub rows: Vec<Link>,
}

fn section(anchor: &str, text: &str) -> Link {
    Link { anchor: anchor.to_owned(), text: text.to_owned() }
}

pub(super) fn register(covenant: &Covenant, gaps: &mut Gaps) -> RegisterView {
    let register = &covenant.register;
    let (place, operator) = (section("register", "het register"), section("verwerker", "de verwerker"));
    let processor = register.processor.as_ref();
    let mut of = |what, field: fn(&Processor) -> Option<&str>| gaps.text(what, &operator, processor.and_then(field));
    let view = ProcessorView {
        name: of("verwerker: naam", |one| Some(&one.name)),
        contact: of("verwerker: contactgegevens", |one| one.contact.as_deref()),
        data_protection_officer: of("verwerker: functionaris gegevensbescherming", |one| {
            one.data_protection_officer.as_deref()
        }),
        agreement: of("verwerkersovereenkomst (art. 28, derde lid, AVG)", |one| one.agreement.as_deref()),
        sub_processors: sub_processors(processor, gaps, &operator),
    };
    RegisterView {
        contact_point: gaps.text("aanspreekpunt voor inwoners", &place, register.contact_point.as_deref()),
        security_measures: gaps.lines("beveiligingsmaatregelen", &place, register.security_measures.clone()),
        transfers: gaps.text("doorgifte buiten de EER", &place, register.transfers.as_deref()),
        processor: view,
    }
}

fn sub_processors(processor: Option<&Processor>, gaps: &mut Gaps, place: &Link) -> Said {
    match processor.and_then(|processor| processor.sub_processors.clone()) {
        Some(nobody) if nobody.is_empty() => Said::from("geen"),
        others => gaps.lines("verwerker: subverwerkers", place, others),
    }
}

pub(super) fn activities<'a>(covenant: &'a Covenant, gaps: &mut Gaps) -> Vec<ActivityView<'a>> {
    covenant.purposes.iter().map(|purpose| activity(covenant, purpose, gaps)).collect()
}

fn activity<'a>(covenant: &'a Covenant, purpose: &'a Purpose, gaps: &mut Gaps) -> ActivityView<'a> {
    let rows: Vec<&Row> = covenant.rows.iter().filter(|row| row.purpose == purpose.id).collect();
    // Said to be missing where the purposes are listed.
    let description = Said { lines: purpose.description.iter().cloned().collect() };
    ActivityView {
        anchor: Kind::Activity.anchor(purpose.id.as_str()),
        purpose,
        link: lists::purpose_link(purpose),
        uri: lists::uri(&purpose.processing_activity),
        description,
        flows: (!rows.is_empty()).then(|| flows(covenant, purpose, &rows, gaps)),
    }
}

fn flows(covenant: &Covenant, purpose: &Purpose, rows: &[&Row], gaps: &mut Gaps) -> Flows {
    let place = Link::to(Kind::Activity, purpose.id.as_str(), &purpose.label.nl);
    let said = covenant.activity(purpose);
    let meant = |of: fn(&Row) -> &[RowParty]| {
        let named = |party: &&Party| rows.iter().any(|row| covenant.names(of(row), party.id.as_str()));
        covenant.parties.iter().filter(named).collect::<Vec<_>>()
    };
    let (senders, recipients) = (meant(|row| &row.from), meant(|row| &row.to));
    let takes_part = |party: &&Party| senders.iter().chain(&recipients).any(|one| one.id == party.id);
    let parties: Vec<_> = covenant.parties.iter().filter(takes_part).collect();
    let used: BTreeSet<_> = rows.iter().flat_map(|row| row.bases.iter().chain(&row.municipality_bases)).collect();
    let given = |category: &&super::super::types::Category| {
        let core = category.is(super::super::types::CategoryGroup::Core);
        rows.iter().any(|row| (row.core && core) || row.categories.contains(&category.id))
    };
    let arrangement = (said.controllers != Some(Controllers::Separate))
        .then(|| gaps.text("onderlinge regeling (art. 26 AVG)", &place, said.arrangement.as_deref()));
    Flows {
        controllers: gaps.text("rol van de partijen", &place, said.controllers.map(words::controllers)),
        arrangement,
        parties: together(covenant, &parties),
        senders: together(covenant, &senders),
        recipients: together(covenant, &recipients),
        data_subjects: gaps.lines("categorieën betrokkenen", &place, said.data_subjects),
        categories: covenant
            .categories
            .iter()
            .filter(given)
            .map(|category| lists::category_ref(covenant, category.id.as_str()))
            .collect(),
        bases: used.into_iter().map(|basis| lists::basis_link(covenant, basis.as_str())).collect(),
        dpia: gaps.text("gegevensbeschermingseffectbeoordeling (DPIA, art. 35 AVG)", &place, said.dpia.as_deref()),
        rows: rows.iter().map(|row| lists::row_link(&row.id)).collect(),
    }
}

/// These parties by name, or in one word where it is all of them or all but the municipality.
fn together(covenant: &Covenant, parties: &[&Party]) -> Vec<Link> {
    let others = covenant.parties.len().saturating_sub(1);
    if parties.len() > others {
        return vec![section("partijen", "alle partijen")];
    }
    if parties.len() == others && parties.iter().all(|party| party.id != covenant.municipality) {
        return vec![section("iedere-partner", "alle partijen behalve de gemeente")];
    }
    parties.iter().map(|party| lists::party_link(party)).collect()
}
