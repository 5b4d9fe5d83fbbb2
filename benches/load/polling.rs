//! How often a hundred organisations can ask for their events while referrals are accepted.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use serde_json::json;
use sluis::app::App;
use sluis::demo::client::{Client, Identity};
use sluis::demo::governance::{new_key, signing_request};
use sluis::demo::world::World;
use sluis::ids::Oin;
use sluis::relay::{self, Event, Happening};
use sluis::storage::Tx;

use crate::client::{self, Answer, Target};
use crate::gateway::{Authorization, Bearer, Gateway};
use crate::load::{Script, closed, closed_each, open};
use crate::report::{Found, Line};
use crate::requests::Case;
use crate::run::Context;
use crate::scripts::{Getting, Referring, Size};
use crate::static_server::{self, StaticServer};
use crate::{Outcome, say};

const PART: &str = "Feeds read by 100 organisations on a connection each, while 50 referrals a second are accepted";
const ORGANISATIONS: usize = 100;
/// Events in each feed, one page.
const EVENTS: usize = 100;
/// Of so many polls the first finds the page, the others nothing.
const ROUND: usize = 10;
/// Referrals accepted a second.
const RATE: u32 = 50;

const FEED: &str = "/v1/events?limit=100";

/// Follows a feed to its end, asks a few times more, and begins again.
struct Following {
    authorization: HeaderValue,
    path: String,
    polls: usize,
    full: Size,
    empty: Size,
}

impl Script for Following {
    fn next(&mut self) -> Outcome<Request<Full<Bytes>>> {
        client::get(&self.path, &self.authorization)
    }

    fn answered(&mut self, answer: &Answer) -> Outcome<()> {
        if self.polls == 0 { &self.full } else { &self.empty }.set(answer);
        self.polls = (self.polls + 1) % ROUND;
        if self.polls == 0 {
            FEED.clone_into(&mut self.path);
            return Ok(());
        }
        let text = std::str::from_utf8(&answer.body)?;
        let next = text.rsplit_once("\"next\":\"").and_then(|(_, rest)| rest.split('"').next());
        next.ok_or("a page of events without the address of the next")?.clone_into(&mut self.path);
        Ok(())
    }
}

/// Measures the part.
pub async fn measure(context: &mut Context<'_>) -> Outcome<()> {
    let gateway = context.stage.serve()?;
    let world = context.stage.world(&gateway)?;
    say("load: registering organisations");
    let mut parties = Vec::new();
    for number in 0..ORGANISATIONS - 1 {
        parties.push(register(&world, number).await?);
    }
    let recipient = Case::ByLaw.recipient();
    let oin: Oin = world.words().party(recipient).ok_or("the recipient is no party")?.oin.parse()?;
    parties.push((oin, context.stage.identity(recipient)?));
    let app = context.stage.app().await?;
    for (feed, _) in &parties {
        fill(&app, feed.clone()).await?;
    }
    app.sequence().await?;
    drop(app);
    let scripts = followers(context, &gateway, &world, &parties).await?;
    let sizes = scripts.first().map(|(_, script)| (script.full.clone(), script.empty.clone())).unwrap_or_default();
    let target = context.stage.target(Case::ByLaw.sender(), gateway.port)?;
    let bearer = Bearer::of(&world, Case::ByLaw.sender()).await?;
    let referring = Referring::scripts(Case::ByLaw, 16, &bearer, None);
    let accepting = open(&target, StatusCode::CREATED, context.times, RATE, referring, None);
    let (polls, accepts) = tokio::join!(closed_each(StatusCode::OK, context.times, scripts), accepting);
    gateway.stop().await?;
    let reference = static_answers(context, sizes.0.get(), sizes.1.get()).await;
    let kind = Some(context.stage.kind);
    let line = Line::new(PART, "polls, one in ten with 100 events", kind, polls.measured());
    context.report.add(line.against("a static answer", reference));
    context.report.add(Line::new(PART, "accepting meanwhile, until the answer 201", kind, accepts.at_given_rate()));
    Ok(())
}

/// An organisation that is no party of the covenant: it has a feed like all others.
async fn register(world: &World, number: usize) -> Outcome<(Oin, Identity)> {
    let oin = format!("000000990001{number:05}000");
    let post = async |path: String, body| -> Outcome<sluis::demo::client::Answer> {
        let mut request = sluis::demo::client::Request::post(path, body);
        request.idempotency_key = Some(world.new_key()?);
        let answer = world.ask("administrator", request).await?;
        if answer.status == 201 { Ok(answer) } else { Err(format!("registering: {}", answer.text).into()) }
    };
    post("/v1/organisations".into(), json!({ "id": oin, "name": format!("Organisatie {number}") })).await?;
    let key = new_key()?;
    let csr = signing_request(&key, &oin, &[])?;
    let issued = post(format!("/v1/organisations/{oin}/certificates"), json!({ "csr": csr })).await?;
    let certificate = issued.text_at("/certificate").ok_or("no certificate was issued")?.as_bytes().to_vec();
    Ok((oin.parse()?, Identity { certificate, key }))
}

/// Events for an organisation, as the gateway itself writes them.
async fn fill(app: &App, feed: Oin) -> Outcome<()> {
    let mut events = Vec::new();
    for _ in 0..EVENTS {
        let happening = Happening::ReferralRequested { referral: app.new_id()?, due_at: None };
        events.push(Event {
            id: app.new_id()?,
            to: feed.clone().into(),
            happening,
            time: app.now(),
            trace_parent: None,
        });
    }
    let write = async move |tx: &mut Tx| {
        for event in &events {
            relay::enqueue(tx, event);
        }
        Ok(())
    };
    Ok(app.db.write("load-events", write).await?)
}

async fn followers(
    context: &Context<'_>,
    gateway: &Gateway,
    world: &World,
    parties: &[(Oin, Identity)],
) -> Outcome<Vec<(Target, Following)>> {
    let (base, ca) = (format!("https://localhost:{}", gateway.port), context.stage.ca()?);
    let (full, empty) = (Size::default(), Size::default());
    let mut followers = Vec::new();
    for (oin, identity) in parties {
        // The token lasts longer than the measurement.
        let client = Client::new(&base, &ca, Some(identity), oin.as_str(), world.clock().clone())?;
        let authorization = HeaderValue::try_from(format!("Bearer {}", client.token(None).await?))?;
        let script =
            Following { authorization, path: FEED.to_owned(), polls: 0, full: full.clone(), empty: empty.clone() };
        followers.push((Target::new(gateway.port, &ca, identity)?, script));
    }
    Ok(followers)
}

async fn static_answers(context: &mut Context<'_>, full: usize, empty: usize) -> Found {
    let name = "polls".to_owned();
    if let Some(known) = context.known(&name) {
        return known;
    }
    let found = async {
        let server = StaticServer::start(&context.stage.folder)?;
        let target = context.stage.target(Case::ByLaw.sender(), server.port)?;
        let nobody = Authorization::fixed(HeaderValue::from_static("Bearer none"));
        let mut paths = vec![static_server::path(empty); ROUND - 1];
        paths.push(static_server::path(full));
        let scripts = Getting::scripts(paths, ORGANISATIONS, &nobody);
        closed(&target, StatusCode::CREATED, context.times, scripts).await.measured()
    };
    let found = Found::from(found.await);
    context.remember(name, &found);
    found
}
