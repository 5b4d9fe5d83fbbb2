//! Tests of what a draft changes, on requests as the example cases write them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::types::{Change, Impact, LeftOut, Origin};
use crate::clock::Timestamp;
use crate::covenant::Bundle;
use crate::policy::cases::Case;
use crate::policy::{Engine, OnWithheld, Request};

const MUNICIPALITY: &str = "00000099000000001000";
const KREDIETBANK: &str = "00000099000000006000";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&Bundle::from_folder(&folder()).unwrap()).unwrap())
}

/// The example with one file changed.
fn draft(file: &str, change: impl Fn(&str) -> String) -> Engine {
    let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
    let text = String::from_utf8(files[file].clone()).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text, "nothing was changed in {file}");
    files.insert(file.to_owned(), changed.into_bytes());
    Engine::of_draft(&Bundle::from_files(files).unwrap()).unwrap_or_else(|findings| panic!("{findings}"))
}

/// The example with another list of categories in the row about debts.
fn debts_about(categories: &str) -> Engine {
    draft("covenant.toml", |text| {
        let row = text.find("[[rows]]\nid = \"debt-counselling\"").unwrap();
        let (before, row) = text.split_at(row);
        format!("{before}{}", row.replacen("[\"core\", \"bsn\", \"housing\", \"finance\"]", categories, 1))
    })
}

/// The municipality refers to the credit bank.
fn debts(categories: &[&str]) -> Request {
    let expect: Vec<_> = categories.iter().map(|category| format!("{category} = \"\"")).collect();
    let expect = expect.join("\n");
    let case = format!(
        "name = \"x\"\nfrom = \"gemeente-wassenaar\"\nto = \"kredietbank\"\npurpose = \"debt-counselling\"\nbasis = \"wgs\"\n\
         age-group = \"18-plus\"\n[expect]\n{expect}"
    );
    toml::from_str::<Case>(&case).unwrap().request(engine().covenant()).unwrap()
}

fn impact_of(draft: &Engine, requests: &[(&str, &str, Request)], on_withheld: OnWithheld) -> Impact {
    let mut impact = Impact::none(draft, Timestamp::from_micros(0), 2);
    for (record, kind, request) in requests {
        let before = engine().decide(request);
        impact.weigh(draft, request, on_withheld, &before, Origin { record, kind });
    }
    impact
}

fn json(impact: &Impact) -> Value {
    serde_json::to_value(impact).unwrap()
}

#[test]
fn a_draft_that_says_the_same_changes_nothing_whenever_it_takes_effect() {
    let later = draft("covenant.toml", |text| {
        let line = |line: &str| match line.split(" = ").next() {
            Some("version") => "version = \"2099.1\"\n".to_owned(),
            Some("effective-from") => "effective-from = \"2099-01-01T00:00:00Z\"\n".to_owned(),
            _ => format!("{line}\n"),
        };
        text.lines().map(line).collect()
    });
    let impact = impact_of(&later, &[("r1", "decision", debts(&["finance", "mental-health"]))], OnWithheld::Minimise);
    assert_eq!((impact.decisions, impact.sections, impact.unchanged), (1, 2, 2));
    assert!(impact.changes.is_empty() && impact.outcomes.is_empty(), "{impact}");
    assert_eq!(json(&impact)["draft"]["version"], "2099.1");
}

#[test]
fn what_a_draft_changes_is_counted_by_route_purpose_category_and_reason() {
    let draft = debts_about("[\"core\", \"bsn\", \"housing\", \"social\"]");
    let requests = [
        ("r3", "disclosure", debts(&["finance", "housing"])),
        ("r2", "decision", debts(&["finance", "housing", "social"])),
        ("r1", "decision", debts(&["finance", "housing"])),
    ];
    let impact = impact_of(&draft, &requests, OnWithheld::Minimise);
    assert_eq!((impact.decisions, impact.sections, impact.unchanged), (3, 7, 3));
    let shown = json(&impact);
    assert_eq!(
        shown["changes"],
        json!([
            {
                "change": "now-refused", "sender": MUNICIPALITY, "recipient": KREDIETBANK, "purpose": "debt-counselling",
                "category": "finance", "before": { "effect": "permit", "code": null, "rules": ["debt-counselling-finance"] },
                "after": { "effect": "withhold", "code": "category-not-allowed", "rules": ["nothing-without-a-row"] },
                "unknown": [], "count": 3, "kinds": { "decision": 2, "disclosure": 1 }, "examples": ["r3", "r2"],
            },
            {
                "change": "newly-allowed", "sender": MUNICIPALITY, "recipient": KREDIETBANK, "purpose": "debt-counselling",
                "category": "social",
                "before": { "effect": "withhold", "code": "category-not-allowed", "rules": ["nothing-without-a-row"] },
                "after": { "effect": "permit", "code": null, "rules": ["debt-counselling-social"] },
                "unknown": [], "count": 1, "kinds": { "decision": 1 }, "examples": ["r2"],
            },
        ])
    );
    // Of r2 a part went and a part would go: as a whole that is the same.
    assert_eq!(
        shown["outcomes"],
        json!([{
            "sender": MUNICIPALITY, "recipient": KREDIETBANK, "purpose": "debt-counselling", "before": "permitted",
            "after": "minimised", "count": 2, "kinds": { "decision": 1, "disclosure": 1 }, "examples": ["r3", "r1"],
        }])
    );
    let told = impact.to_string();
    for said in [
        "would be refused now: 3 sections",
        "would be allowed now: 1 sections",
        "gemeente-wassenaar -> kredietbank",
        "permit (debt-counselling-finance) -> withhold category-not-allowed (nothing-without-a-row)",
        "[2 decision, 1 disclosure]  such as r3 r2",
        "permitted -> minimised",
        "3 sections would be refused that were permitted, 1 permitted that were refused",
    ] {
        assert!(told.contains(said), "{said} not in\n{told}");
    }
}

#[test]
fn a_hand_over_that_would_not_go_as_a_whole_says_so() {
    let draft = debts_about("[\"core\", \"bsn\", \"finance\"]");
    let impact = impact_of(&draft, &[("r1", "decision", debts(&["finance", "housing"]))], OnWithheld::Reject);
    assert_eq!((impact.count(Change::NowRefused), impact.unchanged), (1, 1));
    let outcome = &json(&impact)["outcomes"][0];
    assert_eq!((&outcome["before"], &outcome["after"]), (&json!("permitted"), &json!("refused")));
}

#[test]
fn the_same_answer_for_another_reason_is_told_apart() {
    let draft = draft("never.cedar", |rules| {
        let start = rules.find("@id(\"credit-bank-no-health\")").unwrap();
        let end = rules.find("@id(\"credit-bank-gives-core-and-finance\")").unwrap();
        format!("{}{}", &rules[..start], &rules[end..])
    });
    let impact = impact_of(&draft, &[("r1", "decision", debts(&["mental-health"]))], OnWithheld::Minimise);
    let shown = json(&impact);
    assert_eq!(shown["changes"].as_array().unwrap().len(), 1);
    assert_eq!(shown["changes"][0]["change"], "other-rules");
    assert_eq!(shown["changes"][0]["before"]["code"], "category-never-for-recipient");
    assert_eq!(shown["changes"][0]["after"]["code"], "category-not-allowed");
    assert_eq!(shown["outcomes"], json!([]));
}

#[test]
fn what_the_draft_does_not_name_is_a_refusal_that_says_so_and_no_error() {
    let renamed = |from: &'static str, to: &'static str| {
        let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
        for text in files.values_mut() {
            // A purpose also has terms under its name.
            let [bare, other] = [from, to].map(|code| format!("purposes.{}]", code.trim_matches('"')));
            let renamed = String::from_utf8(text.clone()).unwrap().replace(from, to).replace(&bare, &other);
            *text = renamed.into_bytes();
        }
        Engine::of_draft(&Bundle::from_files(files).unwrap()).unwrap_or_else(|findings| panic!("{findings}"))
    };
    for (draft, kind, code, reason) in [
        (renamed("\"finance\"", "\"money\""), "category", "finance", "not-evaluable"),
        (renamed("\"debt-counselling\"", "\"debts\""), "purpose", "debt-counselling", "not-evaluable"),
        (renamed("\"wgs\"", "\"debts-act\""), "basis", "wgs", "not-evaluable"),
        (renamed(KREDIETBANK, "00000099000000066000"), "party", KREDIETBANK, "party-not-in-covenant"),
    ] {
        let impact = impact_of(&draft, &[("r1", "decision", debts(&["finance"]))], OnWithheld::Minimise);
        let change = &json(&impact)["changes"][0];
        assert_eq!(change["change"], "now-refused", "{kind}");
        assert_eq!(
            (&change["unknown"], &change["after"]["code"]),
            (&json!([{ "kind": kind, "code": code }]), &json!(reason))
        );
    }
}

#[test]
fn what_is_left_out_is_counted_by_its_reason() {
    let mut impact = Impact::none(engine(), Timestamp::from_micros(0), 1);
    for (record, reason) in [("r1", LeftOut::FactsErased), ("r2", LeftOut::FactsErased), ("r3", LeftOut::Altered)] {
        impact.leave_out(reason, Origin { record, kind: "decision" });
    }
    assert_eq!(
        json(&impact)["leftOut"],
        json!([
            { "reason": "facts-erased", "count": 2, "kinds": { "decision": 2 }, "examples": ["r1"] },
            { "reason": "altered", "count": 1, "kinds": { "decision": 1 }, "examples": ["r3"] },
        ])
    );
    let told = impact.to_string();
    assert!(told.contains("facts-erased: its facts were erased"), "{told}");
}
