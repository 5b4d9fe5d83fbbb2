//! Who may see a referral: its sender, its recipient, and the municipality while it holds it. For everyone else it does not exist.

use uuid::Uuid;

use super::store;
use super::types::{Party, Referral};
use crate::app::App;
use crate::http::Call;
use crate::ids::Oin;
use crate::lifecycle::referral::Role;
use crate::problem::Problem;

/// A referral, and what the caller is in it.
pub(super) struct Access {
    pub(super) referral: Referral,
    /// Which party; none for the municipality that holds a referral of others.
    pub(super) party: Option<Party>,
    /// As what the caller may take steps.
    pub(super) roles: Vec<Role>,
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
    let mut roles: Vec<Role> = party.map(Party::role).into_iter().collect();
    if referral.state.holder() == Some(Role::Municipality) && referral.holder.as_ref() == Some(caller) {
        roles.push(Role::Municipality);
    }
    if roles.is_empty() { Err(Problem::not_found()) } else { Ok(Access { referral, party, roles }) }
}

/// Whether the covenant lets this reader see no more of a referral than its status: the municipality, of client support
/// (rule 8 of the privacy protocol; it holds in [`super::view`] and in the records of a step). The municipality that holds a referral
/// of others sees no more of it either.
pub(super) async fn status_only(app: &App, referral: &Referral, reader: &Oin) -> Result<bool, Problem> {
    if referral.party_of(reader).is_none() {
        return Ok(true);
    }
    if !is_client_support(referral) {
        return Ok(false);
    }
    let municipality = app.covenants.municipality(&mut app.db.reader(), app.now()).await?;
    Ok(sees_status_only(referral, reader, municipality.as_ref()))
}

/// As [`status_only`], where the municipality is known.
pub(super) fn sees_status_only(referral: &Referral, reader: &Oin, municipality: Option<&Oin>) -> bool {
    // Without a covenant in force nobody is known to be the municipality: show everyone the least.
    referral.party_of(reader).is_none()
        || (is_client_support(referral) && municipality.is_none_or(|municipality| municipality == reader))
}

fn is_client_support(referral: &Referral) -> bool {
    referral.terms.purpose.as_str() == "client-support"
}
