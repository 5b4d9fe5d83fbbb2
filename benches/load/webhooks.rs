//! How long it takes at a given rate from accepting a referral until its recipient's own system has been told.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde_json::json;
use sluis::demo::client::Request;
use sluis::demo::world::World;
use tokio::sync::mpsc;

use crate::Outcome;
use crate::client::Answer;
use crate::gateway::{Authorization, Bearer};
use crate::load::open;
use crate::receiver::Receiver;
use crate::report::{Found, Line};
use crate::requests::Case;
use crate::run::Context;
use crate::scripts::Referring;
use crate::static_server::{self, StaticServer};
use crate::statistics::{Measured, micros};

const PART: &str = "From accepting to the webhook, 100 referrals a second on a fixed schedule";
/// A second.
const RATE: u32 = 100;
/// More than are needed where nothing waits.
const CONNECTIONS: usize = 32;
/// How long what was accepted may take to arrive.
const PATIENCE: Duration = Duration::from_mins(1);

/// Measures the part.
pub async fn measure(context: &mut Context<'_>) -> Outcome<()> {
    let gateway = context.stage.serve()?;
    let world = context.stage.world(&gateway)?;
    let case = Case::ByLaw;
    let receiver = Receiver::start(&context.stage.identity(case.recipient())?)?;
    let subscription = subscribe(&world, case.recipient(), &receiver.sink).await?;
    let target = context.stage.target(case.sender(), gateway.port)?;
    let bearer = Bearer::of(&world, case.sender()).await?;
    let scripts = Referring::scripts(case, CONNECTIONS, &bearer, None);
    let size = scripts.first().map(|script| script.size.clone());
    let (watch, answers) = mpsc::unbounded_channel();
    let load = open(&target, StatusCode::CREATED, context.times, RATE, scripts, Some(watch)).await;
    let received = arrivals(&receiver, answers).await;
    let mut unsubscribe = Request::get(format!("/v1/subscriptions/{subscription}"));
    unsubscribe.method = reqwest::Method::DELETE;
    world.ask(case.recipient(), unsubscribe).await?;
    receiver.stop().await;
    gateway.stop().await?;

    let size = size.map_or(0, |size| size.get());
    let reference = static_answers(context, size).await;
    let kind = Some(context.stage.kind);
    let accepted = Found::from(load.at_given_rate());
    let line = Line::new(PART, "until the answer 201", kind, accepted.clone());
    context.report.add(line.against("a static answer", reference.clone()));
    let line = Line::new(PART, "until the webhook is there", kind, received);
    context.report.add(line.against("the answer 201", accepted).against("a static answer", reference));
    Ok(())
}

/// Has the partner's events pushed to its system, and waits until that is agreed; the id of the subscription.
async fn subscribe(world: &World, who: &str, sink: &str) -> Outcome<String> {
    let mut request = Request::post("/v1/subscriptions", json!({ "sink": sink }));
    request.idempotency_key = Some(world.new_key()?);
    let created = world.ask(who, request).await?;
    let id = created.text_at("/id").filter(|_| created.status == 201).ok_or_else(|| created.text.clone())?.to_owned();
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let now = world.ask(who, Request::get(format!("/v1/subscriptions/{id}"))).await?;
        if now.text_at("/status") == Some("active") {
            return Ok(id);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the subscription did not become active".into())
}

/// From the moment at which a referral was due to be sent until its recipient had been told of it.
async fn arrivals(receiver: &Receiver, mut answers: mpsc::UnboundedReceiver<(Instant, Answer)>) -> Outcome<Measured> {
    let mut latencies = Vec::new();
    let begin = Instant::now();
    while let Some((due, answer)) = answers.recv().await {
        let location = answer.location.as_ref().and_then(|location| location.to_str().ok());
        let id = location.and_then(|location| location.rsplit('/').next()).ok_or("an answer without Location")?;
        let arrival = loop {
            if let Some(arrival) = receiver.arrival(id) {
                break arrival;
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("a webhook did not arrive within {} s after the load", PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        latencies.push(micros(arrival.saturating_duration_since(due)));
    }
    Measured::at_given_rate(latencies).ok_or_else(|| "nothing was accepted within the measured time".into())
}

async fn static_answers(context: &mut Context<'_>, size: usize) -> Found {
    let name = format!("static at {RATE}/s");
    if let Some(known) = context.known(&name) {
        return known;
    }
    let found = async {
        let server = StaticServer::start(&context.stage.folder)?;
        let target = context.stage.target(Case::ByLaw.sender(), server.port)?;
        let nobody = Authorization::fixed(HeaderValue::from_static("Bearer none"));
        let scripts = Referring::to(&static_server::path(size), Case::ByLaw, CONNECTIONS, &nobody, None);
        open(&target, StatusCode::CREATED, context.times, RATE, scripts, None).await.at_given_rate()
    };
    let found = Found::from(found.await);
    context.remember(name, &found);
    found
}
