//! From the text of `covenant.toml` to a checked [`Covenant`]; every error at once, each with its place.
//!
//! Invariant: a value of the result is never a stand-in for one that could not be read: one finding, and there is none.

use std::str::FromStr;

use toml::Table;

use super::findings::{Finding, Findings};
use super::reader::Reader;
use super::register::TextStatus;
use super::types::{
    Basis, BasisKind, Category, CategoryGroup, Covenant, Label, Party, PartyKind, Phase, Purpose, Row, RowParty, Values,
};
use super::{check, deadlines, emergency, register, retention, rights};

/// The word by which a row names all core categories at once.
const CORE: &str = "core";

impl Covenant {
    /// Reads and checks the text of `covenant.toml`.
    ///
    /// # Errors
    /// [`Findings`] with everything that is wrong, not only the first thing.
    pub fn parse(text: &str) -> Result<Self, Findings> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or("").lines().count().max(1));
            Findings(vec![Finding::new(format!("covenant.toml line {line}"), error.message().to_owned())])
        })?;
        let mut findings = Vec::new();
        let covenant = read(&table, &mut findings);
        if let Some(covenant) = &covenant {
            check::check(covenant, &mut findings);
        }
        match covenant {
            Some(covenant) if findings.is_empty() => Ok(covenant),
            _ => Err(Findings(findings)),
        }
    }
}

/// The name of a version as it stands in addresses and answers: the contract's `CovenantVersion`.
struct VersionName(String);

impl std::str::FromStr for VersionName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=40).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-'));
        fits.then(|| Self(text.to_owned()))
            .ok_or("use at most 40 letters, digits, dots and hyphens, a letter or digit first")
    }
}

fn read(table: &Table, findings: &mut Vec<Finding>) -> Option<Covenant> {
    let mut top = Reader::new(table, "covenant.toml: ".to_owned(), findings);
    let version = top.parsed::<VersionName>("version");
    let effective_from = top.parsed("effective-from");
    let statuses = TextStatus::ALL.map(TextStatus::as_str);
    let status = top.optional_word("status", TextStatus::from_word, &statuses);
    let title = Label { nl: top.text("title-nl"), en: top.text("title-en") };
    let roles = top.table("roles");
    let values = top.table("values");
    let deadlines = top.table("deadlines");
    let retention = top.table("retention-days");
    let register = if top.has("register") { top.table("register") } else { None };
    let emergency = if top.has("emergency") { top.table("emergency") } else { None };
    let rights = if top.has("rights") { top.table("rights") } else { None };
    let [parties, bases, categories, purposes, rows] =
        ["parties", "bases", "categories", "purposes", "rows"].map(|key| top.tables(key));
    top.finish();

    let municipality = roles.and_then(|table| role_of_municipality(table, findings));
    let values = values.map(|table| read_values(table, findings));
    let deadlines = deadlines.and_then(|table| deadlines::read(table, findings));
    let retention = retention.map(|table| retention::read(table, findings));
    let register = register.map(|table| register::read(table, findings)).unwrap_or_default();
    let emergency = emergency.map(|table| emergency::read(table, findings, row_party)).unwrap_or_default();
    let rights = rights.map(|table| rights::read(table, findings)).unwrap_or_default();
    Some(Covenant {
        parties: each(&parties, "parties", findings, read_party),
        bases: each(&bases, "bases", findings, read_basis),
        categories: each(&categories, "categories", findings, read_category),
        purposes: each(&purposes, "purposes", findings, read_purpose),
        rows: each(&rows, "rows", findings, read_row),
        version: version?.0,
        effective_from: effective_from?,
        status,
        title,
        municipality: municipality?,
        deadlines: deadlines?,
        retention: retention?,
        values: values?,
        emergency,
        rights,
        register,
    })
}

/// Reads every table of a list; the place of a finding names the item by its id where it has one.
fn each<T>(
    tables: &[&Table],
    list: &str,
    findings: &mut Vec<Finding>,
    read: fn(&mut Reader<'_, '_>) -> Option<T>,
) -> Vec<T> {
    let mut items = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let name = table.get("id").and_then(toml::Value::as_str).map_or_else(|| (index + 1).to_string(), str::to_owned);
        let mut reader = Reader::new(table, format!("covenant.toml: {list}[{name}]"), findings);
        items.extend(read(&mut reader));
        reader.finish();
    }
    items
}

fn role_of_municipality(table: &Table, findings: &mut Vec<Finding>) -> Option<super::types::PartySlug> {
    let mut reader = Reader::new(table, "covenant.toml: roles".to_owned(), findings);
    let municipality = reader.parsed("municipality");
    reader.finish();
    municipality
}

fn read_values(table: &Table, findings: &mut Vec<Finding>) -> Values {
    let mut reader = Reader::new(table, "covenant.toml: values".to_owned(), findings);
    let values = Values {
        aggregation_threshold: reader.number("aggregation-threshold", 2, 1_000),
        consent_max_months: reader.number("consent-max-months", 1, 12),
        reopen_days: reader.number("reopen-within-days", 0, 3_650),
    };
    reader.finish();
    values
}

fn label(reader: &mut Reader<'_, '_>) -> Label {
    Label { nl: reader.text("nl"), en: reader.text("en") }
}

fn read_party(reader: &mut Reader<'_, '_>) -> Option<Party> {
    let (id, oin) = (reader.parsed("id"), reader.parsed("oin"));
    let name = reader.text("name");
    let kind = reader.word("kind", PartyKind::from_word, &["municipality", "partner"]);
    let secrecy_source = reader.optional_text("secrecy-source");
    let bsn_law = reader.optional_text("bsn-law");
    let acts_for = reader.codes("acts-for", str::parse);
    let complaints = reader.text("complaints");
    let contact = reader.optional_text("contact");
    let data_protection_officer = reader.optional_text("data-protection-officer");
    Some(Party {
        id: id?,
        oin: oin?,
        name,
        kind: kind?,
        secrecy_source,
        bsn_law,
        acts_for: acts_for?,
        complaints,
        contact,
        data_protection_officer,
    })
}

fn read_basis(reader: &mut Reader<'_, '_>) -> Option<Basis> {
    let id = reader.parsed("id");
    let kinds = BasisKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
    let kind = reader.word("kind", BasisKind::from_word, &kinds);
    // What is left out, or was written before there was a word for it, is what an objection stops, and a restriction.
    let (public_task, despite_restriction) = (!reader.flag("no-right-to-object"), reader.flag("despite-restriction"));
    let source = reader.text("source");
    let label = label(reader);
    Some(Basis { id: id?, kind: kind?, public_task, despite_restriction, source, label })
}

fn read_category(reader: &mut Reader<'_, '_>) -> Option<Category> {
    let id = reader.parsed("id");
    // A special category must not become an ordinary one by a key that was forgotten.
    reader.must_be_there("groups");
    let groups = reader.codes("groups", |word| CategoryGroup::from_word(word).ok_or("no such group"));
    let label = label(reader);
    Some(Category { id: id?, groups: groups?, label })
}

fn read_purpose(reader: &mut Reader<'_, '_>) -> Option<Purpose> {
    let id = reader.parsed("id");
    let phase = reader.word("phase", Phase::from_word, &["triage", "case"]);
    let bases = reader.codes("bases", str::parse);
    let access_decision = reader.flag("access-decision");
    let needs_care_agreement = reader.flag("needs-care-agreement");
    let processing_activity = reader.parsed::<url::Url>("processing-activity").map(String::from);
    let description = reader.optional_text("description");
    let activity = register::read_activity(reader);
    let label = label(reader);
    Some(Purpose {
        id: id?,
        phase: phase?,
        bases: bases?,
        access_decision,
        needs_care_agreement,
        processing_activity: processing_activity?,
        description,
        activity,
        label,
    })
}

fn read_row(reader: &mut Reader<'_, '_>) -> Option<Row> {
    let id: Option<super::types::PurposeCode> = reader.parsed("id");
    let purpose = reader.parsed("purpose");
    let (from, to) = (reader.codes("from", row_party), reader.codes("to", row_party));
    let (bases, municipality_bases) =
        (reader.codes("bases", str::parse), reader.codes("municipality-bases", str::parse));
    let mut words = reader.texts("categories");
    let core = words.iter().any(|word| word == CORE);
    words.retain(|word| word != CORE);
    let categories = reader.parse_all("categories", &words, str::parse);
    let label = label(reader);
    Some(Row {
        id: id?.to_string(),
        purpose: purpose?,
        from: from?,
        to: to?,
        bases: bases?,
        municipality_bases: municipality_bases?,
        core,
        categories: categories?,
        label,
    })
}

fn row_party(word: &str) -> Result<RowParty, super::types::InvalidCode> {
    Ok(match word {
        "any-party" => RowParty::AnyParty,
        "any-partner" => RowParty::AnyPartner,
        "municipality" => RowParty::Municipality,
        slug => RowParty::Named(super::types::PartySlug::from_str(slug)?),
    })
}
