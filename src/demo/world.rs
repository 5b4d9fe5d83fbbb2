//! What a scenario is played on: a running gateway, the clients of its parties, and the partners' own systems.
//!
//! Invariant: it knows the gateway only by its address and its CA, as any partner does; the clock is the gateway's own
//! where the gateway runs in this process and its time may be moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::client::{Answer, Client, ClientError, Identity, Inspector, Request};
use super::envelopes::EnvelopeError;
use super::partner::{PARTNER_HOST, Partner, PartnerError};
use super::words::{MUNICIPALITY, ROLES, Words};
use crate::app::StartError;
use crate::clock::{Clock, Timestamp};
use crate::encryption::PrivateKey;
use crate::ids::{Entropy, NoEntropy};
use crate::problem::Problem;

/// What stops the play itself, apart from a scenario that goes otherwise than it should.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The gateway did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A partner's system does not run.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// Something that the play prepares was refused.
    #[error("{what}: the gateway answered {status} {text}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The HTTP status code.
        status: u16,
        /// The body of the answer.
        text: String,
    },
    /// The gateway could not do at once what it does by itself.
    #[error("the gateway could not look at what is open: {0}")]
    Gateway(#[from] Problem),
    /// The gateway did not start again.
    #[error("the gateway does not start again: {0}")]
    Start(#[from] StartError),
    /// A section could not be encrypted.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// An actor was told of several cases.
    #[error("which of the cases that it was told of is {0} cannot be known")]
    WhichCase(String),
    /// An actor without certificate.
    #[error("{0} has no certificate for this gateway")]
    Stranger(String),
    /// A key or certificate could not be made.
    #[error("no signing request could be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// A running gateway with everyone who takes part.
pub struct World {
    base: String,
    ca: Vec<u8>,
    clock: Clock,
    words: Words,
    entropy: Entropy,
    clients: BTreeMap<String, Client>,
    identities: BTreeMap<String, Identity>,
    partners: BTreeMap<String, Partner>,
    feeds: BTreeMap<String, Feed>,
    /// The private keys of the parties' systems, for sections.
    keys: BTreeMap<String, Vec<PrivateKey>>,
    nobody: Client,
    inspector: Option<Inspector>,
}

/// What an actor has read of its events so far.
#[derive(Default)]
struct Feed {
    next: Option<String>,
    events: Vec<Value>,
    ids: BTreeSet<String>,
}

impl World {
    /// The gateway at `base`, known by its CA (PEM).
    ///
    /// # Errors
    /// When the CA cannot be used.
    pub fn new(base: &str, ca: Vec<u8>, clock: Clock, words: Words) -> Result<Self, PlayError> {
        let nobody = Client::new(base, &ca, None, "", clock.clone())?;
        Ok(Self {
            base: base.to_owned(),
            ca,
            clock,
            words,
            entropy: Entropy::system(),
            clients: BTreeMap::new(),
            identities: BTreeMap::new(),
            partners: BTreeMap::new(),
            feeds: BTreeMap::new(),
            keys: BTreeMap::new(),
            nobody,
            inspector: None,
        })
    }

    /// Gives an actor (a party, or one of the municipality's own clients) its certificate.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn admit(&mut self, who: &str, identity: Identity) -> Result<(), PlayError> {
        let client_id = client_id(&self.words, who).ok_or_else(|| PlayError::Stranger(who.to_owned()))?;
        let mut client = Client::new(&self.base, &self.ca, Some(&identity), &client_id, self.clock.clone())?;
        if let Some(inspector) = &self.inspector {
            client.inspect_with(Arc::clone(inspector));
        }
        self.clients.insert(who.to_owned(), client);
        self.identities.insert(who.to_owned(), identity);
        Ok(())
    }

    /// Has every answer that anybody gets from now on looked at.
    pub fn inspect_with(&mut self, inspector: &Inspector) {
        for client in self.clients.values_mut().chain(std::iter::once(&mut self.nobody)) {
            client.inspect_with(Arc::clone(inspector));
        }
        self.inspector = Some(Arc::clone(inspector));
    }

    /// Starts the partner's own system and has the gateway push the partner's events there.
    ///
    /// # Errors
    /// When the system cannot start, or the gateway refuses the subscription.
    pub async fn start_partner(&mut self, slug: &str) -> Result<(), PlayError> {
        let identity = self.identity(slug)?.clone();
        let partner = Partner::start(&identity, self.clock.clone())?;
        self.drop_former_subscriptions(slug).await?;
        let mut request = Request::post("/v1/subscriptions", json!({ "sink": partner.sink() }));
        request.idempotency_key = Some(self.new_key()?);
        let created = self.ask(slug, request).await?;
        let secret = created.text_at("/secret").filter(|_| created.status == 201);
        partner.keep_secret(secret.ok_or_else(|| refused("subscribing", &created))?);
        self.partners.insert(slug.to_owned(), partner);
        Ok(())
    }

    /// An earlier play on the same data left subscriptions to systems that run no more.
    async fn drop_former_subscriptions(&self, slug: &str) -> Result<(), PlayError> {
        let page = self.ask(slug, Request::get("/v1/subscriptions?limit=1000")).await?;
        let items = page.body.get("items").and_then(Value::as_array).ok_or_else(|| refused("subscriptions", &page))?;
        for id in items.iter().filter(|item| is_on_this_machine(item)).filter_map(|item| item.get("id")?.as_str()) {
            let mut request = Request::get(format!("/v1/subscriptions/{id}"));
            request.method = reqwest::Method::DELETE;
            self.ask(slug, request).await?;
        }
        Ok(())
    }

    /// Sends a request with the actor's own certificate and a token for all its scopes.
    ///
    /// # Errors
    /// When no answer comes, or no token is given.
    pub async fn ask(&self, who: &str, mut request: Request) -> Result<Answer, PlayError> {
        let client = self.client(who)?;
        request.token = Some(client.token(None).await?);
        Ok(client.send(&request).await?)
    }

    /// The client of an actor.
    ///
    /// # Errors
    /// When the actor has no certificate here.
    pub fn client(&self, who: &str) -> Result<&Client, PlayError> {
        self.clients.get(who).ok_or_else(|| PlayError::Stranger(who.to_owned()))
    }

    /// A client without certificate.
    #[must_use]
    pub const fn nobody(&self) -> &Client {
        &self.nobody
    }

    /// Certificate and key of an actor.
    ///
    /// # Errors
    /// When the actor has no certificate here.
    pub fn identity(&self, who: &str) -> Result<&Identity, PlayError> {
        self.identities.get(who).ok_or_else(|| PlayError::Stranger(who.to_owned()))
    }

    /// A partner's own system, when it has one.
    ///
    /// # Errors
    /// When the partner runs none here.
    pub fn partner(&self, slug: &str) -> Result<&Partner, PlayError> {
        self.partners.get(slug).ok_or_else(|| PlayError::Stranger(slug.to_owned()))
    }

    /// Has a party's system keep a key for sections, beside the former ones.
    pub fn keep_key(&mut self, who: &str, key: PrivateKey) {
        self.keys.entry(who.to_owned()).or_default().push(key);
    }

    /// The keys for sections of a party's system.
    #[must_use]
    pub fn keys_of(&self, who: &str) -> &[PrivateKey] {
        self.keys.get(who).map_or(&[], Vec::as_slice)
    }

    /// The words of the covenant.
    #[must_use]
    pub const fn words(&self) -> &Words {
        &self.words
    }

    /// The gateway's time.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A fresh idempotency key.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new_key(&self) -> Result<String, PlayError> {
        Ok(self.entropy.uuid(self.clock.now())?.to_string())
    }

    /// Reads on in the actor's event feed until it is empty for now.
    ///
    /// # Errors
    /// When the gateway refuses or does not answer.
    pub async fn read_feed(&mut self, who: &str) -> Result<(), PlayError> {
        let mut feed = self.feeds.remove(who).unwrap_or_default();
        let read = self.read_on(who, &mut feed).await;
        self.feeds.insert(who.to_owned(), feed);
        read
    }

    async fn read_on(&self, who: &str, feed: &mut Feed) -> Result<(), PlayError> {
        loop {
            let path = feed.next.clone().unwrap_or_else(|| "/v1/events?limit=1000".to_owned());
            let page = self.ask(who, Request::get(path)).await?;
            let items = page.body.get("items").and_then(Value::as_array).ok_or_else(|| refused("events", &page))?;
            feed.next = page.text_at("/next").map(str::to_owned);
            if items.is_empty() {
                return Ok(());
            }
            for event in items {
                // At least once: what came before is recognised by its id.
                let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
                if feed.ids.insert(id.to_owned()) {
                    feed.events.push(event.clone());
                }
            }
        }
    }

    /// The events about one thing that the actor has read from its feed.
    #[must_use]
    pub fn events_about(&self, who: &str, id: &str) -> Vec<Value> {
        let about = |event: &&Value| event.get("subject").and_then(Value::as_str) == Some(id);
        self.feeds.get(who).map(|feed| feed.events.iter().filter(about).cloned().collect()).unwrap_or_default()
    }

    /// The events that happened at this moment or later, of those that the actor has read from its feed.
    #[must_use]
    pub fn events_since(&self, who: &str, began: Timestamp) -> Vec<Value> {
        let time = |event: &Value| event.get("time").and_then(Value::as_str).and_then(|time| time.parse().ok());
        let since = |event: &&Value| time(event).is_some_and(|time: Timestamp| time >= began);
        self.feeds.get(who).map(|feed| feed.events.iter().filter(since).cloned().collect()).unwrap_or_default()
    }

    /// Stops the partners' systems.
    pub async fn close(&self) {
        for partner in self.partners.values() {
            partner.down().await;
        }
    }
}

/// The client id of an actor: the OIN of a party; for a named client of the municipality its role behind the OIN.
#[must_use]
pub fn client_id(words: &Words, who: &str) -> Option<String> {
    if ROLES.iter().any(|(role, ..)| *role == who) {
        return words.party(MUNICIPALITY).map(|party| format!("{}-{who}", party.oin));
    }
    words.party(who).map(|party| party.oin.clone())
}

/// An answer that stops the play.
#[must_use]
pub fn refused(what: &'static str, answer: &Answer) -> PlayError {
    PlayError::Refused { what, status: answer.status, text: answer.text.clone() }
}

fn is_on_this_machine(subscription: &Value) -> bool {
    let sink = subscription.get("sink").and_then(Value::as_str).and_then(|sink| url::Url::parse(sink).ok());
    sink.is_some_and(|sink| sink.host_str() == Some(PARTNER_HOST) && sink.path() == "/webhook")
}
