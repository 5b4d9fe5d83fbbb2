//! The lists of the covenant as the document shows them: parties, purposes, data categories and legal bases.

use super::super::types::{Basis, Category, CategoryGroup, Covenant, Party, Purpose};
use super::said::{Gaps, Kind, Link, Said};
use super::words;

/// A party.
pub(super) struct PartyView<'a> {
    pub anchor: String,
    pub party: &'a Party,
    pub kind: &'static str,
    pub is_municipality: bool,
    /// What it carries out for the municipality.
    pub acts_for: Vec<Link>,
    pub contact: Said,
    pub data_protection_officer: Said,
}

/// A purpose.
pub(super) struct PurposeView<'a> {
    pub anchor: String,
    pub purpose: &'a Purpose,
    pub phase: &'static str,
    pub description: Said,
    pub bases: Vec<Link>,
    pub rows: Vec<Link>,
    pub activity: Link,
    pub uri: Uri<'a>,
    pub has_own_terms: bool,
}

/// An address that is made a link only where a browser can follow it to a page.
pub(super) struct Uri<'a> {
    pub text: &'a str,
    pub is_page: bool,
}

/// A data category.
pub(super) struct CategoryView<'a> {
    pub anchor: String,
    pub category: &'a Category,
    pub groups: Vec<&'static str>,
    pub rows: Vec<Link>,
}

/// A legal basis.
pub(super) struct BasisView<'a> {
    pub anchor: String,
    pub basis: &'a Basis,
    pub kind: &'static str,
    pub objection: &'static str,
    pub restriction: &'static str,
    pub purposes: Vec<Link>,
}

/// A category wherever it is named, with what sets it apart.
pub(super) struct CategoryRef {
    pub link: Link,
    pub marks: Vec<&'static str>,
}

pub(super) fn party_link(party: &Party) -> Link {
    Link::to(Kind::Party, party.id.as_str(), &party.name)
}

pub(super) fn purpose_link(purpose: &Purpose) -> Link {
    Link::to(Kind::Purpose, purpose.id.as_str(), &purpose.label.nl)
}

pub(super) fn row_link(id: &str) -> Link {
    Link::to(Kind::Row, id, id)
}

pub(super) fn basis_link(covenant: &Covenant, code: &str) -> Link {
    let name = covenant.basis(code).map_or(code, |basis| basis.label.nl.as_str());
    Link::to(Kind::Basis, code, name)
}

pub(super) fn category_ref(covenant: &Covenant, code: &str) -> CategoryRef {
    let category = covenant.category(code);
    let marks = category.into_iter().flat_map(|category| &category.groups).copied().filter_map(words::mark).collect();
    let name = category.map_or(code, |category| category.label.nl.as_str());
    CategoryRef { link: Link::to(Kind::Category, code, name), marks }
}

pub(super) fn parties<'a>(covenant: &'a Covenant, gaps: &mut Gaps) -> Vec<PartyView<'a>> {
    let view = |party: &'a Party| {
        let place = party_link(party);
        PartyView {
            anchor: place.anchor.clone(),
            party,
            kind: words::party_kind(party.kind),
            is_municipality: party.id == covenant.municipality,
            acts_for: party
                .acts_for
                .iter()
                .filter_map(|code| covenant.purpose(code.as_str()))
                .map(purpose_link)
                .collect(),
            contact: gaps.text("contactgegevens van een partij", &place, party.contact.as_deref()),
            data_protection_officer: gaps.text(
                "functionaris gegevensbescherming van een partij",
                &place,
                party.data_protection_officer.as_deref(),
            ),
        }
    };
    covenant.parties.iter().map(view).collect()
}

pub(super) fn purposes<'a>(covenant: &'a Covenant, gaps: &mut Gaps) -> Vec<PurposeView<'a>> {
    let view = |purpose: &'a Purpose| {
        let place = purpose_link(purpose);
        let rows = covenant.rows.iter().filter(|row| row.purpose == purpose.id);
        PurposeView {
            anchor: place.anchor.clone(),
            purpose,
            phase: words::phase(purpose.phase),
            description: gaps.text("beschrijving van een doel", &place, purpose.description.as_deref()),
            bases: purpose.bases.iter().map(|basis| basis_link(covenant, basis.as_str())).collect(),
            rows: rows.map(|row| row_link(&row.id)).collect(),
            activity: Link::to(Kind::Activity, purpose.id.as_str(), "verwerkingsactiviteit"),
            uri: uri(&purpose.processing_activity),
            has_own_terms: covenant.deadlines.purposes.contains_key(&purpose.id),
        }
    };
    covenant.purposes.iter().map(view).collect()
}

/// Anything else, such as a script, is shown and leads nowhere.
pub(super) fn uri(text: &str) -> Uri<'_> {
    Uri { text, is_page: ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) }
}

pub(super) fn categories(covenant: &Covenant) -> Vec<CategoryView<'_>> {
    covenant.categories.iter().map(|category| category_view(covenant, category)).collect()
}

fn category_view<'a>(covenant: &Covenant, category: &'a Category) -> CategoryView<'a> {
    let core = category.is(CategoryGroup::Core);
    let rows = covenant.rows.iter().filter(|row| (row.core && core) || row.categories.contains(&category.id));
    CategoryView {
        anchor: Kind::Category.anchor(category.id.as_str()),
        category,
        groups: category.groups.iter().copied().map(words::group).collect(),
        rows: rows.map(|row| row_link(&row.id)).collect(),
    }
}

pub(super) fn bases(covenant: &Covenant) -> Vec<BasisView<'_>> {
    covenant.bases.iter().map(|basis| basis_view(covenant, basis)).collect()
}

fn basis_view<'a>(covenant: &Covenant, basis: &'a Basis) -> BasisView<'a> {
    let purposes = covenant.purposes.iter().filter(|purpose| purpose.bases.contains(&basis.id));
    BasisView {
        anchor: Kind::Basis.anchor(basis.id.as_str()),
        basis,
        kind: words::basis_kind(basis.kind),
        objection: if basis.public_task { "houdt op" } else { "geen recht van bezwaar" },
        restriction: if basis.despite_restriction { "gaat door" } else { "houdt op" },
        purposes: purposes.map(purpose_link).collect(),
    }
}
