//! The attacker: it has every number that is shown, knows the algorithm, and tries all worlds that could have led to them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const T: Threshold = Threshold(2);
/// Counts of a cell in the small worlds.
const MOST: u64 = 4;

fn division(counts: &[u64]) -> Division<usize> {
    let cells = counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
    Division { cells, possible: counts.len() as u64 }
}

/// All ways to divide among `cells`, by their sum.
fn ways(cells: usize, most: u64) -> BTreeMap<u64, Vec<Vec<u64>>> {
    let mut all = vec![vec![]];
    for _ in 0..cells {
        all = all.iter().flat_map(|way| (0..=most).map(move |count| [way.as_slice(), &[count]].concat())).collect();
    }
    let mut by_sum: BTreeMap<u64, Vec<Vec<u64>>> = BTreeMap::new();
    for way in all {
        by_sum.entry(way.iter().sum()).or_default().push(way);
    }
    by_sum
}

/// What is seen of every world: for each publication the values that each cell has in some world that leads to it.
type Seen<P> = BTreeMap<P, Vec<BTreeSet<u64>>>;

fn note<P: Ord>(seen: &mut Seen<P>, publication: P, cells: &[u64]) {
    let values = seen.entry(publication).or_insert_with(|| vec![BTreeSet::new(); cells.len()]);
    for (values, cell) in values.iter_mut().zip(cells) {
        values.insert(*cell);
    }
}

/// Whether each cell may still be anything from its shown number on, as many numbers as the threshold says. A shown number at the edge of the small
/// worlds has its other candidates outside.
fn held<P: std::fmt::Debug>(seen: &Seen<P>, shown: impl Fn(&P) -> Vec<u64>) -> usize {
    let mut judged = 0;
    for (publication, values) in seen {
        let shown = shown(publication);
        assert_eq!(shown.len(), values.len());
        if shown.iter().any(|shown| shown + T.hidden() > MOST) {
            continue;
        }
        for (shown, values) in shown.iter().zip(values) {
            let wanted: BTreeSet<u64> = (*shown..=shown + T.hidden()).collect();
            assert!(values.is_superset(&wanted), "{publication:?}: {shown} is only ever {values:?}");
            judged += 1;
        }
    }
    judged
}

fn cells(shown: &BTreeMap<usize, u64>, number: usize) -> Vec<u64> {
    (0..number).map(|key| shown.get(&key).copied().unwrap_or(0)).collect()
}

#[test]
fn of_a_whole_with_three_divisions_no_cell_can_be_pinned() {
    let mut seen: Seen<(u64, Vec<u64>)> = BTreeMap::new();
    let (twos, threes) = (ways(2, MOST), ways(3, MOST));
    for (whole, senders) in &twos {
        for (senders, purposes) in
            senders.iter().flat_map(|one| threes.get(whole).into_iter().flatten().map(move |two| (one, two)))
        {
            for priorities in &twos[whole] {
                let star = Star::of(*whole, &[division(senders), division(purposes), division(priorities)], T);
                let shown =
                    [cells(&star.divisions[0], 2), cells(&star.divisions[1], 3), cells(&star.divisions[2], 2)].concat();
                note(&mut seen, (star.whole, shown), &[senders.as_slice(), purposes, priorities, &[*whole]].concat());
            }
        }
    }
    let judged = held(&seen, |(whole, shown)| [shown.as_slice(), &[*whole]].concat());
    assert!(judged > 100, "{judged}");
}

#[test]
fn of_two_recipients_with_divisions_beside_two_or_three_weeks_no_cell_can_be_pinned() {
    for weeks in [2, 3] {
        let judged = beside(weeks);
        assert!(judged > 100, "{judged} beside {weeks} weeks");
    }
}

/// Tries all worlds of two recipients, with two divisions each, and so many weeks.
fn beside(number: usize) -> usize {
    let (two, ways_of_weeks) = (ways(2, MOST), ways(number, MOST));
    let worlds: Vec<[&Vec<u64>; 2]> = two
        .values()
        .flat_map(|same| same.iter().flat_map(move |one| same.iter().map(move |other| [one, other])))
        .collect();
    let mut seen: Seen<(Vec<u64>, Option<Vec<u64>>)> = BTreeMap::new();
    for first in &worlds {
        for second in &worlds {
            let total: u64 = first[0].iter().chain(second[0]).sum();
            for weeks in ways_of_weeks.get(&total).into_iter().flatten() {
                let stars = [first, second]
                    .map(|[one, other]| Star::of(one.iter().sum(), &[division(one), division(other)], T));
                let of_weeks: Vec<u64> = weeks.iter().map(|week| T.floor(*week)).collect();
                let shown: Vec<Shown> = of_weeks.iter().map(|week| (*week, T)).collect();
                let quarter = beside_weeks(stars.into_iter().enumerate().collect(), &shown, 2, T).map(|stars| {
                    let all = |star: &Star<usize>| {
                        [cells(&star.divisions[0], 2), cells(&star.divisions[1], 2), vec![star.whole]]
                    };
                    stars.values().flat_map(all).flatten().collect()
                });
                let mut world = weeks.clone();
                for [one, other] in [first, second] {
                    world.extend(one.iter().chain(other.iter()).copied().chain([one.iter().sum()]));
                }
                note(&mut seen, (of_weeks, quarter), &world);
            }
        }
    }
    // Where the quarter is withheld only the weeks are shown.
    let withheld = seen.iter().filter(|((_, quarter), _)| quarter.is_none());
    let withheld: Seen<_> = withheld.map(|(key, values)| (key.clone(), values[..number].to_vec())).collect();
    let judged = held(&withheld, |(weeks, _)| weeks.clone());
    seen.retain(|(_, quarter), _| quarter.is_some());
    judged + held(&seen, |(weeks, quarter)| [weeks.as_slice(), quarter.as_deref().unwrap()].concat())
}

#[test]
fn rounding_alone_would_give_all_parts_away() {
    let threshold = Threshold::new(10);
    let nines = division(&[9; 10]);
    // Ten hidden parts and a whole of ninety: each would be nine.
    assert_eq!(threshold.floor(90), 90);
    assert_eq!(Star::of(90, std::slice::from_ref(&nines), threshold).whole, 80);
    // A division of one part gives it away with the whole, which is therefore as small.
    assert_eq!(
        Star::of(19, &[division(&[19]), nines], threshold),
        Star { whole: 10, divisions: vec![[(0, 10)].into(), [].into()] }
    );
}

#[test]
fn what_would_squeeze_the_weeks_is_withheld_as_a_whole() {
    let threshold = Threshold::new(10);
    let stars = || {
        let stars = [9_u64, 9].map(|count| Star::of(count, &[division(&[count])], threshold));
        stars.into_iter().enumerate().collect::<BTreeMap<_, _>>()
    };
    // Eighteen in one week, of which ten were shown: both recipients would have at least one.
    assert_eq!(beside_weeks(stars(), &[(10, threshold)], 2, threshold), None);
    assert_eq!(beside_weeks(stars(), &[(10, threshold)], 3, threshold), Some(stars()));
    assert_eq!(beside_weeks(stars(), &[(0, threshold), (0, threshold)], 2, threshold), Some(stars()));
}

#[test]
fn a_percentile_needs_the_threshold_on_both_sides() {
    let threshold = Threshold::new(10);
    let days = |number: u32| (1..=number).collect::<Vec<_>>();
    assert_eq!(percentile(&mut days(19), 50, 10, threshold), None);
    assert_eq!(percentile(&mut days(20), 50, 20, threshold), Some(10));
    assert_eq!(percentile(&mut days(99), 90, 90, threshold), None);
    assert_eq!(percentile(&mut days(100), 90, 100, threshold), Some(90));
    assert_eq!(percentile(&mut days(29), 50, 0, threshold), None, "only what is shown counts");
}

/// A whole with divisions: one list of references per hand-over, so that all divisions add up.
fn whole() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop_oneof![
        proptest::collection::vec((0..6_usize, 0..4_usize, 0..4_usize), 0..400),
        // Nearly everything just below the threshold.
        proptest::collection::vec((0..6_usize, 0..4_usize, 0..4_usize), 0..60),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_overstated_and_every_part_keeps_its_room(rows in whole(), number in 2_u32..20) {
        let threshold = Threshold::new(number);
        let counts = |key: fn(&(usize, usize, usize)) -> usize, possible: usize| {
            let mut counts = vec![0; possible];
            for row in &rows {
                counts[key(row)] += 1;
            }
            division(&counts)
        };
        let divisions = [counts(|row| row.0, 6), counts(|row| row.1, 4), counts(|row| row.2, 4)];
        let star = Star::of(rows.len() as u64, &divisions, threshold);
        prop_assert!(star.whole <= rows.len() as u64 && star.whole % threshold.number() == 0);
        for (division, shown) in divisions.iter().zip(&star.divisions) {
            prop_assert!(sum(shown) <= star.whole, "parts never show more than the whole");
            prop_assert!(star.whole <= sum(shown) + (division.possible - 1) * threshold.hidden(), "any part may be empty beyond what it shows");
            for (key, count) in shown {
                prop_assert!(*count <= division.cells[key] && *count > 0 && count % threshold.number() == 0);
            }
        }
    }
}
