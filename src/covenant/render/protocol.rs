//! The privacy protocol as the document shows it: the matrix row by row, the further rules, and what is proved of them.
//!
//! Invariant: rules, their order and their reach come from the engine that loaded them; nothing is worked out a second time here.

use super::super::types::{BasisCode, BasisKind, CategoryGroup, Covenant, Row, RowParty};
use super::lists::{self, CategoryRef};
use super::said::{Kind, Link};
use super::words;
use crate::policy::{
    Code, HELD_ELSEWHERE, HeldElsewhere, InvariantText, NUMBERED, Paper, PermitText, Remedy, RuleText, StatutoryGround,
};

/// A row of the matrix.
pub(super) struct RowView<'a> {
    pub anchor: String,
    pub row: &'a Row,
    pub purpose: Link,
    pub phase: &'static str,
    pub from: Vec<Link>,
    pub to: Vec<Link>,
    pub bases: Vec<BasisLine>,
    pub permits: Vec<PermitView>,
    /// The rules that can apply to this row and not to every one.
    pub further: Vec<Link>,
}

/// Who may use which bases.
pub(super) struct BasisLine {
    pub who: &'static str,
    pub bases: Vec<Link>,
}

/// A permit that a row stands for.
pub(super) struct PermitView {
    pub anchor: String,
    pub id: String,
    pub categories: Vec<CategoryRef>,
    pub cedar: String,
}

/// Every sender.
pub(super) const ANY_SENDER: &str = "iedere afzender";
/// Where the municipality has a law of its own, consent is for the others.
pub(super) const NOT_MUNICIPALITY: &str = "iedere afzender behalve de gemeente";
/// Laws for the municipality.
pub(super) const WITH_MUNICIPALITY: &str = "alleen wat de gemeente verstuurt of krijgt";

/// The rows, and the rules that can apply to every one of them.
pub(super) fn matrix<'a>(covenant: &'a Covenant, paper: &Paper<'a>) -> (Vec<RowView<'a>>, Vec<Link>) {
    let on_rows: Vec<Vec<&RuleText>> = covenant.rows.iter().map(|row| paper.rules_on(row)).collect();
    let everywhere = |rule: &&RuleText| on_rows.iter().all(|rules| rules.iter().any(|one| one.id == rule.id));
    let common: Vec<&RuleText> = on_rows.first().into_iter().flatten().copied().filter(everywhere).collect();
    let view = |(row, rules): (&'a Row, &Vec<&RuleText>)| {
        let purpose = covenant.purpose(row.purpose.as_str());
        let further = rules.iter().filter(|rule| !common.iter().any(|one| one.id == rule.id));
        RowView {
            anchor: Kind::Row.anchor(&row.id),
            row,
            purpose: purpose.map_or_else(|| lists::row_link(&row.id), lists::purpose_link),
            phase: purpose.map_or("", |purpose| words::phase(purpose.phase)),
            from: row.from.iter().map(|party| who(covenant, party)).collect(),
            to: row.to.iter().map(|party| who(covenant, party)).collect(),
            bases: basis_lines(covenant, row),
            permits: paper.permits_of(row).into_iter().map(|permit| permit_view(covenant, permit)).collect(),
            further: further.map(|rule| rule_link(&rule.id)).collect(),
        }
    };
    let rows = covenant.rows.iter().zip(&on_rows).map(view).collect();
    (rows, common.into_iter().map(|rule| rule_link(&rule.id)).collect())
}

pub(super) fn rule_link(id: &str) -> Link {
    Link::to(Kind::Rule, id, id)
}

pub(super) fn who(covenant: &Covenant, party: &RowParty) -> Link {
    let word = |anchor: &str, text: &str| Link { anchor: anchor.to_owned(), text: text.to_owned() };
    match party {
        RowParty::AnyParty => word("iedere-partij", "iedere partij"),
        RowParty::AnyPartner => word("iedere-partner", "iedere partner"),
        RowParty::Municipality => word("de-gemeente", "de gemeente"),
        RowParty::Named(slug) => covenant
            .party(slug.as_str())
            .map_or_else(|| Link::to(Kind::Party, slug.as_str(), slug.as_str()), lists::party_link),
    }
}

/// The same division as in the permits that the row stands for; a test holds the two together.
fn basis_lines(covenant: &Covenant, row: &Row) -> Vec<BasisLine> {
    let links = |bases: &[BasisCode]| bases.iter().map(|basis| lists::basis_link(covenant, basis.as_str())).collect();
    let is_consent =
        |basis: &BasisCode| covenant.basis(basis.as_str()).is_some_and(|basis| basis.kind == BasisKind::Consent);
    let consent_only = row.bases.iter().all(is_consent);
    let who = if row.municipality_bases.is_empty() || !consent_only { ANY_SENDER } else { NOT_MUNICIPALITY };
    let lines = [(who, &row.bases), (WITH_MUNICIPALITY, &row.municipality_bases)];
    let lines = lines.into_iter().filter(|(_, bases)| !bases.is_empty());
    lines.map(|(who, bases)| BasisLine { who, bases: links(bases) }).collect()
}

fn permit_view(covenant: &Covenant, permit: PermitText<'_>) -> PermitView {
    let core = || covenant.categories.iter().filter(|category| category.is(CategoryGroup::Core));
    let codes: Vec<&str> = match permit.category {
        Some(category) => vec![category.as_str()],
        None => core().map(|category| category.id.as_str()).collect(),
    };
    let categories = codes.into_iter().map(|code| lists::category_ref(covenant, code)).collect();
    PermitView { anchor: Kind::Rule.anchor(&permit.id), id: permit.id, categories, cedar: permit.cedar }
}

/// Rules of one hundred.
pub(super) struct RuleGroup<'a> {
    pub title: &'static str,
    pub rules: Vec<RuleView<'a>>,
}

/// A rule that withholds.
pub(super) struct RuleView<'a> {
    pub anchor: String,
    pub rule: &'a RuleText,
    pub number: Link,
    pub code: Option<CodeRef>,
    pub remedy: Option<String>,
    pub remedy_of_note: Option<String>,
    pub remedy_in_emergency: Option<String>,
    pub cedar: String,
    /// None where it can apply to every row.
    pub rows: Option<Vec<Link>>,
}

/// A reason code with what it means.
pub(super) struct CodeRef {
    pub link: Link,
    pub text: &'static str,
}

/// The rules in their order, those of the same hundred together.
pub(super) fn rules<'a>(paper: &Paper<'a>, rows: &[RowView<'a>], common: &[Link]) -> Vec<RuleGroup<'a>> {
    let mut groups: Vec<RuleGroup<'a>> = Vec::new();
    for (rule, cedar) in paper.withholding() {
        let anchor = Kind::Rule.anchor(&rule.id);
        let on = |row: &&RowView<'_>| row.further.iter().any(|link| link.anchor == anchor);
        let everywhere = common.iter().any(|link| link.anchor == anchor);
        let view = RuleView {
            rows: (!everywhere).then(|| rows.iter().filter(on).map(|row| lists::row_link(&row.row.id)).collect()),
            number: number_link(rule.number),
            code: rule.code.map(code_ref),
            remedy: helps(rule.remedy.as_ref()),
            remedy_of_note: helps(rule.remedy_of_note.as_ref()),
            remedy_in_emergency: helps(rule.remedy_in_emergency.as_ref()),
            cedar: cedar.to_owned(),
            anchor,
            rule,
        };
        let title = words::hundred(rule.order / 100);
        match groups.last_mut() {
            Some(group) if group.title == title => group.rules.push(view),
            _ => groups.push(RuleGroup { title, rules: vec![view] }),
        }
    }
    groups
}

/// A remedy in words, where there is one.
fn helps(remedy: Option<&Remedy>) -> Option<String> {
    remedy.map(|remedy| words::remedy(&remedy.nl))
}

fn number_link(number: u8) -> Link {
    Link::to(Kind::Number, &number.to_string(), number.to_string())
}

fn code_ref(code: Code) -> CodeRef {
    CodeRef { link: Link::to(Kind::Code, code.as_str(), code.as_str()), text: code.nl() }
}

/// A rule that holds without being a policy.
pub(super) struct ElsewhereView {
    pub anchor: String,
    pub rule: &'static HeldElsewhere,
    pub number: Link,
}

pub(super) fn elsewhere() -> Vec<ElsewhereView> {
    let view = |rule: &'static HeldElsewhere| ElsewhereView {
        anchor: Kind::Rule.anchor(rule.id),
        rule,
        number: number_link(rule.number),
    };
    HELD_ELSEWHERE.iter().map(view).collect()
}

/// One of the numbered rules, with what carries it out.
pub(super) struct NumberView {
    pub anchor: String,
    pub number: u8,
    pub text: &'static str,
    pub rules: Vec<Link>,
    pub invariants: Vec<Link>,
    /// The first is carried out by the rows too.
    pub is_of_rows: bool,
}

pub(super) fn numbers(paper: &Paper<'_>, invariants: &[InvariantText]) -> Vec<NumberView> {
    let view = |rule: &crate::policy::NumberedRule| {
        let policies = paper.withholding();
        let policies = policies.iter().filter(|(one, _)| one.number == rule.number).map(|(one, _)| one.id.as_str());
        let others = HELD_ELSEWHERE.iter().filter(|one| one.number == rule.number).map(|one| one.id);
        let guards = invariants.iter().filter(|one| one.number == rule.number);
        NumberView {
            anchor: Kind::Number.anchor(&rule.number.to_string()),
            number: rule.number,
            text: rule.nl,
            rules: policies.chain(others).map(rule_link).collect(),
            invariants: guards.map(|one| Link::to(Kind::Invariant, &one.id, &one.id)).collect(),
            is_of_rows: rule.number == OF_ROWS,
        }
    };
    NUMBERED.iter().map(view).collect()
}

/// The number that every permit of a row has.
const OF_ROWS: u8 = 1;

/// Where a special category goes without explicit consent.
pub(super) struct GroundView {
    pub purpose: Link,
    pub basis: Link,
    pub source: String,
    pub category: CategoryRef,
    pub row: Link,
    pub cannot_consent: bool,
}

pub(super) fn grounds(covenant: &Covenant, paper: &Paper<'_>) -> Vec<GroundView> {
    let view = |ground: StatutoryGround<'_>| GroundView {
        purpose: covenant
            .purpose(ground.row.purpose.as_str())
            .map_or_else(|| lists::row_link(&ground.row.id), lists::purpose_link),
        basis: lists::basis_link(covenant, ground.basis.as_str()),
        source: covenant.basis(ground.basis.as_str()).map(|basis| basis.source.clone()).unwrap_or_default(),
        category: lists::category_ref(covenant, ground.category.as_str()),
        row: lists::row_link(&ground.row.id),
        cannot_consent: ground.cannot_consent,
    };
    paper.statutory_grounds().into_iter().map(view).collect()
}

/// An invariant.
pub(super) struct InvariantView {
    pub anchor: String,
    pub invariant: InvariantText,
    pub number: Link,
}

pub(super) fn invariants(invariants: Vec<InvariantText>) -> Vec<InvariantView> {
    let view = |invariant: InvariantText| InvariantView {
        anchor: Kind::Invariant.anchor(&invariant.id),
        number: number_link(invariant.number),
        invariant,
    };
    invariants.into_iter().map(view).collect()
}

/// A reason code, with the rules that give it.
pub(super) struct CodeView {
    pub anchor: String,
    pub code: Code,
    pub rules: Vec<Link>,
}

pub(super) fn codes(paper: &Paper<'_>) -> Vec<CodeView> {
    let rules = paper.withholding();
    let view = |code: &Code| {
        let of_rules = rules.iter().filter(|(rule, _)| rule.code == Some(*code)).map(|(rule, _)| rule.id.as_str());
        CodeView {
            anchor: Kind::Code.anchor(code.as_str()),
            code: *code,
            rules: of_rules.chain(code.given_without_policy()).map(rule_link).collect(),
        }
    };
    Code::ALL.iter().map(view).collect()
}
