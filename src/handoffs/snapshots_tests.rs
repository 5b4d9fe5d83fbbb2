//! What everybody knows of who can send what to whom, and which threshold counts.

use std::path::Path;

use super::*;
use crate::covenant::Bundle;

fn oin(number: u64) -> Oin {
    format!("0000009900000000{number}000").parse().unwrap()
}

fn example(able: impl Iterator<Item = u64>) -> Network {
    let covenant = Bundle::from_folder(Path::new("policies")).unwrap().covenant().unwrap();
    network(&covenant, able.map(oin).collect())
}

const MUNICIPALITY: u64 = 1;
const SMOW: u64 = 2;
const KREDIETBANK: u64 = 6;

#[test]
fn a_purpose_that_needs_a_law_of_the_municipality_leads_nowhere_between_partners() {
    let network = example(1..=6);
    let to = |from: u64, to: u64| network.routes[&(oin(from), oin(to))].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(
        to(SMOW, KREDIETBANK),
        ["case-coordination", "debt-counselling", "information-and-advice", "safety-concern"]
    );
    assert!(
        network.routes.iter().all(|((_, to), purposes)| {
            *to == oin(MUNICIPALITY) || purposes.iter().all(|purpose| purpose != "triage")
        })
    );
    assert!(to(SMOW, MUNICIPALITY).contains(&"triage"));
    assert_eq!(network.routes.len(), 30, "six organisations, each to the five others");
}

#[test]
fn a_vital_interest_leads_only_from_where_somebody_may_declare_break_glass() {
    let text = std::fs::read_to_string("policies/covenant.toml").unwrap();
    let (before, after) = (text.find("[emergency]").unwrap(), text.find("[retention-days]").unwrap());
    let nobody = Covenant::parse(&format!("{}{}", &text[..before], &text[after..])).unwrap();
    let network = network(&nobody, (1..=6).map(oin).collect());
    assert!(!network.routes[&(oin(SMOW), oin(KREDIETBANK))].contains("safety-concern"));
    assert!(network.routes[&(oin(SMOW), oin(MUNICIPALITY))].contains("safety-concern"), "by law");
}

#[test]
fn only_those_that_can_hand_over_have_routes() {
    assert_eq!(example([SMOW, KREDIETBANK].into_iter()).routes.len(), 2);
    assert_eq!(example([SMOW].into_iter()).routes.len(), 0);
    let covenant = Bundle::from_folder(Path::new("policies")).unwrap().covenant().unwrap();
    let stranger = "00000099000000099000".parse().unwrap();
    assert_eq!(network(&covenant, vec![oin(SMOW), stranger]).routes.len(), 0, "the covenant does not name it");
}

#[test]
fn the_highest_threshold_that_ruled_in_the_period_or_rules_now_counts() {
    let at = Timestamp::from_micros;
    // Ten, from 100 on twenty, from 200 on five; the last first.
    let thresholds = [(at(200), 5), (at(100), 20), (at(0), 10)];
    let highest = |from, until| ruled(&thresholds, at(from), at(until)).max();
    assert_eq!(highest(10, 50), Some(10));
    assert_eq!(highest(10, 101), Some(20), "it rose within");
    assert_eq!(highest(150, 250), Some(20), "it fell within");
    assert_eq!(highest(200, 250), Some(5));
    assert_eq!(highest(201, 250), Some(5));
    assert_eq!(
        ruled(&[(at(300), 30), (at(0), 10)], at(10), at(20)).max(),
        Some(30),
        "counted late, when more was agreed on"
    );
    assert_eq!(ruled(&[], at(0), at(1)).max(), None);
}

#[test]
fn that_there_are_figures_does_not_depend_on_what_was_handed_over() {
    let now: Timestamp = "2026-11-18T12:00:00Z".parse().unwrap();
    let since = |text: &str| closed(Some(text.parse().unwrap()), now);
    assert_eq!(closed(None, now), []);
    assert_eq!(since("2026-11-17T12:00:00Z"), [], "the week is not over");
    assert_eq!(since("2026-11-14T12:00:00Z"), ["2026-W46".parse().unwrap()]);
    let long = since("2026-08-20T12:00:00Z");
    let quarter: Period = "2026-Q3".parse().unwrap();
    assert_eq!(long.last(), Some(&quarter), "quarters come after weeks");
    assert!(quarter.weeks().iter().all(|week| long.contains(week)));
}
