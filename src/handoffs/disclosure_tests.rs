//! The attacker: it has every number that is shown of a figure, knows the algorithm, and tries all worlds that could have led to them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// How the small worlds are built: the threshold, how many senders each recipient has, how many purposes and weeks there are, and how many
/// hand-overs there are at most.
///
/// With no purposes at all there are no divisions but recipients: so the reasons of step-ups are shown beside weeks, one sender to each.
struct Small {
    threshold: u64,
    senders: &'static [usize],
    purposes: usize,
    weeks: usize,
    most: u64,
}

/// One week of a small world: what each sender sent to each recipient, and what was sent for each purpose.
#[derive(Clone)]
struct Week {
    routes: Vec<u64>,
    purposes: Vec<u64>,
}

/// All ways to put so many hand-overs into so many cells.
fn ways(cells: usize, number: u64) -> Vec<Vec<u64>> {
    if cells == 1 {
        return vec![vec![number]];
    }
    let with = |first: u64| ways(cells - 1, number - first).into_iter().map(move |rest| [vec![first], rest].concat());
    (0..=number).flat_map(with).collect()
}

fn division(counts: &[u64]) -> Division<usize> {
    let cells = counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
    Division { cells, possible: counts.len() as u64 }
}

impl Small {
    fn threshold(&self) -> Threshold {
        Threshold(self.threshold)
    }

    fn week_of(&self, number: u64) -> Vec<Week> {
        let purposes = if self.purposes == 0 { vec![vec![]] } else { ways(self.purposes, number) };
        let all = ways(self.senders.iter().sum(), number);
        all.iter()
            .flat_map(|routes| purposes.iter().map(|of| Week { routes: routes.clone(), purposes: of.clone() }))
            .collect()
    }

    /// The routes of each recipient.
    fn by_recipient<'a>(&self, routes: &'a [u64]) -> Vec<&'a [u64]> {
        let mut from = 0;
        let of = |senders: &usize| {
            from += senders;
            &routes[from - senders..from]
        };
        self.senders.iter().map(of).collect()
    }

    fn counts(&self, week: &Week) -> Counts<usize, usize> {
        let recipients = self.by_recipient(&week.routes).into_iter().map(division).enumerate().collect();
        let divisions = if self.purposes == 0 { vec![] } else { vec![division(&week.purposes)] };
        Counts { recipients, possible_recipients: self.senders.len() as u64, divisions }
    }

    /// All numbers that are shown, week after week and of the quarter at its end, in the order of [`Small::cells`].
    fn published(&self, world: &[Week]) -> Vec<u64> {
        let mut so_far = Week { routes: vec![0; world[0].routes.len()], purposes: vec![0; self.purposes] };
        let mut shown: Vec<u64> = Vec::new();
        for week in world {
            let add = |all: &mut Vec<u64>, more: &[u64]| all.iter_mut().zip(more).for_each(|(all, more)| *all += more);
            add(&mut so_far.routes, &week.routes);
            add(&mut so_far.purposes, &week.purposes);
            let before = shown.iter().sum();
            shown.push(self.counts(&so_far).of_week(week.routes.iter().sum(), before, self.threshold()));
        }
        let weeks = Weeks { shown: shown.iter().sum(), possible: world.len() as u64 };
        let quarter = self.counts(&so_far).beside(weeks, self.threshold());
        assert_eq!(
            quarter.recipients.len(),
            self.senders.len(),
            "what was shown of weeks always leaves room for their quarter"
        );
        for (recipient, senders) in self.senders.iter().enumerate() {
            let star = &quarter.recipients[&recipient];
            shown.push(star.whole);
            shown.extend(listed(&star.parts, *senders));
        }
        shown.extend(quarter.divisions.iter().flat_map(|cells| listed(cells, self.purposes)));
        shown
    }

    /// What the numbers are of which something is shown.
    fn cells(&self, world: &[Week]) -> Vec<u64> {
        let total = |of: fn(&Week) -> &Vec<u64>| {
            let mut all = vec![0; of(&world[0]).len()];
            for week in world {
                all.iter_mut().zip(of(week)).for_each(|(all, more)| *all += more);
            }
            all
        };
        let mut cells: Vec<u64> = world.iter().map(|week| week.routes.iter().sum()).collect();
        for routes in self.by_recipient(&total(|week| &week.routes)) {
            cells.push(routes.iter().sum());
            cells.extend(routes);
        }
        cells.extend(total(|week| &week.purposes));
        cells
    }

    /// Tries all worlds, puts those together of which the same is shown, and looks whether in each such group every cell of every table
    /// has every value of its band. Groups whose bands reach beyond the small worlds have other worlds outside. How many groups it judged.
    fn attack(&self) -> usize {
        let by_number: Vec<Vec<Week>> = (0..=self.most).map(|number| self.week_of(number)).collect();
        let mut seen: BTreeMap<Vec<u64>, Vec<BTreeSet<u64>>> = BTreeMap::new();
        let mut world = Vec::new();
        self.each(&by_number, self.most, &mut world, &mut |world| {
            let cells = self.cells(world);
            let values = seen.entry(self.published(world)).or_insert_with(|| vec![BTreeSet::new(); cells.len()]);
            for (values, cell) in values.iter_mut().zip(cells) {
                values.insert(cell);
            }
        });
        let hidden = self.threshold().hidden();
        let mut judged = 0;
        for (shown, values) in &seen {
            assert_eq!(shown.len(), values.len(), "everything that is shown is judged");
            if self.least(shown) + hidden > self.most {
                continue;
            }
            for (shown_of, values) in shown.iter().zip(values) {
                let wanted: BTreeSet<u64> = (*shown_of..=shown_of + hidden).collect();
                assert!(values.is_superset(&wanted), "{shown:?}: {shown_of} is only ever {values:?}");
            }
            judged += 1;
        }
        judged
    }

    /// How many hand-overs there are at least when this is shown.
    fn least(&self, shown: &[u64]) -> u64 {
        let (weeks, rest) = shown.split_at(self.weeks);
        let (stars, purposes) = rest.split_at(self.senders.iter().map(|senders| senders + 1).sum());
        let mut from = 0;
        let whole = |senders: &usize| {
            from += senders + 1;
            stars[from - senders - 1]
        };
        let wholes: u64 = self.senders.iter().map(whole).sum();
        wholes.max(weeks.iter().sum()).max(purposes.iter().sum())
    }

    fn each(&self, by_number: &[Vec<Week>], left: u64, world: &mut Vec<Week>, see: &mut impl FnMut(&[Week])) {
        if world.len() == self.weeks {
            return see(world);
        }
        for (number, weeks) in (0..=left).zip(by_number) {
            for week in weeks {
                world.push(week.clone());
                self.each(by_number, left - number, world, see);
                world.pop();
            }
        }
    }
}

fn listed(shown: &BTreeMap<usize, u64>, number: usize) -> Vec<u64> {
    (0..number).map(|key| shown.get(&key).copied().unwrap_or(0)).collect()
}

#[test]
fn of_recipients_senders_purposes_and_weeks_no_cell_can_be_pinned() {
    for (small, least) in [
        // Of one week: how things stand at the end of a quarter, and the first quarter of a gateway.
        (Small { threshold: 2, senders: &[2, 2], purposes: 3, weeks: 1, most: 8 }, 30),
        (Small { threshold: 3, senders: &[2, 1], purposes: 2, weeks: 1, most: 12 }, 20),
        (Small { threshold: 2, senders: &[1, 1, 1, 1], purposes: 2, weeks: 1, most: 9 }, 30),
        (Small { threshold: 3, senders: &[2, 2], purposes: 2, weeks: 1, most: 10 }, 10),
        (Small { threshold: 2, senders: &[2, 2], purposes: 2, weeks: 2, most: 6 }, 30),
        (Small { threshold: 2, senders: &[1, 1], purposes: 3, weeks: 2, most: 7 }, 30),
        (Small { threshold: 3, senders: &[1, 1], purposes: 2, weeks: 2, most: 10 }, 20),
        (Small { threshold: 2, senders: &[2, 1], purposes: 2, weeks: 3, most: 5 }, 20),
        (Small { threshold: 2, senders: &[1], purposes: 1, weeks: 2, most: 9 }, 5),
        // Step-ups of cases: reasons and weeks.
        (Small { threshold: 2, senders: &[1, 1, 1], purposes: 0, weeks: 2, most: 8 }, 10),
        (Small { threshold: 3, senders: &[1, 1], purposes: 0, weeks: 3, most: 10 }, 10),
        (Small { threshold: 2, senders: &[1, 1, 1, 1, 1], purposes: 0, weeks: 1, most: 9 }, 10),
    ] {
        let judged = small.attack();
        assert!(judged >= least, "{judged} of threshold {} in {} weeks", small.threshold, small.weeks);
    }
}

#[test]
fn rounding_alone_would_give_all_parts_away() {
    let threshold = Threshold::new(10);
    // Ten hidden senders and a whole of ninety: each would be nine.
    assert_eq!(threshold.floor(90), 90);
    assert_eq!(Star::of(&division(&[9; 10]), threshold).whole, 80);
    // The same with four priorities beside one recipient.
    let counts = |priorities: &[u64]| Counts {
        recipients: [(0, division(&[priorities.iter().sum()]))].into(),
        possible_recipients: 5,
        divisions: vec![division(priorities)],
    };
    let shown = |priorities: &[u64]| counts(priorities).beside(Weeks { shown: 30, possible: 13 }, threshold);
    assert_eq!(shown(&[9, 9, 9, 9]), Shown::default(), "weeks of which more than their quarter can be was shown");
    assert_eq!(counts(&[9, 9, 9, 9]).of_week(36, 0, threshold), 20);
    assert_eq!(counts(&[9, 9, 9, 10]).of_week(37, 0, threshold), 30);
    assert_eq!(counts(&[9, 9, 9, 10]).of_week(17, 20, threshold), 10);
    assert_eq!(counts(&[9, 9, 9, 10]).of_week(27, 30, threshold), 0, "nothing is left");
    assert_eq!(shown(&[9, 9, 9, 10]).recipients[&0].whole, 30);
}

#[test]
fn recipients_of_four_to_nine_are_not_given_away_by_what_is_left_out() {
    // Five recipients of eight each, all stuck, all hidden: were the week shown as forty, each would have at least four.
    let threshold = Threshold::new(10);
    let eight = || Division { possible: 4, ..division(&[2; 4]) };
    let counts: Counts<usize, usize> =
        Counts { recipients: (0..5).map(|key| (key, eight())).collect(), possible_recipients: 5, divisions: vec![] };
    let week = counts.of_week(40, 0, threshold);
    assert_eq!(week, 30);
    let quarter = counts.beside(Weeks { shown: week, possible: 1 }, threshold);
    assert_eq!(quarter.recipients.len(), 5);
    assert!(quarter.recipients.values().all(|star| star.whole == 0));
    // Each could be none: four recipients of nine are as many as the week says.
    assert!(week <= 4 * 9);
}

#[test]
fn cells_that_everybody_knows_to_be_empty_give_no_room() {
    // Three purposes of nine each; a fourth that nobody can use would let twenty through, and then each has at least two.
    let counts = |possible| Counts {
        recipients: [(0, division(&[27]))].into(),
        possible_recipients: 5,
        divisions: vec![Division { possible, ..division(&[9, 9, 9]) }],
    };
    let threshold = Threshold::new(10);
    assert_eq!(counts(4).of_week(27, 0, threshold), 20);
    assert_eq!(counts(3).of_week(27, 0, threshold), 10);
    assert_eq!(counts(1).of_week(27, 0, threshold), 0);
}

/// What `docs/monitor.md` says that is not promised.
#[test]
fn two_figures_beside_each_other_are_not_covered() {
    let shown = |priorities: &[u64]| {
        let number = priorities.iter().sum();
        let route = Division { possible: 4, ..division(&[number]) };
        let divisions = vec![division(priorities)];
        let counts = Counts { recipients: [(0, route)].into(), possible_recipients: 1, divisions };
        counts.of_week(number, 0, Threshold::new(10))
    };
    // Handed over, accepted and rejected: at least twenty, and thirty.
    assert_eq!((shown(&[9, 9, 8, 8]), shown(&[5, 5, 5, 5]), shown(&[4, 4, 3, 3])), (20, 20, 10));
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

/// Who wants to know how long something took: it knows how many there were of each part, and tries all days that they can have taken.
struct Days {
    threshold: u64,
    /// How many there are of each part that has enough for times of its own.
    parts: &'static [u64],
    /// How many there are of others together, of which none has.
    rest: u64,
    /// How many different numbers of days there are.
    values: usize,
}

/// So many of a part took so long.
type Took = (usize, usize);
/// What is shown of the days of the whole and of its parts.
type ShownDays = (Percentiles, Vec<(usize, Percentiles)>);

impl Days {
    fn threshold(&self) -> Threshold {
        Threshold(self.threshold)
    }

    /// What there is in a world: how many took how long, of each part and of the rest. The rest is many parts; which of its hand-overs are of
    /// which changes nothing of what is shown.
    fn parted(&self, world: &[&Vec<u64>]) -> Parted<usize> {
        let mut parts = BTreeMap::new();
        for (place, counts) in world.iter().enumerate() {
            let often = |count: u64| usize::try_from(count).unwrap();
            let days = (0_u32..).zip(*counts).flat_map(|(day, count)| std::iter::repeat_n(day, often(*count)));
            let days: Vec<u32> = days.collect();
            let size = if place < self.parts.len() { days.len() } else { often(self.threshold) };
            for part in days.chunks(size) {
                parts.insert(parts.len(), (part.to_vec(), self.threshold().floor(part.len() as u64)));
            }
        }
        Parted { parts, shown: self.threshold().floor(self.parts.iter().sum::<u64>() + self.rest) }
    }

    /// All ways in which any threshold-less-one of them took any days, that this world has.
    fn any(&self, world: &[&Vec<u64>]) -> BTreeSet<Vec<Took>> {
        let mut found: BTreeSet<Vec<Took>> = BTreeSet::from([vec![]]);
        for _ in 1..self.threshold {
            let mut more = BTreeSet::new();
            for some in &found {
                for (part, counts) in world.iter().enumerate() {
                    for (value, count) in counts.iter().enumerate() {
                        let taken = some.iter().filter(|took| **took == (part, value)).count() as u64;
                        if *count > taken && some.last().is_none_or(|last| *last <= (part, value)) {
                            more.insert([some.as_slice(), &[(part, value)]].concat());
                        }
                    }
                }
            }
            found = more;
        }
        found
    }

    /// Puts the worlds together of which the same is shown, and looks whether in each such group any threshold-less-one of them can have taken
    /// any days. Of how many parts something is shown beside the whole.
    fn attack(&self) -> usize {
        let numbers = self.parts.iter().chain([&self.rest]);
        let of_parts: Vec<Vec<Vec<u64>>> = numbers.map(|number| ways(self.values, *number)).collect();
        let mut everything = BTreeSet::new();
        let mut seen: BTreeMap<ShownDays, BTreeSet<Vec<Took>>> = BTreeMap::new();
        let mut places = vec![0; of_parts.len()];
        'worlds: loop {
            let world: Vec<&Vec<u64>> = of_parts.iter().zip(&places).map(|(ways, place)| &ways[*place]).collect();
            let parted = self.parted(&world);
            let shown = (parted.whole(self.threshold()), parted.parts(self.threshold()).into_iter().collect());
            let any = self.any(&world);
            everything.extend(any.iter().cloned());
            seen.entry(shown).or_default().extend(any);
            for (place, ways) in places.iter_mut().zip(&of_parts) {
                *place += 1;
                if *place < ways.len() {
                    continue 'worlds;
                }
                *place = 0;
            }
            break;
        }
        for (shown, any) in &seen {
            let missing: Vec<_> = everything.difference(any).take(3).collect();
            assert!(missing.is_empty(), "{:?} and {}: {shown:?} can never be {missing:?}", self.parts, self.rest);
        }
        seen.keys().map(|(_, parts)| parts.len()).max().unwrap()
    }
}

#[test]
fn of_times_of_a_recipient_and_its_routes_nothing_can_be_said_of_fewer_than_the_threshold() {
    let days = |threshold, parts, rest, values| Days { threshold, parts, rest, values };
    for (days, shown) in [
        // One route beside the rest: as many as have the threshold on both sides, and not one less.
        (days(2, &[4], 4, 4), 1),
        (days(2, &[5], 3, 4), 0),
        (days(2, &[5], 5, 4), 1),
        (days(3, &[6], 6, 3), 1),
        (days(3, &[7], 5, 3), 0),
        // Two and three of them: one more on each side for each.
        (days(2, &[4, 4], 4, 3), 1),
        (days(2, &[4, 4], 6, 3), 2),
        (days(2, &[5, 4], 7, 3), 2),
        (days(2, &[4, 4, 5], 8, 2), 3),
        (days(3, &[6, 6], 8, 2), 1),
        // A median beside the ninetieth percentile of the whole, where the two together could say that the rest is all on one side.
        (days(2, &[4], 26, 3), 1),
        // A ninetieth percentile of a route beside both of the whole.
        (days(2, &[20], 20, 3), 1),
        (days(2, &[22], 20, 3), 1),
    ] {
        assert_eq!(days.attack(), shown, "{:?} and {}", days.parts, days.rest);
    }
}

#[test]
fn which_routes_have_times_depends_on_shown_counts_alone() {
    let threshold = Threshold::new(10);
    let of = |parts: &[(u32, u64)]| {
        let parts = parts.iter().enumerate().map(|(key, (day, shown))| (key, (vec![*day; 200], *shown))).collect();
        let parted: Parted<usize> = Parted { parts, shown: 200 };
        parted
            .parts(threshold)
            .into_iter()
            .map(|(key, days)| (key, days.median.is_some(), days.p90.is_some()))
            .collect::<Vec<_>>()
    };
    let none: Vec<(usize, bool, bool)> = vec![];
    assert_eq!(of(&[(1, 20)]), none, "nothing is left");
    assert_eq!(of(&[(1, 20), (9, 10)]), none);
    assert_eq!(of(&[(1, 20), (9, 10), (5, 10)]), [(0, true, false)]);
    // The smallest are left out first, of equal ones the last.
    assert_eq!(of(&[(1, 30), (9, 20), (5, 40)]), [(2, true, false)]);
    assert_eq!(of(&[(1, 30), (9, 30), (5, 30)]), [(0, true, false), (1, true, false)]);
    assert_eq!(of(&[(1, 100), (9, 90), (5, 30)]), [(0, true, true), (1, true, false)]);
    assert_eq!(of(&[(9, 20), (1, 10), (5, 10)]), of(&[(1, 20), (9, 10), (5, 10)]), "not on the days");
}

/// A whole with divisions: one list of references per hand-over, so that all divisions add up.
fn whole() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop_oneof![
        proptest::collection::vec((0..6_usize, 0..4_usize, 0..4_usize), 0..200),
        // Nearly everything just below the threshold.
        proptest::collection::vec((0..6_usize, 0..4_usize, 0..4_usize), 0..60),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Worlds too large to try all of them: the rule itself, for every pair of tables.
    #[test]
    fn no_table_shows_more_than_another_leaves_room_for(
        weeks in proptest::collection::vec(whole(), 1..6), number in 2_u32..20,
    ) {
        let threshold = Threshold::new(number);
        let (mut so_far, mut shown_of_weeks) = (Vec::new(), 0);
        let counts = |rows: &[(usize, usize, usize)]| {
            let mut recipients: BTreeMap<usize, Division<usize>> = BTreeMap::new();
            let mut divisions = vec![Division { possible: 4, ..Division::default() }; 2];
            for (route, purpose, priority) in rows {
                let of = recipients.entry(route / 2).or_insert(Division { possible: 2, ..Division::default() });
                *of.cells.entry(route % 2).or_default() += 1;
                for (division, key) in divisions.iter_mut().zip([purpose, priority]) {
                    *division.cells.entry(*key).or_default() += 1;
                }
            }
            Counts { recipients, possible_recipients: 3, divisions }
        };
        for week in &weeks {
            so_far.extend(week.iter().copied());
            let shown = counts(&so_far).of_week(week.len() as u64, shown_of_weeks, threshold);
            prop_assert!(shown <= week.len() as u64 && shown % threshold.number() == 0);
            shown_of_weeks += shown;
        }
        let of_weeks = Weeks { shown: shown_of_weeks, possible: weeks.len() as u64 };
        let truth = counts(&so_far);
        let shown = truth.beside(of_weeks, threshold);
        prop_assert_eq!(shown.divisions.len(), 2, "a quarter always has room for its weeks");
        let mut tables = vec![(shown.total(), 3), (of_weeks.shown, of_weeks.possible)];
        for (cells, truth) in shown.divisions.iter().zip(&truth.divisions) {
            tables.push((sum(cells), 4));
            for (key, count) in cells {
                prop_assert!(*count > 0 && *count <= truth.cells[key] && count % threshold.number() == 0);
            }
        }
        for (one, _) in &tables {
            for (other, possible) in &tables {
                prop_assert!(*one <= threshold.room(*other, *possible), "{one} beside {other} of {possible} cells");
            }
        }
        for (recipient, star) in &shown.recipients {
            let parts = sum(&star.parts);
            prop_assert!(parts <= star.whole && star.whole <= threshold.room(parts, 2));
            prop_assert!(star.whole <= sum(&truth.recipients[recipient].cells));
        }
    }
}
