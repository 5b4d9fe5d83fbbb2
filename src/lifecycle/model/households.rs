//! Two households at once: two cases, three organisations, the referrals between them, and the events about all of it.
//!
//! Everybody who can act takes every step that is theirs; referrals are opened, joined to a case, referred on and reassigned; organisations are
//! suspended and resumed, which the gateway notes referral by referral: of what they hold by itself, of all else with the next step. Who may act as
//! what, and what crosses to or from a party that cannot act, is asked of the functions that the gateway asks ([`crate::lifecycle::parties`]).
//! Bounded: so many referrals and two cases *at a time* ([`Bounds`]; what has ended for good makes room), one reason for each step, and so many
//! detours in one history: a suspension, a passed deadline, an event that is held up or doubled, an invitation, an offer to coordinate, a
//! step-up. Steps that answer a detour, and all others, are free, and with no detour left everything must still come to an end. The
//! municipality itself is never suspended: it is who acts when nobody else can.

use std::cell::RefCell;

use known::{CaseFacts, CaseMove, Facts, Move, Moves};

use super::explorer::{Explored, Model, explore};
use super::one_case;
use super::one_referral::check_step;
use super::post::{Fate, Post};
use super::{EARLY, Moment, Numbered, ORGS, Org, PAST, Rules, is_documented, promise, terms};
use crate::lifecycle::case::{self, Case, Situation};
use crate::lifecycle::parties::Towards;
use crate::lifecycle::referral::{Command, Role, State, Unable};

mod known;

const MOST_AT_ONCE: usize = 3;
/// The table tells none, one, and two or more missed deadlines apart.
const MOST_MISSED: u32 = 2;

/// How far the exploration goes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Referrals that have not ended for good, at a time.
    pub referrals: usize,
    /// Detours in one history.
    pub detours: u8,
    /// Of all detours only suspensions.
    pub only_suspensions: bool,
}

/// Where everything stands; cases and referrals by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct World {
    cases: [Option<(u16, Post)>; 2],
    referrals: [Option<Referral>; MOST_AT_ONCE],
    /// Which of the two partners is suspended.
    suspended: [bool; 2],
    detours: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Referral {
    case: usize,
    sender: Org,
    recipient: Org,
    state: u16,
    post: Post,
}

#[derive(Debug)]
#[expect(dead_code, reason = "for whoever reads how a promise is broken")]
pub enum Label {
    Suspended(Org),
    Resumed(Org),
    Opens {
        sender: Org,
        recipient: Org,
        case: usize,
        fate: Fate,
    },
    Referral {
        by: Option<Org>,
        sender: Org,
        recipient: Org,
        command: Command,
        moment: Moment,
        on_to: Option<Org>,
        fate: Fate,
    },
    Case {
        by: Option<Org>,
        command: case::Command<Org>,
        in_time: bool,
        fate: Fate,
    },
    ReopeningIsNoLongerPossible,
    AnEventArrives,
}

pub struct Households {
    rules: Rules,
    bounds: Bounds,
    states: RefCell<Numbered<State>>,
    cases: RefCell<Numbered<Case<Org>>>,
    facts: RefCell<Vec<Facts>>,
    case_facts: RefCell<Vec<CaseFacts>>,
    moves: Moves<(u16, Towards, Unable), Move>,
    case_moves: Moves<(u16, usize, [bool; 3], bool), CaseMove>,
}

const fn is_detour(command: &case::Command<Org>) -> bool {
    use case::Command::{Invite, OfferCoordination, StepUp};
    matches!(command, Invite(_) | OfferCoordination(_) | StepUp(_))
}

impl Households {
    pub fn new(rules: Rules, bounds: Bounds) -> Self {
        Self {
            rules,
            bounds,
            states: RefCell::new(Numbered::new()),
            cases: RefCell::new(Numbered::new()),
            facts: RefCell::default(),
            case_facts: RefCell::default(),
            moves: RefCell::default(),
            case_moves: RefCell::default(),
        }
    }

    /// What is left after so many detours other than suspensions; none where that is too many.
    fn after_detours(&self, left: u8, count: u8) -> Option<u8> {
        left.checked_sub(count).filter(|_| count == 0 || !self.bounds.only_suspensions)
    }

    fn open_in(&self, world: &World, case: usize) -> usize {
        let of_case = world.referrals.iter().flatten().filter(|referral| referral.case == case);
        of_case.filter(|referral| !self.facts(referral).closed).count()
    }

    /// The parties to the referrals of a case that were accepted.
    fn participants(&self, world: &World, case: usize) -> Vec<Org> {
        let of_case = world.referrals.iter().flatten().filter(|referral| referral.case == case);
        let mut parties: Vec<_> =
            of_case.filter(|it| self.facts(it).accepted).flat_map(|it| [it.sender, it.recipient]).collect();
        parties.sort_unstable();
        parties.dedup();
        parties
    }

    /// Whether who coordinates a case has let two deadlines in a row pass, in a referral of it.
    fn coordinator_is_late(&self, world: &World, case: usize) -> bool {
        let coordinator = world.cases[case].map(|(number, _)| self.case_facts(number).coordinator);
        let of_case = world.referrals.iter().flatten().filter(|referral| referral.case == case);
        of_case.filter(|referral| self.facts(referral).late).any(|referral| {
            let holder = match self.facts(referral).holder {
                Some(Role::Sender) => Some(referral.sender),
                Some(Role::Recipient) => Some(referral.recipient),
                Some(Role::Municipality) => Some(Org::Municipality),
                Some(Role::Coordinator | Role::Gateway) | None => None,
            };
            holder.is_some() && holder == coordinator
        })
    }

    /// What an organisation is towards a referral; as what it may act follows from that and from where the referral stands.
    fn towards(&self, world: &World, referral: &Referral, org: Org) -> Towards {
        let case = world.cases[referral.case].map(|(case, _)| self.case_facts(case));
        let municipality = org == Org::Municipality;
        Towards {
            sender: org == referral.sender,
            recipient: org == referral.recipient,
            municipality,
            coordinator: case.is_some_and(|case| case.coordinator == org),
            director: municipality && case.is_some_and(|case| case.directed),
        }
    }

    /// Which parties cannot act, whether that was noted or not.
    fn unable(world: &World, referral: &Referral) -> Unable {
        let cannot = |org| !Self::able(world).any(|able| able == org);
        Unable { sender: cannot(referral.sender), recipient: cannot(referral.recipient) }
    }

    /// What the gateway does with a case in the transaction that changes a referral of it: says whether something is open, and proposes.
    fn follow(&self, world: &mut World, case: usize, open_before: usize, proposes: bool) -> Result<bool, String> {
        let Some((number, post)) = world.cases[case] else { return Err("a referral without a case".to_owned()) };
        let open = self.open_in(world, case);
        let mut commands = Vec::new();
        if (open == 0) != (open_before == 0) || self.case(number).hand_over.is_some() {
            commands.push(case::Command::Referrals { open });
        }
        if proposes {
            commands.push(case::Command::ProposeStepUp);
        }
        if commands.is_empty() {
            return Ok(false);
        }
        let (mut state, participants) = (self.case(number), self.participants(world, case));
        let (coordinator_late, municipality) = (self.coordinator_is_late(world, case), &Org::Municipality);
        let situation = Situation { open, participants: &participants, coordinator_late, municipality };
        for command in &commands {
            if let Ok(taken) = one_case::step(&self.rules, &state, None, command, &situation)? {
                state = taken.case;
            }
        }
        let next = self.numbered_case(&state);
        world.cases[case] = Some((next, post));
        Ok(next != number)
    }

    /// Every fate of the events of a step that changed these.
    fn post(&self, world: World, referrals: &[usize], cases: &[usize], mut take: impl FnMut(Fate, World)) {
        for fate in [Fate::Arrives, Fate::Crash, Fate::Unacknowledged] {
            let mut world = world;
            if fate != Fate::Arrives {
                let Some(left) = self.after_detours(world.detours, 1) else { continue };
                world.detours = left;
            }
            for referral in referrals {
                if let Some(referral) = &mut world.referrals[*referral] {
                    referral.post = referral.post.stepped(fate, self.rules.post);
                }
            }
            for case in cases {
                if let Some((_, post)) = &mut world.cases[*case] {
                    *post = post.stepped(fate, self.rules.post);
                }
            }
            take(fate, self.tidied(world));
        }
    }

    /// What has ended for good makes room, and nothing depends on the order in which things are kept.
    fn tidied(&self, mut world: World) -> World {
        let for_good = |referral: &Referral| self.facts(referral).for_good && referral.post.is_quiet();
        for referral in &mut world.referrals {
            *referral = referral.filter(|referral| !for_good(referral));
        }
        for case in 0..2 {
            let used = world.referrals.iter().flatten().any(|referral| referral.case == case);
            let is_closed = |(number, post): &(u16, Post)| self.case_facts(*number).closed && post.is_quiet();
            world.cases[case] = world.cases[case].filter(|it| used || !is_closed(it));
        }
        let mut swapped = world;
        swapped.cases.reverse();
        swapped.referrals.iter_mut().flatten().for_each(|referral| referral.case = 1 - referral.case);
        // The empty places come last.
        world.referrals.sort_unstable_by(|one, other| other.cmp(one));
        swapped.referrals.sort_unstable_by(|one, other| other.cmp(one));
        world.max(swapped)
    }

    fn open_referral(
        &self,
        world: &World,
        case: usize,
        sender: Org,
        recipient: Org,
    ) -> Result<Option<(usize, World)>, String> {
        let places = world.referrals.iter().take(self.bounds.referrals);
        let Some(place) = places.into_iter().position(Option::is_none) else { return Ok(None) };
        let mut world = *world;
        let state = self.numbered(&State::new(&terms(), EARLY))?;
        world.referrals[place] = Some(Referral { case, sender, recipient, state, post: Post::default() });
        Ok(Some((place, world)))
    }

    /// Organisations that can act.
    fn able(world: &World) -> impl Iterator<Item = Org> {
        let [a, b] = world.suspended;
        [(Org::A, !a), (Org::B, !b), (Org::Municipality, true)]
            .into_iter()
            .filter_map(|(org, able)| able.then_some(org))
    }

    /// The register of organisations, the clock, and the post.
    fn surroundings(&self, from: &World, take: &mut dyn FnMut(Label, bool, World)) -> Result<(), String> {
        for (n, org) in [Org::A, Org::B].into_iter().enumerate() {
            let mut world = *from;
            world.suspended[n] = !from.suspended[n];
            if from.suspended[n] {
                take(Label::Resumed(org), false, self.tidied(world));
            } else if let Some(detours) = from.detours.checked_sub(1) {
                take(Label::Suspended(org), false, self.tidied(World { detours, ..world }));
            }
        }
        for (place, referral) in from.referrals.iter().enumerate().filter_map(|(n, it)| Some((n, (*it)?))) {
            let mut changed = |referral, label| {
                let mut world = *from;
                world.referrals[place] = Some(referral);
                take(label, true, self.tidied(world));
            };
            for post in referral.post.arrivals(self.rules.post) {
                changed(Referral { post, ..referral }, Label::AnEventArrives);
            }
            let state = self.state(&referral);
            if state.reopen_until.is_some_and(|until| until != PAST) {
                let state = self.numbered(&State { reopen_until: Some(PAST), ..state })?;
                changed(Referral { state, ..referral }, Label::ReopeningIsNoLongerPossible);
            }
        }
        for (n, (case, post)) in from.cases.iter().enumerate().filter_map(|(n, it)| Some((n, (*it)?))) {
            for post in post.arrivals(self.rules.post) {
                let mut world = *from;
                world.cases[n] = Some((case, post));
                take(Label::AnEventArrives, true, self.tidied(world));
            }
        }
        Ok(())
    }

    /// The gateway notes who cannot act.
    fn note_standing(
        &self,
        from: &World,
        place: usize,
        take: &mut dyn FnMut(Label, bool, World),
    ) -> Result<(), String> {
        let Some(referral) = from.referrals[place] else { return Ok(()) };
        let (state, unable) = (self.state(&referral), Self::unable(from, &referral));
        if !state.is_to_be_noted(unable) {
            return Ok(());
        }
        let command = Command::Standing(unable);
        let taken = self.rules.referral(&state, &[Role::Gateway], &command, Moment::InTime);
        let taken = taken.map_err(|_| "the gateway may not note who cannot act".to_owned())?;
        check_step(&state, taken.by, &command, &taken, Moment::InTime)?;
        let mut world = *from;
        world.referrals[place] = Some(Referral { state: self.numbered(&taken.state)?, ..referral });
        let Referral { sender, recipient, .. } = referral;
        self.post(world, &[place], &[], |fate, world| {
            let label =
                Label::Referral { by: None, sender, recipient, command, moment: Moment::InTime, on_to: None, fate };
            take(label, true, world);
        });
        Ok(())
    }

    /// Every step in one referral by whoever it concerns.
    fn referral_steps(
        &self,
        from: &World,
        place: usize,
        take: &mut dyn FnMut(Label, bool, World),
    ) -> Result<(), String> {
        let Some(referral) = from.referrals[place] else { return Ok(()) };
        let unable = Self::unable(from, &referral);
        let mut moves = Vec::new();
        for org in Self::able(from) {
            let of_org = self.moves(referral.state, self.towards(from, &referral, org), unable)?;
            moves.extend(of_org.iter().map(|step| (Some(org), step.clone())));
        }
        if self.after_detours(from.detours, 1).is_some() {
            moves.extend(self.deadline_passes(referral.state)?.map(|step| (None, step)));
        }
        for (by, step) in moves {
            let mut world = *from;
            if step.moment == Moment::TooLate {
                let Some(left) = self.after_detours(world.detours, 1) else { continue };
                world.detours = left;
            }
            world.referrals[place] = Some(Referral { state: step.next, ..referral });
            // Another one is sent by the same sender, and is decided on: both its parties must be able to act.
            let others = Self::able(from).filter(|to| *to != referral.sender && !unable.sender);
            let on_to: Vec<Option<Org>> = match step.command {
                Command::ReferOn => others.map(Some).collect(),
                Command::Reassign => others.filter(|to| *to != referral.recipient).map(Some).collect(),
                _ => vec![None],
            };
            for on_to in on_to {
                self.finish(from, &world, place, (by, &step, on_to), take)?;
            }
        }
        Ok(())
    }

    /// With the referral that goes on with it, what the case makes of it, and every fate of the events.
    fn finish(
        &self,
        from: &World,
        world: &World,
        place: usize,
        (by, step, on_to): (Option<Org>, &Move, Option<Org>),
        take: &mut dyn FnMut(Label, bool, World),
    ) -> Result<(), String> {
        let Some(Referral { case, sender, recipient, .. }) = world.referrals[place] else { return Ok(()) };
        let (mut world, mut changed) = (*world, vec![place]);
        if let Some(to) = on_to {
            let Some((child, with_child)) = self.open_referral(&world, case, sender, to)? else { return Ok(()) };
            world = with_child;
            changed.push(child);
        }
        let case_changed = self.follow(&mut world, case, self.open_in(from, case), step.proposes)?;
        let cases = if case_changed { &[case][..] } else { &[] };
        self.post(world, &changed, cases, |fate, world| {
            let (command, moment) = (step.command, step.moment);
            take(Label::Referral { by, sender, recipient, command, moment, on_to, fate }, true, world);
        });
        Ok(())
    }

    /// Every step in one case; the gateway replaces only a coordinator that cannot act.
    fn case_steps(&self, from: &World, n: usize, take: &mut dyn FnMut(Label, bool, World)) -> Result<(), String> {
        let Some((number, post)) = from.cases[n] else { return Ok(()) };
        let moves = self.case_moves(
            number,
            self.open_in(from, n),
            &self.participants(from, n),
            self.coordinator_is_late(from, n),
        )?;
        let able: Vec<_> = Self::able(from).collect();
        let replaces = !able.contains(&self.case_facts(number).coordinator);
        for CaseMove { by, command, in_time, next } in moves.iter() {
            let is_theirs = by.map_or(!matches!(command, case::Command::ReplaceCoordinator(_)) || replaces, |org| {
                able.contains(&org)
            });
            let cost = u8::from(!in_time) + u8::from(is_detour(command));
            let Some(detours) = self.after_detours(from.detours, cost).filter(|_| is_theirs) else { continue };
            let mut world = World { detours, ..*from };
            world.cases[n] = Some((*next, post));
            self.post(world, &[], &[n], |fate, world| {
                take(Label::Case { by: *by, command: command.clone(), in_time: *in_time, fate }, true, world);
            });
        }
        Ok(())
    }

    /// Every new referral: with a case of its own, or in one in which its sender takes part.
    fn new_referrals(&self, from: &World, take: &mut dyn FnMut(Label, bool, World)) -> Result<(), String> {
        let able: Vec<_> = Self::able(from).collect();
        let pairs = able.iter().flat_map(|sender| able.iter().map(move |recipient| (*sender, *recipient)));
        for (sender, recipient) in pairs.filter(|(sender, recipient)| sender != recipient) {
            for case in 0..2 {
                let mut world = *from;
                let takes_part = from.cases[case].map(|(number, _)| {
                    let (case_state, participants) = (self.case(number), self.participants(from, case));
                    let takes_part = case_state.coordinator == sender
                        || case_state.invited.contains(&sender)
                        || participants.contains(&sender);
                    takes_part && case_state.closed_at.is_none()
                });
                if takes_part.is_none() {
                    let opened = self.numbered_case(&Case::new(sender));
                    world.cases[case] = Some((opened, Post::default()));
                }
                // Two empty places are alike.
                let second_empty = case == 1 && takes_part.is_none() && from.cases[0].is_none();
                if takes_part == Some(false) || second_empty {
                    continue;
                }
                let Some((place, mut world)) = self.open_referral(&world, case, sender, recipient)? else { continue };
                let open_before = if takes_part.is_some() { self.open_in(from, case) } else { 1 };
                let changed = self.follow(&mut world, case, open_before, false)? || takes_part.is_none();
                let cases = if changed { &[case][..] } else { &[] };
                self.post(world, &[place], cases, |fate, world| {
                    take(Label::Opens { sender, recipient, case, fate }, true, world);
                });
            }
        }
        Ok(())
    }
}

impl Model for Households {
    type State = World;
    type Label = Label;

    fn initial(&self) -> World {
        World { cases: [None; 2], referrals: [None; MOST_AT_ONCE], suspended: [false; 2], detours: self.bounds.detours }
    }

    fn steps(&self, from: &World, take: &mut dyn FnMut(Label, bool, World)) -> Result<(), String> {
        self.surroundings(from, take)?;
        self.new_referrals(from, take)?;
        for place in 0..MOST_AT_ONCE {
            self.note_standing(from, place, take)?;
            self.referral_steps(from, place, take)?;
        }
        (0..2).try_for_each(|case| self.case_steps(from, case, take))
    }

    fn check(&self, world: &World) -> Result<(), String> {
        for referral in world.referrals.iter().flatten() {
            referral.post.check()?;
            let holder = self.facts(referral).holder;
            let holds = |org: &&Org| {
                let who = self.towards(world, referral, **org);
                match holder {
                    Some(Role::Sender) => who.sender,
                    Some(Role::Recipient) => who.recipient,
                    Some(Role::Municipality) => who.municipality,
                    Some(Role::Coordinator | Role::Gateway) | None => false,
                }
            };
            promise(
                ORGS.iter().filter(holds).count() == usize::from(holder.is_some()),
                "an open referral has one holder, a closed one none",
            )?;
            promise(world.cases[referral.case].is_some(), "a referral without a case")?;
        }
        world.cases.iter().flatten().try_for_each(|(_, post)| post.check())?;
        Ok(())
    }

    fn is_end(&self, world: &World) -> bool {
        let seen = |post: &Post| !post.behind;
        let closed = |(number, post): &(u16, Post)| self.case_facts(*number).closed && seen(post);
        let ended = |it: &Referral| self.facts(it).closed && seen(&it.post);
        world.cases.iter().flatten().all(closed) && world.referrals.iter().flatten().all(ended)
    }
}

fn explored(what: &str, bounds: Bounds) -> Explored {
    let explored = explore(&Households::new(Rules::REAL, bounds), 8_000_000).unwrap();
    let Bounds { referrals, detours, .. } = bounds;
    is_documented(&format!("two households, referrals at a time: {referrals}, {what}: {detours}"), explored);
    explored
}

#[test]
fn no_history_of_two_households_without_detours_loses_anyone() {
    let explored = explored("detours", Bounds { referrals: 2, detours: 0, only_suspensions: false });
    assert!(explored.states > 200_000, "{explored:?}");
}

#[test]
fn no_history_of_two_households_with_a_detour_loses_anyone() {
    let explored = explored("detours", Bounds { referrals: 1, detours: 1, only_suspensions: false });
    assert!(explored.states > 20_000, "{explored:?}");
}

#[test]
#[ignore = "minutes without optimisation: cargo test --release --lib lifecycle::model -- --ignored"]
fn no_history_of_two_households_with_two_detours_loses_anyone() {
    let explored = explored("detours", Bounds { referrals: 1, detours: 2, only_suspensions: false });
    assert!(explored.states > 400_000, "{explored:?}");
}

#[test]
#[ignore = "minutes without optimisation: cargo test --release --lib lifecycle::model -- --ignored"]
fn no_history_of_two_households_with_a_suspension_loses_anyone() {
    let explored = explored("suspensions", Bounds { referrals: 2, detours: 1, only_suspensions: true });
    assert!(explored.states > 500_000, "{explored:?}");
}
