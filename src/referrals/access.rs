//! Who may see a referral: its sender, its recipient, the municipality while it holds it, and while it is stuck whoever coordinates or directs
//! its case. For everyone else it does not exist.

use uuid::Uuid;

use super::store;
use super::types::{Party, Referral};
use crate::app::App;
use crate::cases;
use crate::covenant;
use crate::http::Call;
use crate::ids::Oin;
use crate::lifecycle::parties::Towards;
use crate::lifecycle::referral::Role;
use crate::problem::{Code, Problem};
use crate::storage::revisions::{self, Revisions};

/// A referral, and what the caller is in it.
pub(super) struct Access {
    pub(super) referral: Referral,
    /// Which party; none for whoever holds a referral of others, or gets it further.
    pub(super) party: Option<Party>,
    /// As what the caller may take steps.
    pub(super) roles: Vec<Role>,
    /// The case as it was read, where a role follows from it: a step rests on that.
    pub(super) case_revision: Revisions,
}

/// The referral that the path names, for whom it exists.
///
/// # Errors
/// 404 for everyone else.
pub(super) async fn to_referral(call: &Call) -> Result<Access, Problem> {
    let id: Uuid = call.path("id")?;
    let referral = store::find(&mut call.app.db.reader(), id).await?.ok_or_else(Problem::not_found)?;
    let caller = &call.caller()?.organisation;
    let party = referral.party_of(caller);
    let (who, case_revision) = towards(call, &referral, caller).await?;
    let roles = referral.state.roles(who, call.app.now());
    if roles.is_empty() { Err(Problem::not_found()) } else { Ok(Access { referral, party, roles, case_revision }) }
}

/// What the caller is towards a referral, as far as that matters where it stands: who coordinates or directs its case matters only while it
/// is stuck, and whether a party is the municipality also while it may hand the chain to that.
async fn towards(call: &Call, referral: &Referral, caller: &Oin) -> Result<(Towards, Revisions), Problem> {
    let (now, query) = (call.app.now(), &mut call.app.db.reader());
    let (party, mut revisions) = (referral.party_of(caller), Revisions::default());
    let who = Towards {
        sender: party == Some(Party::Sender),
        recipient: party == Some(Party::Recipient),
        municipality: referral.state.holder() == Some(Role::Municipality) && referral.holder.as_ref() == Some(caller),
        ..Towards::default()
    };
    let is_stuck = referral.state.is_stuck(now);
    if !is_stuck && (party.is_none() || !referral.state.may_be_stepped_up()) {
        return Ok((who, revisions));
    }
    let rules = match call.app.covenants.in_force(query, now).await {
        Ok(engine) => cases::Rules::of(engine.covenant()),
        Err(problem) if problem.code() == Code::Refused => None,
        Err(problem) => return Err(problem),
    };
    // Without a covenant in force nobody is known to direct anything.
    let Some(rules) = rules else { return Ok((who, revisions)) };
    let who = Towards { municipality: who.municipality || rules.municipality == *caller, ..who };
    let Some(case) = referral.case.filter(|_| is_stuck) else { return Ok((who, revisions)) };
    revisions.read_also(query, revisions::case(case)).await?;
    revisions.read_also(query, revisions::organisation(caller)).await?;
    // Whoever has not signed the whole covenant in force coordinates and directs nothing, also before somebody else was noted to.
    if !covenant::standing(query, &rules.version, [caller, caller]).await?.of(caller).is_full() {
        return Ok((who, revisions));
    }
    let whole = cases::load(query, case).await?;
    let roles = whole.map(|whole| whole.roles(caller, &rules, now)).unwrap_or_default();
    Ok((who.in_case(&roles), revisions))
}

/// How much of a referral a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// A party: all but what is the other party's own.
    Whole,
    /// A party that sees of its course no more than the status: the municipality, of client support (rule 8 of the privacy protocol).
    StatusOnly,
    /// No party: status and route. Deadlines only those that are its own, since they may tell of what purpose a referral is.
    Route,
}

/// How much of a referral this reader sees; it holds in [`super::view`] and in the records of a step.
pub(super) async fn sight(app: &App, referral: &Referral, reader: &Oin) -> Result<Sight, Problem> {
    let municipality = if is_client_support(referral) {
        app.covenants.municipality(&mut app.db.reader(), app.now()).await?
    } else {
        None
    };
    Ok(sight_of(referral, reader, municipality.as_ref()))
}

/// As [`sight`], where the municipality is known.
pub(super) fn sight_of(referral: &Referral, reader: &Oin, municipality: Option<&Oin>) -> Sight {
    if referral.party_of(reader).is_none() {
        return Sight::Route;
    }
    // Without a covenant in force nobody is known to be the municipality: show everyone the least.
    let is_kept_apart = municipality.is_none_or(|municipality| municipality == reader);
    if is_client_support(referral) && is_kept_apart { Sight::StatusOnly } else { Sight::Whole }
}

fn is_client_support(referral: &Referral) -> bool {
    referral.terms.purpose.as_str() == "client-support"
}
