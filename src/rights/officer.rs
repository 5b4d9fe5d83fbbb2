//! Who watches over what a party does: of the covenant's municipality its privacy officer, of every other party its data protection officer.

use crate::app::App;
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
use crate::organisations::Role;
use crate::problem::{Code, Problem};
use crate::relay::Addressee;
use crate::storage::Query;

/// The officer's role at an organisation.
async fn role(app: &App, query: &mut impl Query, organisation: &Oin, now: Timestamp) -> Result<Role, Problem> {
    let municipality = app.covenants.municipality(query, now).await?;
    Ok(if municipality.as_ref() == Some(organisation) { Role::PrivacyOfficer } else { Role::DataProtectionOfficer })
}

/// In whose feed its news appears.
///
/// # Errors
/// When the database fails.
pub(super) async fn of(
    app: &App,
    query: &mut impl Query,
    organisation: &Oin,
    now: Timestamp,
) -> Result<Addressee, Problem> {
    Ok(Addressee::role(organisation.clone(), role(app, query, organisation, now).await?))
}

/// That the caller is the officer of its organisation.
///
/// # Errors
/// 403 for its other clients.
pub(super) async fn check(call: &Call) -> Result<(), Problem> {
    let caller = call.caller()?;
    let role = role(&call.app, &mut call.app.db.reader(), &caller.organisation, call.app.now()).await?;
    if caller.client_id == role.client_id(&caller.organisation) {
        return Ok(());
    }
    let detail = format!("this is for the client {} of your organisation", role.client_id(&caller.organisation));
    Err(Problem::new(Code::Forbidden, detail))
}
