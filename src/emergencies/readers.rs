//! Who may see what of a declaration: its party its own, the privacy officers of both parties and of the covenant its review. For everybody
//! else, also for the recipient's own system, there is none.

use uuid::Uuid;

use super::store;
use super::types::EmergencyAccess;
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
use crate::organisations::{Role, Status, service};
use crate::problem::{Code, Problem};
use crate::relay::Addressee;
use crate::storage::Query;

/// The declaration that the path names, for the party that declared it.
///
/// # Errors
/// 404 for everybody else.
pub(super) async fn own(call: &Call) -> Result<EmergencyAccess, Problem> {
    let id: Uuid = call.path("id")?;
    let access = store::find(&mut call.app.db.reader(), id).await?.ok_or_else(Problem::not_found)?;
    if access.organisation == call.caller()?.organisation { Ok(access) } else { Err(Problem::not_found()) }
}

/// The declaration whose review the path names, for the privacy officers that it concerns.
///
/// # Errors
/// 404 for everybody else.
pub(super) async fn reviewed(call: &Call) -> Result<EmergencyAccess, Problem> {
    let (id, query) = (call.path::<Uuid>("id")?, &mut call.app.db.reader());
    let access = store::find(query, id).await?.ok_or_else(Problem::not_found)?;
    if store::is_reader(query, id, &call.caller()?.organisation).await? {
        Ok(access)
    } else {
        Err(Problem::not_found())
    }
}

/// That the caller, who reads the review, concludes it: outside the party that declared, the reviewer; or the other one outside, while the
/// reviewer is suspended or has left.
///
/// # Errors
/// 403.
pub(super) async fn check_reviewer(call: &Call, access: &EmergencyAccess) -> Result<(), Problem> {
    let caller = &call.caller()?.organisation;
    let refused = |detail| Err(Problem::new(Code::Forbidden, detail));
    if *caller == access.organisation {
        return refused("a review is concluded by somebody outside the party that declared");
    }
    if *caller == access.review.reviewer {
        return Ok(());
    }
    let reviewer = service::find(&mut call.app.db.reader(), &access.review.reviewer).await?;
    if reviewer.status == Status::Active {
        return refused("another organisation reviews this; reviewer names it");
    }
    Ok(())
}

/// The privacy officer of an organisation: of the covenant's municipality the one who watches over the covenant, of every other party its own.
pub(super) fn officer(organisation: &Oin, municipality: &Oin) -> Addressee {
    let role = if organisation == municipality { Role::PrivacyOfficer } else { Role::DataProtectionOfficer };
    Addressee::role(organisation.clone(), role)
}

/// The municipality of the covenant in force, whose privacy officer watches over it.
///
/// # Errors
/// When no covenant is in force, or the database fails.
pub(super) async fn municipality(
    app: &crate::app::App,
    query: &mut impl Query,
    now: Timestamp,
) -> Result<Oin, Problem> {
    let found = app.covenants.municipality(query, now).await?;
    found.ok_or_else(|| Problem::internal("the covenant in force has no municipality"))
}
