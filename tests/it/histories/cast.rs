//! Who takes part in a history, what each may hand over to whom, and who is what: the only things that the core does not say itself.

use sluis::covenant::{Covenant, PurposeCode};
use sluis::ids::Oin;
use sluis::lifecycle::case;
use sluis::lifecycle::parties::Towards;
use sluis::lifecycle::referral::{Role, State};
use sluis::lifecycle::terms::Terms;

/// An organisation, in the order of `MEMBERS` of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Org {
    Municipality,
    Smow,
    Kwadraad,
    Mee,
    /// Sends and receives nothing here: a stranger, unless somebody invites it.
    Jgz,
    Kredietbank,
}

impl Org {
    pub const ALL: [Self; 6] =
        [Self::Municipality, Self::Smow, Self::Kwadraad, Self::Mee, Self::Jgz, Self::Kredietbank];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::Municipality => "gemeente-wassenaar",
            Self::Smow => "smow",
            Self::Kwadraad => "kwadraad",
            Self::Mee => "mee",
            Self::Jgz => "jgz",
            Self::Kredietbank => "kredietbank",
        }
    }

    pub const fn oin(self) -> &'static str {
        match self {
            Self::Municipality => "00000099000000001000",
            Self::Smow => "00000099000000002000",
            Self::Kwadraad => "00000099000000003000",
            Self::Mee => "00000099000000004000",
            Self::Jgz => "00000099000000005000",
            Self::Kredietbank => "00000099000000006000",
        }
    }

    pub fn of(oin: &Oin) -> Option<Self> {
        Self::ALL.into_iter().find(|org| org.oin() == oin.as_str())
    }
}

/// Who may be suspended: not the municipality, which acts when nobody else can.
pub const PARTNERS: [Org; 5] = [Org::Smow, Org::Kwadraad, Org::Mee, Org::Jgz, Org::Kredietbank];
/// Who sends. Kwadraad and JGZ are under secrecy and would need a release for each section.
pub const SENDERS: [Org; 4] = [Org::Municipality, Org::Smow, Org::Mee, Org::Kredietbank];
pub const RECIPIENTS: [Org; 5] = [Org::Municipality, Org::Smow, Org::Kwadraad, Org::Mee, Org::Kredietbank];

/// Purpose and legal basis with which the covenant lets one hand over to the other, given the records of the resident that each history
/// begins with; none where it does not.
pub fn route(sender: Org, recipient: Org) -> Option<(&'static str, &'static str)> {
    let purpose = purpose(recipient)?;
    match (sender, recipient) {
        _ if sender == recipient || !SENDERS.contains(&sender) => None,
        // Client support is independent of the municipality.
        (Org::Mee, Org::Municipality) => None,
        (_, Org::Municipality) | (Org::Municipality, Org::Smow | Org::Kwadraad) => Some((purpose, "wmo-2015")),
        (Org::Municipality, Org::Kredietbank) => Some((purpose, "wgs")),
        _ => Some((purpose, "consent")),
    }
}

/// What is handed over to an organisation for.
pub const fn purpose(recipient: Org) -> Option<&'static str> {
    match recipient {
        Org::Municipality => Some("access-investigation"),
        Org::Smow => Some("welfare-support"),
        Org::Kwadraad => Some("social-work"),
        Org::Mee => Some("client-support"),
        Org::Kredietbank => Some("debt-counselling"),
        Org::Jgz => None,
    }
}

pub const PRIORITIES: [&str; 4] = ["routine", "urgent", "asap", "stat"];

/// The covenant's terms for a referral to an organisation.
pub fn terms(covenant: &Covenant, recipient: Org, priority: &str) -> Terms {
    let percent = &covenant.deadlines.priority_percent;
    let percent = match priority {
        "urgent" => percent.urgent,
        "asap" => percent.asap,
        "stat" => percent.stat,
        _ => percent.routine,
    };
    let purpose: PurposeCode = purpose(recipient).unwrap_or("social-work").parse().unwrap();
    covenant.terms(&purpose, percent)
}

/// What an organisation is towards a referral, wherever that and its case stand.
pub fn towards(sender: Org, recipient: Org, org: Org) -> Towards {
    Towards {
        sender: org == sender,
        recipient: org == recipient,
        municipality: org == Org::Municipality,
        ..Towards::default()
    }
}

/// Who is meant by a role of the table.
pub const fn who(sender: Org, recipient: Org, role: Role) -> Org {
    match role {
        Role::Sender => sender,
        Role::Recipient => recipient,
        Role::Municipality | Role::Coordinator | Role::Gateway => Org::Municipality,
    }
}

/// Who holds a referral.
pub fn holder(sender: Org, recipient: Org, state: &State) -> Option<Org> {
    state.holder().map(|role| who(sender, recipient, role))
}

/// How much of a referral somebody sees who sees it at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All but what is the other party's own.
    Whole,
    /// Of its course no more than the status, and no deadline but its own: of client support the municipality (rule 8).
    StatusOnly,
    /// Status and route, and no deadline but its own: whoever is no party.
    Route,
}

pub fn sight(sender: Org, recipient: Org, org: Org) -> Sight {
    if org != sender && org != recipient {
        Sight::Route
    } else if recipient == Org::Mee && org == Org::Municipality {
        Sight::StatusOnly
    } else {
        Sight::Whole
    }
}

/// What a role in a case is called in the contract.
pub const fn word(role: case::Role) -> &'static str {
    match role {
        case::Role::Coordinator => "coordinator",
        case::Role::Candidate => "candidate",
        case::Role::Invited => "invited",
        case::Role::Participant => "participant",
        case::Role::ProcessDirector => "process-director",
        case::Role::Gateway => "gateway",
    }
}
