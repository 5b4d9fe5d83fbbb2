//! Who may see a referral: its sender and its recipient. For everyone else it does not exist.

use uuid::Uuid;

use super::lifecycle::Role;
use super::store;
use super::types::Referral;
use crate::app::App;
use crate::http::Call;
use crate::ids::Oin;
use crate::problem::Problem;

/// A referral, and what the caller is in it.
pub(super) struct Access {
    pub(super) referral: Referral,
    pub(super) role: Role,
}

/// The referral that the path names, for a party to it.
///
/// # Errors
/// 404 for everyone else.
pub(super) async fn to_referral(call: &Call) -> Result<Access, Problem> {
    let id: Uuid = call.path("id")?;
    let referral = store::find(&mut call.app.db.reader(), id).await?.ok_or_else(Problem::not_found)?;
    let role = referral.role_of(&call.caller()?.organisation).ok_or_else(Problem::not_found)?;
    Ok(Access { referral, role })
}

/// Whether the covenant lets this reader see no more of a referral than its status: the municipality, of client support
/// (rule 8 of the privacy protocol; it holds in [`super::view`] and in the records of a step).
pub(super) async fn status_only(app: &App, referral: &Referral, reader: &Oin) -> Result<bool, Problem> {
    if !is_client_support(referral) {
        return Ok(false);
    }
    let municipality = app.covenants.municipality(&mut app.db.reader(), app.now()).await?;
    Ok(sees_status_only(referral, reader, municipality.as_ref()))
}

/// As [`status_only`], where the municipality is known.
pub(super) fn sees_status_only(referral: &Referral, reader: &Oin, municipality: Option<&Oin>) -> bool {
    // Without a covenant in force nobody is known to be the municipality: show everyone the least.
    is_client_support(referral) && municipality.is_none_or(|municipality| municipality == reader)
}

fn is_client_support(referral: &Referral) -> bool {
    referral.terms.purpose.as_str() == "client-support"
}
