//! What the figures of one reader depend on, and what not.

use proptest::prelude::*;

use super::*;

fn oin(number: u64) -> Oin {
    format!("0000009900000000{number}000").parse().unwrap()
}

const READER: u64 = 1;

fn network() -> Network {
    let organisations: Vec<Oin> = (1..=6).map(oin).collect();
    let purposes: Vec<String> = (0..4).map(|purpose| format!("purpose-{purpose}")).collect();
    let pairs = organisations.iter().flat_map(|from| organisations.iter().map(move |to| (from.clone(), to.clone())));
    Network {
        routes: pairs.filter(|(from, to)| from != to).map(|pair| (pair, purposes.iter().cloned().collect())).collect(),
        organisations,
        purposes,
        priorities: ["routine", "urgent", "asap", "stat"].map(str::to_owned).to_vec(),
        domains: vec!["finance".into(), "housing".into()],
    }
}

/// The week in which everything happens, the last of its quarter.
const WEEK: &str = "2026-W39";
const QUARTER: &str = "2026-Q3";

fn facts(number: usize, measure: Measure, (sender, recipient): (u64, u64), purpose: u64) -> Vec<Fact> {
    let fact = Fact {
        measure,
        at: WEEK.parse::<Period>().unwrap().bounds().unwrap().0,
        sender: oin(sender),
        recipient: oin(recipient),
        purpose: format!("purpose-{purpose}"),
        priority: "routine".into(),
        domains: vec!["finance".into()],
        days: Some(3),
    };
    vec![fact; number]
}

/// What happened to hand-overs alone.
fn happened(facts: &[Fact]) -> Happened {
    Happened { facts: facts.to_vec(), cases: vec![] }
}

/// Cases that were stepped up in the week in which everything happens.
fn stepped_up(number: usize, reason: StepUpReason, own: bool) -> Vec<SteppedUpCase> {
    let at = WEEK.parse::<Period>().unwrap().bounds().unwrap().0;
    vec![SteppedUpCase { at, reason, own }; number]
}

fn making<T>(network: &Network, threshold: u32, make: impl Fn(Making<'_>) -> T) -> T {
    make(Making { reader: &oin(READER), network, threshold, now: Timestamp::from_micros(0) })
}

/// The figures of the week in which everything happens, and those of its quarter; nothing happened in the weeks before.
fn both(facts: &[Fact]) -> (Figures, Figures) {
    both_of(&happened(facts))
}

fn both_of(all: &Happened) -> (Figures, Figures) {
    making(&network(), 10, |making| {
        let mut weeks: Vec<Figures> = Vec::new();
        for week in QUARTER.parse::<Period>().unwrap().weeks() {
            let so_far = if week.to_string() == WEEK { all.clone() } else { Happened::default() };
            weeks.push(making.figures(week, &so_far, &weeks));
        }
        let quarter = making.figures(QUARTER.parse().unwrap(), all, &weeks);
        (weeks.pop().unwrap(), quarter)
    })
}

fn quarter(facts: &[Fact]) -> Figures {
    both(facts).1
}

fn of_others(figures: &Figures) -> Vec<Count> {
    figures.counts.iter().filter(|count| !count.cell.own).cloned().collect()
}

#[test]
fn what_the_reader_itself_sends_and_gets_changes_nothing_of_others() {
    let others = [facts(27, Measure::Opened, (2, 3), 0), facts(9, Measure::Opened, (4, 3), 1)].concat();
    let alone = quarter(&others);
    for own in [1, 9, 10, 200] {
        let mine = [facts(own, Measure::Opened, (READER, 3), 0), facts(own, Measure::Opened, (4, READER), 1)].concat();
        let both = quarter(&[others.clone(), mine].concat());
        assert_eq!(of_others(&both), of_others(&alone), "{own}");
        assert_eq!(both.counts.len() > alone.counts.len(), own > 1, "its own are shown apart");
    }
}

#[test]
fn none_and_nine_are_the_same() {
    let none = both(&[]);
    for measure in Measure::ALL {
        let nine = both(&facts(9, measure, (2, 3), 0));
        assert_eq!(serde_json::to_string(&nine.1).unwrap(), serde_json::to_string(&none.1).unwrap(), "{measure}");
        assert_eq!(serde_json::to_string(&nine.0).unwrap(), serde_json::to_string(&none.0).unwrap(), "{measure}");
    }
}

#[test]
fn nothing_is_left_out_of_a_quarter_that_its_week_would_give_away() {
    // Eight to each of five recipients, all in one week: the week says no more than four of them could be.
    for measure in Measure::ALL.into_iter().filter(|measure| !measure.is_of_cases()) {
        let tight: Vec<Fact> = (2..=6)
            .flat_map(|to| {
                (2..=6).filter(move |from| *from != to).flat_map(move |from| facts(2, measure, (from, to), 0))
            })
            .collect();
        assert_eq!(tight.len(), 40);
        let (week, quarter) = both(&tight);
        let all = Cell::default();
        assert_eq!(week.count(&all, measure), 30, "{measure}");
        let recipients = quarter.counts.iter().filter(|count| count.cell.recipient.is_some());
        assert_eq!(recipients.count(), 0, "{measure}");
        assert!(quarter.comparable && quarter.count(&all, measure) == 30, "{measure}");
    }
}

#[test]
fn what_the_lines_or_the_municipality_count_exactly_is_divided_by_no_purpose_or_priority() {
    // Twelve late to one recipient: ten for one purpose, and one each for two others, which twelve lines would give away.
    for measure in Measure::ALL.into_iter().filter(|measure| !measure.has_purposes() && !measure.is_of_cases()) {
        let twelve =
            [facts(10, measure, (2, 3), 0), facts(1, measure, (2, 3), 1), facts(1, measure, (2, 3), 2)].concat();
        let counts = quarter(&twelve).counts;
        assert!(!counts.is_empty(), "{measure}");
        assert!(counts.iter().all(|count| count.cell.purpose.is_none() && count.cell.priority.is_none()), "{measure}");
    }
    let exact = [
        Measure::Overdue,
        Measure::Stuck,
        Measure::SteppedUp,
        Measure::RejectedSteppedUp,
        Measure::RejectedResolved,
        Measure::RejectedReferredOn,
    ];
    assert!(exact.iter().all(|measure| !measure.has_purposes()));
}

#[test]
fn a_quarter_in_which_the_threshold_was_raised_has_no_figures() {
    let network = network();
    let many = facts(300, Measure::Opened, (2, 3), 0);
    let weeks: Vec<Figures> = [5, 10]
        .map(|threshold| {
            making(&network, threshold, |making| making.figures(WEEK.parse().unwrap(), &happened(&many), &[]))
        })
        .to_vec();
    let quarter = making(&network, 10, |making| making.figures(QUARTER.parse().unwrap(), &happened(&many), &weeks));
    assert!(!quarter.comparable);
    assert_eq!((quarter.counts, quarter.times), (vec![], vec![]));
}

#[test]
fn who_took_part_in_a_week_has_a_line_in_the_quarter_and_gives_room_as_it_did_then() {
    let mut later = network();
    let nines: Vec<Fact> = (2..=5).flat_map(|from| facts(9, Measure::Opened, (from, 6), from % 4)).collect();
    let week = making(&network(), 10, |making| making.figures(WEEK.parse().unwrap(), &happened(&nines), &[]));
    // The recipient is suspended between its last week and the end of the quarter.
    later.organisations.retain(|party| *party != oin(6));
    later.routes.retain(|(from, to), _| *from != oin(6) && *to != oin(6));
    let weeks = [week.clone()];
    let quarter = making(&later, 10, |making| making.figures(QUARTER.parse().unwrap(), &happened(&nines), &weeks));
    assert!(quarter.organisations.contains(&oin(6)));
    let all = Cell::default();
    assert_eq!((week.count(&all, Measure::Opened), quarter.count(&all, Measure::Opened)), (20, 20));
    assert_eq!(quarter.count(&Cell { recipient: Some(oin(6)), ..all }, Measure::Opened), 20);
}

#[test]
fn who_can_hand_over_nothing_gives_no_room() {
    // Four purposes of nine each; that a fifth is in the covenant, and leads from nobody, must not let more be shown.
    let mut narrow = network();
    narrow.purposes.push("purpose-4".into());
    let nines: Vec<Fact> = (0..4).flat_map(|purpose| facts(9, Measure::Opened, (2, 3), purpose)).collect();
    let week = |network: &Network| {
        making(network, 10, |making| making.figures(WEEK.parse().unwrap(), &happened(&nines), &[]))
            .count(&Cell::default(), Measure::Opened)
    };
    assert_eq!(week(&narrow), 20, "three of nine, rounded down");
    for purposes in narrow.routes.values_mut() {
        purposes.insert("purpose-4".into());
    }
    // All are routine, so that the priorities leave room.
    assert_eq!(week(&narrow), 30);
    // Only from and to the reader: of others there is nothing to reckon with.
    narrow.routes.retain(|(from, to), _| *from == oin(READER) || *to == oin(READER));
    assert_eq!(week(&narrow), 0);
}

#[test]
fn a_median_is_that_of_one_recipient_with_enough_and_a_p90_needs_a_hundred() {
    let times = |number| quarter(&facts(number, Measure::Received, (2, 3), 0)).times;
    assert_eq!(times(19), []);
    let shown = |p90| {
        let cell = Cell { recipient: Some(oin(3)), ..Cell::default() };
        vec![Time { cell, lead: Lead::Received, days: Percentiles { median: Some(3), p90 } }]
    };
    assert_eq!(times(60), shown(None));
    assert_eq!(times(400), shown(Some(3)));
}

#[test]
fn a_route_has_times_only_where_the_rest_of_its_recipient_has_enough_to_be_told_apart_from_nothing() {
    // Twenty-five from one sender; so many from each of the two others, who have too few for times of their own.
    let routes = |others: usize| {
        let facts = [
            facts(25, Measure::Received, (2, 3), 0),
            facts(others, Measure::Received, (4, 3), 1),
            facts(others, Measure::Received, (5, 3), 2),
        ];
        let quarter = quarter(&facts.concat());
        let of_recipient = quarter.times.iter().filter(|time| time.cell.sender.is_none()).count();
        assert_eq!(of_recipient, 1, "the recipient's own stay");
        let routes = quarter.times.iter().filter_map(|time| Some((time.cell.sender.clone()?, time.days.p90)));
        routes.collect::<Vec<_>>()
    };
    assert_eq!(routes(0), []);
    assert_eq!(routes(9), [], "eighteen in truth; none of them is shown, so they cannot be reckoned on");
    assert_eq!(routes(15), [(oin(2), None)]);
}

#[test]
fn cases_that_were_stepped_up_are_counted_by_week_and_reason_under_the_same_rule() {
    use StepUpReason::{Disagreement, NobodyTakesIt, Other, Overdue};
    let cases = |cases: &[Vec<SteppedUpCase>]| Happened { facts: vec![], cases: cases.concat() };
    let reason = |own, reason| Cell { own, reason: Some(reason), ..Cell::default() };
    let all = Cell::default();
    let count = |figures: &Figures, cell: &Cell| figures.count(cell, Measure::CasesSteppedUp);
    let none = both_of(&Happened::default());
    let nine = both_of(&cases(&[stepped_up(9, Overdue, false), stepped_up(9, Overdue, true)]));
    assert_eq!(serde_json::to_string(&nine).unwrap(), serde_json::to_string(&none).unwrap());
    // Nine for each reason are not given away by the week that is all of them.
    let nines = both_of(&cases(&StepUpReason::ALL.map(|reason| stepped_up(9, reason, false))));
    assert_eq!((count(&nines.0, &all), count(&nines.1, &all)), (30, 30), "four of nine, rounded down");
    let many = cases(&[
        stepped_up(23, Overdue, false),
        stepped_up(12, NobodyTakesIt, false),
        stepped_up(14, Disagreement, true),
        stepped_up(40, Other, true),
    ]);
    let (week, quarter) = both_of(&many);
    assert_eq!((count(&week, &all), count(&quarter, &all)), (30, 30));
    assert_eq!((count(&quarter, &reason(false, Overdue)), count(&quarter, &reason(false, NobodyTakesIt))), (20, 10));
    assert_eq!((count(&quarter, &reason(true, Disagreement)), count(&quarter, &reason(true, Other))), (10, 40));
    assert_eq!(count(&quarter, &reason(false, Other)), 0, "its own are counted apart");
    assert!(week.counts.iter().all(|count| count.cell.reason.is_none()), "a week has its total alone");
    assert!(quarter.counts.iter().all(|count| count.measure == Measure::CasesSteppedUp));
}

#[test]
fn a_need_is_never_more_than_its_purpose() {
    let figures = quarter(&facts(64, Measure::Opened, (2, 3), 0));
    for count in figures.counts.iter().filter(|count| count.cell.domain.is_some()) {
        let purpose = Cell { domain: None, ..count.cell.clone() };
        assert!(count.count <= figures.count(&purpose, Measure::Opened), "{count:?}");
    }
    assert!(figures.counts.iter().any(|count| count.cell.domain.is_some()));
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let route =
        (1..=6_u64, 1..=6_u64).prop_filter("nobody refers to itself", |(sender, recipient)| sender != recipient);
    let measure = proptest::sample::select(Measure::ALL.to_vec());
    (measure, route, 0..4_u64).prop_map(|(measure, route, purpose)| facts(1, measure, route, purpose).remove(0))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_count_is_at_most_the_truth_a_multiple_and_of_one_side(all in proptest::collection::vec(any_fact(), 0..600)) {
        let (week, figures) = both(&all);
        prop_assert!(figures.comparable);
        for Count { cell, measure, count } in week.counts.iter().chain(&figures.counts) {
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
