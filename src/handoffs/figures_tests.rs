//! What the figures of one reader depend on, and what not.

use proptest::prelude::*;

use super::*;

fn oin(number: u64) -> Oin {
    format!("0000009900000000{number}000").parse().unwrap()
}

const READER: u64 = 1;

fn network() -> Network {
    let organisations: Vec<Oin> = (1..=6).map(oin).collect();
    Network {
        purposes_to: organisations.iter().map(|party| (party.clone(), 4)).collect(),
        organisations,
        purposes: (0..4).map(|purpose| format!("purpose-{purpose}")).collect(),
        priorities: ["routine", "urgent", "asap", "stat"].map(str::to_owned).to_vec(),
        domains: vec!["finance".into(), "housing".into()],
    }
}

fn facts(number: usize, measure: Measure, (sender, recipient): (u64, u64), purpose: u64) -> Vec<Fact> {
    let fact = Fact {
        measure,
        sender: oin(sender),
        recipient: oin(recipient),
        purpose: format!("purpose-{purpose}"),
        priority: "routine".into(),
        domains: vec!["finance".into()],
        days: Some(3),
    };
    vec![fact; number]
}

fn made(period: &str, facts: &[Fact], weeks: &[Figures]) -> Figures {
    let (network, reader) = (network(), oin(READER));
    let making = Making { reader: &reader, network: &network, threshold: 10, now: Timestamp::from_micros(0) };
    making.figures(period.parse().unwrap(), facts, weeks)
}

fn of_others(figures: &Figures) -> Vec<Count> {
    figures.counts.iter().filter(|count| !count.cell.own).cloned().collect()
}

#[test]
fn what_the_reader_itself_sends_and_gets_changes_nothing_of_others() {
    let others = [facts(27, Measure::Opened, (2, 3), 0), facts(9, Measure::Opened, (4, 3), 1)].concat();
    let alone = made("2026-Q3", &others, &[]);
    for own in [1, 9, 10, 200] {
        let mine = [facts(own, Measure::Opened, (READER, 3), 0), facts(own, Measure::Opened, (4, READER), 1)].concat();
        let both = made("2026-Q3", &[others.clone(), mine].concat(), &[]);
        assert_eq!(of_others(&both), of_others(&alone), "{own}");
        assert_eq!(both.counts.len() > alone.counts.len(), own >= 10, "its own are shown apart");
    }
}

#[test]
fn none_and_nine_are_the_same() {
    for measure in Measure::ALL {
        let nine = facts(9, measure, (2, 3), 0);
        let (with, without) = (made("2026-Q3", &nine, &[]), made("2026-Q3", &[], &[]));
        assert_eq!(serde_json::to_string(&with).unwrap(), serde_json::to_string(&without).unwrap(), "{measure}");
        assert_eq!(made("2026-W30", &nine, &[]).counts, []);
    }
}

#[test]
fn a_median_is_that_of_one_recipient_with_enough_and_a_p90_needs_a_hundred() {
    let times = |number| made("2026-Q3", &facts(number, Measure::Received, (2, 3), 0), &[]).times;
    assert_eq!(times(19), []);
    let shown = |p90| {
        let cell = Cell { recipient: Some(oin(3)), ..Cell::default() };
        vec![Time { cell, lead: Lead::Received, median: 3, p90 }]
    };
    assert_eq!(times(60), shown(None));
    assert_eq!(times(400), shown(Some(3)));
}

#[test]
fn a_need_is_never_more_than_its_purpose() {
    // Thirteen recipients' worth would be shown of the purpose; the whole is not shown larger than what another division leaves possible.
    let figures = made("2026-Q3", &facts(64, Measure::Opened, (2, 3), 0), &[]);
    for count in figures.counts.iter().filter(|count| count.cell.domain.is_some()) {
        let purpose = Cell { domain: None, ..count.cell.clone() };
        assert!(count.count <= figures.count(&purpose, Measure::Opened), "{count:?}");
    }
    assert!(figures.counts.iter().any(|count| count.cell.domain.is_some()));
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let route =
        (1..=6_u64, 1..=6_u64).prop_filter("nobody refers to itself", |(sender, recipient)| sender != recipient);
    let measure = proptest::sample::select(
        Measure::ALL.iter().copied().filter(|one| *one != Measure::Rejected).collect::<Vec<_>>(),
    );
    (measure, route, 0..4_u64).prop_map(|(measure, route, purpose)| facts(1, measure, route, purpose).remove(0))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_count_is_at_most_the_truth_a_multiple_and_of_one_side(all in proptest::collection::vec(any_fact(), 0..600)) {
        let weeks: Vec<Figures> = all.chunks(200).map(|chunk| made("2026-W30", chunk, &[])).collect();
        let figures = made("2026-Q3", &all, &weeks);
        for Count { cell, measure, count } in &figures.counts {
            let fits = |wanted: &Option<String>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
            let truth = all.iter().filter(|fact| {
                let own = fact.sender == oin(READER) || fact.recipient == oin(READER);
                own == cell.own && fact.measure == *measure
                    && cell.recipient.as_ref().is_none_or(|recipient| *recipient == fact.recipient)
                    && cell.sender.as_ref().is_none_or(|sender| *sender == fact.sender)
                    && fits(&cell.purpose, &fact.purpose) && fits(&cell.priority, &fact.priority)
            });
            prop_assert!(*count >= 10 && count % 10 == 0 && *count <= truth.count() as u64, "{cell:?} {measure} {count}");
        }
    }
}
