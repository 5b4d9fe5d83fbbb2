//! What a history is made of. A move says what somebody tries, not in which state: which referral, which step, which deadline is looked up
//! among those that there are when its turn comes. So any part of a history is a history, and a failing one can be made shorter.

use proptest::prelude::*;

use super::cast::{Org, PARTNERS, PRIORITIES, RECIPIENTS, SENDERS, route};

/// One of several, however many there are when its turn comes.
#[derive(Debug, Clone, Copy)]
pub struct Pick(pub u32);

impl Pick {
    /// Of so many, at least one.
    pub fn of(self, many: usize) -> usize {
        usize::try_from(self.0).unwrap_or(0) % many
    }
}

/// Where a new referral belongs.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    Opens,
    Joins(Pick),
    Follows(Pick),
    /// Follows on one, and names a case besides: that of the one or another.
    FollowsIn(Pick, Pick),
    /// Follows on one about another resident.
    FollowsForAnother(Pick),
}

/// Which version a step claims to rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    Absent,
    Present,
    Stale,
}

/// Where the clock goes, seen from a moment at which something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Before,
    At,
    After,
}

/// One thing that somebody does.
#[derive(Debug, Clone, Copy)]
pub enum Move {
    Refer {
        sender: Org,
        recipient: Org,
        priority: &'static str,
        place: Place,
    },
    /// A step that the core lists as allowed, in a referral or a case, by whoever may take it.
    Allowed {
        pick: Pick,
        detail: Pick,
        on_to: Org,
        if_match: IfMatch,
    },
    AllowedInCase {
        pick: Pick,
        if_match: IfMatch,
    },
    /// Any step by anyone.
    Try {
        referral: Pick,
        by: Org,
        command: Pick,
        on_to: Org,
        if_match: IfMatch,
    },
    TryInCase {
        case: Pick,
        by: Org,
        command: Pick,
        if_match: IfMatch,
    },
    /// A body that does not fit the contract.
    Malformed {
        referral: Pick,
        by: Org,
        operation: Pick,
    },
    Meeting {
        case: Pick,
        by: Org,
        with: [Org; 2],
    },
    PickUp {
        referral: Pick,
        by: Option<Org>,
    },
    /// An earlier request again, with the same key.
    Repeat {
        request: Pick,
        other_body: bool,
    },
    ToEdge {
        deadline: Pick,
        edge: Edge,
    },
    Days(u32),
    /// A referral's deadline passes, and the next one, with a look after each.
    Neglect(Pick),
    /// Everyone reads its lists.
    Lists,
    Look,
    Suspend(Org),
    /// Whoever holds a referral, where that is a partner.
    SuspendHolder(Pick),
    Resume(Pick),
    Restart,
}

/// A history: its moves, and whether who is suspended at its end comes back before everything is brought to an end.
#[derive(Debug, Clone)]
pub struct History {
    pub moves: Vec<Move>,
    pub resume: bool,
}

fn any_of<T: Copy + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> + Clone {
    proptest::sample::select(values)
}

fn any_pick() -> impl Strategy<Value = Pick> + Clone {
    any::<u32>().prop_map(Pick)
}

fn refer() -> impl Strategy<Value = Move> {
    let place = prop_oneof![
        4 => Just(Place::Opens),
        3 => any_pick().prop_map(Place::Joins),
        2 => any_pick().prop_map(Place::Follows),
        1 => (any_pick(), any_pick()).prop_map(|(earlier, case)| Place::FollowsIn(earlier, case)),
        1 => any_pick().prop_map(Place::FollowsForAnother),
    ];
    // Mostly what the covenant permits.
    let pairs = || SENDERS.into_iter().flat_map(|from| RECIPIENTS.map(|to| (from, to)));
    let permitted: Vec<_> = pairs().filter(|(from, to)| route(*from, *to).is_some()).collect();
    let parties = prop_oneof![
        9 => proptest::sample::select(permitted),
        1 => proptest::sample::select(pairs().collect::<Vec<_>>()),
    ];
    (parties, any_of(&PRIORITIES), place).prop_map(|((sender, recipient), priority, place)| Move::Refer {
        sender,
        recipient,
        priority,
        place,
    })
}

fn any_move() -> impl Strategy<Value = Move> {
    let org = || any_of(&Org::ALL);
    let if_match = || prop_oneof![8 => Just(IfMatch::Absent), 2 => Just(IfMatch::Present), 1 => Just(IfMatch::Stale)];
    let edge = prop_oneof![2 => Just(Edge::Before), 4 => Just(Edge::At), 3 => Just(Edge::After)];
    prop_oneof![
        7 => refer(),
        36 => (any_pick(), any_pick(), any_of(&RECIPIENTS), if_match())
            .prop_map(|(pick, detail, on_to, if_match)| Move::Allowed { pick, detail, on_to, if_match }),
        8 => (any_pick(), if_match()).prop_map(|(pick, if_match)| Move::AllowedInCase { pick, if_match }),
        9 => (any_pick(), org(), any_pick(), any_of(&RECIPIENTS), if_match()).prop_map(
            |(referral, by, command, on_to, if_match)| Move::Try { referral, by, command, on_to, if_match }
        ),
        6 => (any_pick(), org(), any_pick(), if_match())
            .prop_map(|(case, by, command, if_match)| Move::TryInCase { case, by, command, if_match }),
        1 => (any_pick(), org(), any_pick())
            .prop_map(|(referral, by, operation)| Move::Malformed { referral, by, operation }),
        1 => (any_pick(), org(), [org(), org()]).prop_map(|(case, by, with)| Move::Meeting { case, by, with }),
        4 => (any_pick(), proptest::option::weighted(0.4, org()))
            .prop_map(|(referral, by)| Move::PickUp { referral, by }),
        3 => (any_pick(), any::<bool>()).prop_map(|(request, other_body)| Move::Repeat { request, other_body }),
        7 => (any_pick(), edge).prop_map(|(deadline, edge)| Move::ToEdge { deadline, edge }),
        1 => (1_u32..12).prop_map(Move::Days),
        5 => any_pick().prop_map(Move::Neglect),
        6 => Just(Move::Look),
        1 => Just(Move::Lists),
        1 => any_of(&PARTNERS).prop_map(Move::Suspend),
        4 => any_pick().prop_map(Move::SuspendHolder),
        4 => any_pick().prop_map(Move::Resume),
        1 => prop_oneof![2 => Just(Move::Look), 1 => Just(Move::Restart)],
    ]
}

/// Histories of so many moves and one; each begins with a referral.
pub fn histories(length: usize) -> impl Strategy<Value = History> {
    let moves = (refer(), proptest::collection::vec(any_move(), length));
    (moves, proptest::bool::weighted(0.7)).prop_map(|((first, mut moves), resume)| {
        moves.insert(0, first);
        History { moves, resume }
    })
}
