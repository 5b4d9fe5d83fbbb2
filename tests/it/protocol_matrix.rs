//! Every party that the covenant names and that accedes later: each of its rows works over the API, everything beside them is refused.
//!
//! What is expected is worked out from the rows of `policies/covenant.toml` and a plain reading of the seventeen rules, without the engine, its facts or
//! its rules.

use std::path::Path;

use serde_json::{Value, json};
use sluis::covenant::{Covenant, RowParty};
use sluis::demo::client::Answer;
use sluis::demo::scenario::OfCovenant;

use crate::accession::{register, sign};
use crate::app::{TestApp, with_sections};
use crate::consistency::finish;

const MUNICIPALITY: &str = "gemeente-wassenaar";
const MEMBERS: [&str; 6] = [MUNICIPALITY, "smow", "kwadraad", "mee", "jgz", "kredietbank"];

/// The plan's own lists, not those of the covenant.
const UNDER_SECRECY: [&str; 2] = ["kwadraad", "jgz"];
const WITHOUT_BSN: [&str; 1] = ["sjjw"];
const CORE: [&str; 4] = ["identity", "contact", "household", "question"];
const SPECIAL: [&str; 4] = ["meaning", "mental-health", "physical-health", "child-development"];
const LIFE_DOMAINS: [&str; 8] =
    ["housing", "finance", "social", "practical", "daytime", "meaning", "mental-health", "physical-health"];

/// A hand-over of sections.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    from: &'a str,
    to: &'a str,
    purpose: &'a str,
    basis: &'a str,
    /// All kinds of records were made by the sender for everybody and everything, or none.
    records: bool,
}

struct Plan(Covenant);

impl Plan {
    fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/covenant.toml");
        Self(Covenant::parse(&std::fs::read_to_string(file).unwrap()).unwrap())
    }

    fn oin(&self, party: &str) -> String {
        self.0.party(party).unwrap().oin.to_string()
    }

    fn categories(&self) -> Vec<&str> {
        self.0.categories.iter().map(|category| category.id.as_str()).collect()
    }

    /// Whether a row has it, with the two sentences about laws for the municipality.
    fn has_row(&self, asked: Asked<'_>, category: &str) -> bool {
        let means = |parties: &[RowParty], party: &str| {
            parties.iter().any(|one| match one {
                RowParty::AnyParty => true,
                RowParty::AnyPartner => party != MUNICIPALITY,
                RowParty::Municipality => party == MUNICIPALITY,
                RowParty::Named(slug) => slug.as_str() == party,
            })
        };
        self.0.rows.iter().any(|row| {
            let in_row =
                (row.core && CORE.contains(&category)) || row.categories.iter().any(|c| c.as_str() == category);
            let any = row.bases.iter().any(|basis| basis.as_str() == asked.basis);
            let law = row.municipality_bases.iter().any(|basis| basis.as_str() == asked.basis);
            let with_municipality = asked.from == MUNICIPALITY || asked.to == MUNICIPALITY;
            let uses_its_law = asked.from == MUNICIPALITY && !row.municipality_bases.is_empty();
            row.purpose.as_str() == asked.purpose
                && means(&row.from, asked.from)
                && means(&row.to, asked.to)
                && in_row
                && ((any && !uses_its_law) || (law && with_municipality))
        })
    }

    /// Whether somebody of 16 agrees with the plan that this section is given; outside any case.
    fn permits(&self, asked: Asked<'_>, category: &str) -> bool {
        let Asked { from, to, purpose, basis, records } = asked;
        let special = SPECIAL.contains(&category);
        // 1, and 10 and 13: no case that was stepped up, no break-glass.
        if from == to || !self.has_row(asked, category) || basis == "vital-interest" {
            return false;
        }
        if ["case-coordination", "process-direction", "steering-information"].contains(&purpose) {
            return false;
        }
        if never_crosses(asked, [from, to], category)
            || (from == "kredietbank" && to == MUNICIPALITY && !of_the_bank(category))
        {
            return false;
        }
        if records {
            return true;
        }
        // 3 to 5
        let ground = match (purpose, basis) {
            ("youth-health", "jeugdwet") => category == "child-development",
            ("safety-concern", "meldcode") => true,
            ("safety-concern", "wvggz") => category == "mental-health",
            _ => false,
        };
        let released = !UNDER_SECRECY.contains(&from) || category == "contact" || basis == "meldcode";
        basis != "consent" && !["triage", "access-investigation"].contains(&purpose) && (!special || ground) && released
    }

    /// Whether the plan agrees with the same going back as a note, of what went under this row; everybody has recorded everything (16).
    fn permits_note(&self, asked: Asked<'_>, category: &str) -> bool {
        let back = [asked.to, asked.from];
        self.has_row(asked, category)
            && !never_crosses(asked, back, category)
            && (asked.to != "kredietbank" || of_the_bank(category))
    }

    /// The bases that some row of the purpose names, and, to be `thorough`, one that none does.
    fn bases(&self, purpose: &str, thorough: bool) -> Vec<&str> {
        let named = |basis: &str| {
            self.0
                .rows
                .iter()
                .filter(|row| row.purpose.as_str() == purpose)
                .any(|row| row.bases.iter().chain(&row.municipality_bases).any(|one| one.as_str() == basis))
        };
        let (mut bases, others): (Vec<&str>, Vec<&str>) =
            self.0.bases.iter().map(|basis| basis.id.as_str()).partition(|basis| named(basis));
        bases.extend(others.first().filter(|_| thorough));
        bases
    }

    fn phase(&self, purpose: &str) -> &'static str {
        self.0.purpose(purpose).unwrap().phase.as_str()
    }
}

/// What the credit bank gives to the municipality and in notes (7).
fn of_the_bank(category: &str) -> bool {
    CORE.contains(&category) || category == "finance"
}

/// What never crosses between a giver and a receiver, whatever was recorded (6 to 9, 11).
fn never_crosses(Asked { purpose, basis, .. }: Asked<'_>, [giver, receiver]: [&str; 2], category: &str) -> bool {
    let special = SPECIAL.contains(&category);
    let to_the_bank = receiver == "kredietbank" && (special || category == "safety");
    let from_support = giver == "mee" && receiver == MUNICIPALITY && purpose != "safety-concern";
    let from_the_nurse = giver == "jgz"
        && ["child-development", "physical-health"].contains(&category)
        && !["youth-health", "safety-concern"].contains(&purpose);
    let number =
        category == "bsn" && (basis == "consent" || [giver, receiver].iter().any(|party| WITHOUT_BSN.contains(party)));
    to_the_bank || from_support || from_the_nurse || number || (purpose == "triage" && special)
}

/// The resident as this party says whom it means: the municipality in both ways, who may not use the BSN by name. With records and without are two
/// residents.
fn subject(who: &str, records: bool) -> Value {
    let (name, bsn) = if records { ("Noor", "999990007") } else { ("Jesse", "999990020") };
    let mut subject = json!({});
    if !WITHOUT_BSN.contains(&who) {
        subject["bsn"] = json!(bsn);
    }
    if WITHOUT_BSN.contains(&who) || who == MUNICIPALITY {
        subject["match"] =
            json!({ "givenName": name, "familyName": "Bos", "birthDate": "2010-03-01", "postalCode": "2242 AB" });
    }
    subject["ageGroup"] = json!("16-17");
    subject
}

fn body(plan: &Plan, asked: Asked<'_>, phase: &str, categories: &[&str]) -> Value {
    let referral = json!({
        "recipient": plan.oin(asked.to), "purpose": asked.purpose, "phase": phase, "legalBasis": asked.basis,
        "subject": subject(asked.from, asked.records), "onWithheld": "minimise",
    });
    with_sections(referral, categories)
}

fn permitted(answer: &Answer) -> Vec<String> {
    let sections = answer.body["decision"]["sections"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    let permitted = sections.iter().filter(|section| section["effect"] == "permit");
    permitted.map(|section| section["category"].as_str().unwrap().to_owned()).collect()
}

/// Records consent, release and agreement for everybody and everything.
async fn record_all(app: &TestApp, plan: &Plan, who: &str) {
    let now = app.app().now();
    let day = std::time::Duration::from_hours(24);
    let recipients: Vec<String> = plan.0.parties.iter().map(|party| party.oin.to_string()).collect();
    let purposes = plan.0.purposes.iter().map(|purpose| purpose.id.as_str());
    let purposes: Vec<&str> = purposes.filter(|purpose| *purpose != "steering-information").collect();
    for kind in ["consent", "secrecy-release", "care-agreement"] {
        let mut record = json!({
            "kind": kind, "subject": subject(who, true), "givenBy": "resident", "explicit": true,
            "recipients": recipients, "purposes": purposes, "method": "digital",
            "validFrom": now.minus(day), "validUntil": now.plus(day), "obtainedAt": now.minus(day),
        });
        if kind != "care-agreement" {
            record["categories"] = json!(plan.categories());
        }
        let recorded = app.post(who, "/v1/consents", record).await;
        assert_eq!(recorded.status, 201, "{who}: {}", recorded.text);
    }
}

/// Asks about every purpose and basis between these two; how many sections were permitted.
async fn ask_everything(app: &TestApp, plan: &Plan, from: &str, to: &str, records: bool) -> usize {
    let all = plan.categories();
    let mut crossed = 0;
    for purpose in plan.0.purposes.iter().map(|purpose| purpose.id.as_str()) {
        let thorough = [from, to].contains(&MUNICIPALITY);
        for basis in plan.bases(purpose, thorough) {
            let asked = Asked { from, to, purpose, basis, records };
            let weighed = purpose == "triage" && to == MUNICIPALITY;
            // Triage carries one life domain: they are asked about one by one.
            let others: Vec<&str> =
                all.iter().filter(|category| !weighed || !LIFE_DOMAINS.contains(category)).copied().collect();
            let mut rounds = vec![others];
            if weighed {
                rounds.extend(LIFE_DOMAINS.iter().map(|domain| vec![*domain]));
            }
            for categories in rounds {
                let checked =
                    app.post(from, "/v1/referrals/_check", body(plan, asked, plan.phase(purpose), &categories)).await;
                assert_eq!(checked.status, 200, "{asked:?}: {}", checked.text);
                let expected: Vec<&str> =
                    categories.iter().filter(|category| plan.permits(asked, category)).copied().collect();
                assert_eq!(permitted(&checked), expected, "{asked:?}: {}", checked.text);
                crossed += expected.len();
            }
        }
    }
    crossed
}

/// Hands over all that may go between these two, on the first basis of each purpose on which something may, and reads it; for how many purposes.
async fn hand_over(app: &TestApp, plan: &Plan, from: &str, to: &str) -> usize {
    let mut done = 0;
    for purpose in plan.0.purposes.iter().map(|purpose| purpose.id.as_str()) {
        for basis in plan.bases(purpose, false) {
            let asked = Asked { from, to, purpose, basis, records: true };
            let mut categories = plan.categories();
            categories.retain(|category| plan.permits(asked, category));
            if purpose == "triage" {
                categories.retain(|category| !LIFE_DOMAINS.contains(category) || *category == "social");
            }
            if categories.is_empty() {
                continue;
            }
            let created = app.post(from, "/v1/referrals", body(plan, asked, plan.phase(purpose), &categories)).await;
            assert_eq!(created.status, 201, "{asked:?}: {}", created.text);
            let read = app.get(to, format!("{}/sections", created.headers["location"])).await;
            assert_eq!(read.status, 200, "{asked:?}: {}", read.text);
            let got: Vec<&str> =
                read.body["sections"].as_array().unwrap().iter().map(|one| one["category"].as_str().unwrap()).collect();
            assert_eq!(got, categories, "{asked:?}");
            // And the same back, as far as it may (16).
            let note = json!({ "status": "accepted", "onWithheld": "minimise" });
            let noted = app
                .post(to, format!("{}/updates", created.headers["location"]), with_sections(note, &categories))
                .await;
            let mut back = categories.clone();
            back.retain(|category| plan.permits_note(asked, category));
            assert_eq!(noted.status, if back.is_empty() { 403 } else { 201 }, "{asked:?}: {}", noted.text);
            assert_eq!(permitted(&noted), back, "{asked:?} back: {}", noted.text);
            // In the other phase nothing goes.
            let other = if plan.phase(purpose) == "case" { "triage" } else { "case" };
            let refused = app.post(from, "/v1/referrals", body(plan, asked, other, &categories)).await;
            assert_eq!(refused.status, 403, "{asked:?}: {}", refused.text);
            done += 1;
            break;
        }
    }
    done
}

async fn accedes(party: &str, others: &[&str]) {
    let plan = Plan::read();
    let mut app = TestApp::start_with(&[("SLUIS_LIMITS__MATCH_REQUESTS_PER_SECOND", "0")]).await;
    register(&mut app, party).await;
    for who in MEMBERS.into_iter().chain([party]) {
        record_all(&app, &plan, who).await;
    }
    // Named and not signed: whatever would go later does not go now, in neither direction.
    for (from, to) in [("smow", party), (party, "smow")] {
        let asked = Asked { from, to, purpose: "information-and-advice", basis: "consent", records: true };
        let checked = app.post(from, "/v1/referrals/_check", body(&plan, asked, "triage", &["contact"])).await;
        assert_eq!(checked.text_at("/decision/sections/0/code"), Some("covenant-not-signed"), "{}", checked.text);
        let refused = app.post(from, "/v1/referrals", body(&plan, asked, "triage", &["contact"])).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
    }
    sign(&mut app, party, OfCovenant::default()).await;
    for other in others {
        register(&mut app, other).await;
        sign(&mut app, other, OfCovenant::default()).await;
        record_all(&app, &plan, other).await;
    }
    let (mut crossed, mut done) = (0, 0);
    for other in MEMBERS.iter().chain(others) {
        for (from, to) in [(party, *other), (*other, party)] {
            crossed += ask_everything(&app, &plan, from, to, true).await;
            if ["kwadraad", MUNICIPALITY].contains(other) {
                crossed += ask_everything(&app, &plan, from, to, false).await;
            }
            if from == party || [MUNICIPALITY, "smow"].contains(&from) {
                done += hand_over(&app, &plan, from, to).await;
            }
        }
    }
    assert_eq!(ask_everything(&app, &plan, party, party, true).await, 0);
    assert!(crossed > 100 && done > 12, "{crossed} sections, {done} hand-overs");
    finish(app).await;
}

macro_rules! later_parties {
    ($($name:ident: $party:literal, with $others:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            accedes($party, &$others).await;
        })*

        #[test]
        fn every_party_that_accedes_later_is_among_them() {
            let later = [$($party),*];
            let plan = Plan::read();
            let all = plan.0.parties.iter().map(|party| party.id.as_str());
            let missing: Vec<&str> = all.filter(|party| !MEMBERS.contains(party) && !later.contains(party)).collect();
            assert_eq!(missing, [""; 0]);
        }
    };
}

later_parties! {
    school_advice_gets_and_gives_what_its_rows_say: "sad", with ["sjjw"];
    youth_work_gets_and_gives_what_its_rows_say_without_a_bsn: "sjjw", with ["jit"];
    the_youth_team_gets_and_gives_what_its_rows_say: "jit", with ["ggd"];
    public_health_gets_and_gives_what_its_rows_say: "ggd", with ["veilig-thuis"];
    safe_at_home_gets_and_gives_what_its_rows_say: "veilig-thuis", with [];
    a_neighbouring_municipality_without_a_task_is_a_partner_like_others: "gemeente-voorschoten", with ["gemeente-leidschendam-voorburg"];
    a_neighbouring_municipality_with_a_task_gets_what_its_row_says_and_uses_no_law_of_the_municipality: "gemeente-leidschendam-voorburg", with [];
}
