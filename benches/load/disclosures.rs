//! How many sections are handed to their recipient a second: each time decided again and recorded before it goes out.

use std::sync::PoisonError;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::Outcome;
use crate::client::Target;
use crate::gateway::{Authorization, Bearer};
use crate::load::{Times, closed};
use crate::report::{Found, Line};
use crate::requests::Case;
use crate::run::Context;
use crate::scripts::{Accepted, Getting, Referring};
use crate::static_server::{self, StaticServer};

const PART: &str = "Sections handed to their recipient (decided again, recorded, on disk)";
const CONNECTIONS: usize = 32;

/// Measures the part.
pub async fn measure(context: &mut Context<'_>) -> Outcome<()> {
    let gateway = context.stage.serve()?;
    let world = context.stage.world(&gateway)?;
    let case = Case::ByLaw;
    let sender = context.stage.target(case.sender(), gateway.port)?;
    let bearer = Bearer::of(&world, case.sender()).await?;
    let paths = accept(&sender, &bearer, context.times).await?;
    let recipient = context.stage.target(case.recipient(), gateway.port)?;
    let bearer = Bearer::of(&world, case.recipient()).await?;
    let scripts = Getting::scripts(paths, CONNECTIONS, &bearer.shared());
    let size = scripts.first().map(|script| script.size.clone());
    let load = closed(&recipient, StatusCode::OK, context.times, scripts).await;
    gateway.stop().await?;
    let reference = static_answers(context, CONNECTIONS, size.map_or(0, |size| size.get())).await;
    let what = format!("{CONNECTIONS} connections");
    let line = Line::new(PART, what, Some(context.stage.kind), load.measured());
    context.report.add(line.against("a static answer", reference));
    Ok(())
}

/// Referrals to read; the paths of their sections.
pub async fn accept(target: &Target, bearer: &Bearer, times: Times) -> Outcome<Vec<String>> {
    let accepted = Accepted::default();
    let scripts = Referring::scripts(Case::ByLaw, CONNECTIONS, bearer, Some(&accepted));
    let times = Times { warm_up: Duration::ZERO, time: times.time };
    closed(target, StatusCode::CREATED, times, scripts).await.check()?;
    let accepted = accepted.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(accepted.iter().map(|id| format!("/v1/referrals/{id}/sections")).collect())
}

/// What as many connections get from the static server for reading as many bytes.
pub async fn static_answers(context: &mut Context<'_>, connections: usize, size: usize) -> Found {
    // What differs by some bytes is the same.
    let name = format!("read {connections} {}", size / 256);
    if let Some(known) = context.known(&name) {
        return known;
    }
    let found = async {
        let server = StaticServer::start(&context.stage.folder)?;
        let target = context.stage.target(Case::ByLaw.sender(), server.port)?;
        let nobody = Authorization::fixed(HeaderValue::from_static("Bearer none"));
        let scripts = Getting::scripts(vec![static_server::path(size)], connections, &nobody);
        closed(&target, StatusCode::CREATED, context.times, scripts).await.measured()
    };
    let found = Found::from(found.await);
    context.remember(name, &found);
    found
}
