//! What the matrix of the document says is what the engine does: read back from the page and compared, hand-over by hand-over.

use uuid::Uuid;

use super::super::protocol::{ANY_SENDER, NOT_MUNICIPALITY, WITH_MUNICIPALITY};
use super::*;
use crate::covenant::{BasisCode, CategoryCode, Phase, PurposeCode};
use crate::policy::{
    Action, AgeGroup, BreakGlass, CaseFacts, ConsentRecord, GivenBy, RecordKind, ReferralTerms, Request, RightsFacts,
    Standing, SubjectFacts,
};

/// A row as it stands in the document.
#[derive(Debug)]
struct Shown {
    purpose: String,
    from: Vec<String>,
    to: Vec<String>,
    /// Who may use them, and the bases.
    bases: Vec<(String, Vec<String>)>,
    categories: Vec<String>,
    permits: Vec<String>,
    further: Vec<String>,
}

/// The codes of the references with this prefix; with none, the anchors as they are.
fn targets(html: &str, prefix: &str) -> Vec<String> {
    let targets = values(html, "href").into_iter().filter_map(|target| target.strip_prefix('#'));
    targets.filter_map(|target| target.strip_prefix(prefix)).map(str::to_owned).collect()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("{from} is not there")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("{to} is not there")).0
}

/// The rows of the document, and the rules that it says can apply to each of them.
fn read_back(html: &str) -> (Vec<Shown>, Vec<String>) {
    let chapter = between(html, "<h2 id=\"matrix\">", "</section>");
    let common = targets(between(chapter, "Op elke rij kunnen deze regels gelden:", "</p>"), "regel-");
    let table = between(chapter, "<tbody>", "</tbody>");
    let rows = table.split("<tr>").skip(1).map(|row| {
        let id = targets(row, "rij-").remove(0);
        let cells: Vec<&str> = row.split("<td>").skip(1).collect();
        let lines = cells[3].split("<br>").map(|line| {
            let (who, bases) = line.split_once(": ").unwrap();
            (who.to_owned(), targets(bases, "grondslag-"))
        });
        let detail = between(html, &format!("<h3 id=\"rij-{id}\">"), "</table>");
        let further = between(detail, "<dt>Verdere regels</dt>", "</dd>");
        Shown {
            purpose: targets(cells[0], "doel-").remove(0),
            from: targets(cells[1], ""),
            to: targets(cells[2], ""),
            bases: lines.collect(),
            categories: targets(cells[4], "categorie-"),
            permits: values(detail, "id")
                .into_iter()
                .filter_map(|id| id.strip_prefix("regel-"))
                .map(str::to_owned)
                .collect(),
            further: targets(further, "regel-"),
        }
    });
    (rows.collect(), common)
}

impl Shown {
    /// Whether the row says so, read as the document explains its words.
    fn allows(&self, municipality: &str, from: &str, to: &str, basis: &str, category: &str) -> bool {
        let means = |words: &[String], party: &str| {
            words.iter().any(|word| match word.as_str() {
                "iedere-partij" => true,
                "iedere-partner" => party != municipality,
                "de-gemeente" => party == municipality,
                named => named.strip_prefix("partij-") == Some(party),
            })
        };
        let usable = self.bases.iter().any(|(who, bases)| {
            let here = match who.as_str() {
                ANY_SENDER => true,
                NOT_MUNICIPALITY => from != municipality,
                WITH_MUNICIPALITY => from == municipality || to == municipality,
                other => panic!("the document does not explain \"{other}\""),
            };
            here && bases.iter().any(|one| one == basis)
        });
        usable && means(&self.from, from) && means(&self.to, to) && self.categories.iter().any(|one| one == category)
    }
}

fn code<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// A referral about a child of thirteen for which everything that can be recorded is recorded and everything that can hold holds.
fn with_everything(from: &str, to: &str, purpose: &PurposeCode, phase: Phase, basis: &BasisCode) -> Request {
    let oin = |slug: &str| engine().covenant().party(slug).unwrap().oin.clone();
    let (sender, recipient) = (oin(from), oin(to));
    let categories: Vec<CategoryCode> = engine().covenant().categories.iter().map(|one| one.id.clone()).collect();
    let record = |(number, kind): (u128, RecordKind)| ConsentRecord {
        id: Uuid::from_u128(number),
        kind,
        recorded_by: sender.clone(),
        given_by: GivenBy::ParentAndChild,
        representative: None,
        explicit: true,
        recipients: vec![recipient.clone()],
        purposes: vec![purpose.clone()],
        categories: categories.clone(),
        valid_from: code("2026-06-01T00:00:00Z"),
        valid_until: code("2027-06-01T00:00:00Z"),
        withdrawn_at: None,
    };
    Request {
        action: Action::Refer,
        giver: sender.clone(),
        giver_standing: Standing::GOOD,
        receiver: recipient.clone(),
        receiver_standing: Standing::GOOD,
        referral: ReferralTerms {
            sender: sender.clone(),
            recipient: recipient.clone(),
            purpose: purpose.clone(),
            phase,
            basis: basis.clone(),
        },
        subject: SubjectFacts { age_group: Some(AgeGroup::From12To15), age_group_contradicted: false, by_bsn: false },
        case: CaseFacts { participant_and_coordinator: true, municipality_coordinates: true, stepped_up: true },
        break_glass: Some(BreakGlass { categories: categories.clone(), cannot_consent: true }),
        rights: RightsFacts::default(),
        sections: Vec::new(),
        carried: Vec::new(),
        records: (1..).zip(RecordKind::ALL).map(record).collect(),
        now: code("2026-11-15T12:00:00Z"),
    }
}

#[test]
fn the_document_shows_what_the_engine_permits() {
    let covenant = engine().covenant();
    let (rows, common) = read_back(&shipped().html);
    assert_eq!(rows.len(), covenant.rows.len());
    assert!(common.len() > 5, "{common:?}");
    let sections = |purpose: &PurposeCode| {
        let all = || covenant.categories.iter().map(|one| one.id.clone());
        // Where the document says that only one life domain goes, each category is asked alone.
        let one_domain = |id: &String| engine().rules()[id].code == Some(Code::MoreThanOneDomain);
        let alone = rows.iter().any(|row| row.purpose == purpose.as_str() && row.further.iter().any(one_domain));
        if alone { all().map(|one| vec![one]).collect() } else { vec![all().collect::<Vec<_>>()] }
    };
    let municipality = covenant.municipality.as_str();
    let pairs = covenant.parties.iter().flat_map(|from| covenant.parties.iter().map(move |to| (&from.id, &to.id)));
    let pairs: Vec<_> = pairs.filter(|(from, to)| from != to).collect();
    let (mut permitted, mut withheld) = (0, 0);
    for purpose in &covenant.purposes {
        let sections = sections(&purpose.id);
        // A basis that is not the purpose's own is in none of its rows.
        let bases = covenant.bases.iter().filter(|one| purpose.bases.contains(&one.id) || one.id.as_str() == "wgs");
        let asked = bases.flat_map(|basis| pairs.iter().map(move |pair| (&basis.id, *pair)));
        for (number, (basis, (from, to))) in asked.enumerate() {
            let on_route = |row: &&Shown| {
                let every = row
                    .categories
                    .iter()
                    .any(|category| row.allows(municipality, from.as_str(), to.as_str(), basis.as_str(), category));
                row.purpose == purpose.id.as_str() && every
            };
            // Every hand-over that the document allows; of the many others every fifth.
            if !rows.iter().any(|row| on_route(&row)) && number % 5 != 0 {
                continue;
            }
            let mut request = with_everything(from.as_str(), to.as_str(), &purpose.id, purpose.phase, basis);
            for together in &sections {
                request.sections.clone_from(together);
                for section in engine().decide(&request).sections() {
                    let category = section.category().as_str();
                    let what = format!("{from} → {to}, {}, {basis}: {category}", purpose.id);
                    let allowing: Vec<_> = rows
                        .iter()
                        .filter(|row| row.purpose == purpose.id.as_str())
                        .filter(|row| row.allows(municipality, from.as_str(), to.as_str(), basis.as_str(), category))
                        .collect();
                    if section.effect() == Effect::Permit {
                        permitted += 1;
                        for id in section.rules() {
                            let shown = allowing.iter().any(|row| row.permits.contains(id));
                            assert!(shown, "{what} is permitted by {id}, which no row of the document says");
                        }
                    } else if let Some(row) = allowing.first() {
                        withheld += 1;
                        for id in section.rules() {
                            let told = row.further.contains(id) || common.contains(id);
                            assert!(told, "{what} is withheld by {id}, which the document does not name at its row");
                        }
                    }
                }
            }
        }
    }
    assert!(permitted > 3_000 && withheld > 100, "{permitted} permitted, {withheld} withheld in spite of a row");
}

#[test]
fn each_row_names_its_permits_as_decisions_and_audit_records_do() {
    let (rows, _) = read_back(&shipped().html);
    let shown: BTreeSet<String> = rows.into_iter().flat_map(|row| row.permits).collect();
    let permits = engine().rules().values().filter(|rule| rule.effect == Effect::Permit);
    assert_eq!(shown, permits.map(|rule| rule.id.clone()).collect());
}

#[test]
fn a_rule_stands_at_the_rows_that_it_can_touch_and_at_no_others() {
    let paper = Paper::of(engine());
    let covenant = engine().covenant();
    let rows_of = |id: &str| {
        let on = |row: &&crate::covenant::Row| paper.rules_on(row).iter().any(|rule| rule.id == id);
        covenant.rows.iter().filter(on).map(|row| row.id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(rows_of("triage-one-life-domain"), ["triage"]);
    assert_eq!(rows_of("process-direction-after-step-up"), ["process-direction"]);
    assert_eq!(rows_of("vital-interest-under-break-glass"), ["safety-concern-emergency"]);
    // In a note also to a credit bank that referred; never where nothing special is in the row.
    assert!(rows_of("credit-bank-no-health").contains(&"safety-concern-emergency"));
    assert!(rows_of("credit-bank-no-health").contains(&"social-work"));
    assert!(!rows_of("credit-bank-no-health").contains(&"debt-counselling"));
    assert_eq!(rows_of("steering-carries-no-person"), [""; 0]);
    assert_eq!(rows_of("giver-signed").len(), covenant.rows.len());
    assert!(rows_of("child-development-of-a-child").contains(&"youth-health"));
    assert!(!rows_of("child-development-of-a-child").contains(&"debt-counselling"));
    // It gives nothing of this kind in a referral to who is not the municipality, but it may send a note back.
    assert!(rows_of("credit-bank-gives-core-and-finance").contains(&"debt-counselling"));
}
