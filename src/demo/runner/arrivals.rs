//! Waits for events: until as many as expected are there, and then until no more come.

use std::time::Duration;

use serde_json::Value;

use super::super::expect::{Seen, event_type};
use super::super::scenario::{Arrival, Channel, OVERDUE_HANDOFFS, Step};
use super::super::world::PlayError;
use super::Play;

/// How long an event may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing more must be pushed before the events are counted.
const QUIET: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(50);

impl Play<'_> {
    /// The events about one thing.
    pub(super) async fn arrivals(&mut self, step: &Step, arrival: &Arrival) -> Result<Seen, PlayError> {
        let expected = step.then.events.as_ref().map_or(0, Vec::len);
        let started = tokio::time::Instant::now();
        let mut events = self.arrived(&step.who, arrival).await?;
        while events.len() < expected && started.elapsed() < PATIENCE {
            tokio::time::sleep(PAUSE).await;
            events = self.arrived(&step.who, arrival).await?;
        }
        // What is pulled is complete: everything that was written has got its place in the feed.
        if arrival.by == Channel::Webhook {
            tokio::time::sleep(QUIET).await;
            events = self.arrived(&step.who, arrival).await?;
        }
        Ok(Seen { events, ..Seen::default() })
    }

    async fn arrived(&mut self, who: &str, arrival: &Arrival) -> Result<Vec<Value>, PlayError> {
        let id = self.id_of(&arrival.about, who).await?;
        if arrival.by == Channel::Webhook {
            return Ok(self.house.world.partner(who)?.events_about(&id));
        }
        self.house.app().sequence().await?;
        self.house.world.read_feed(who).await?;
        if arrival.about == OVERDUE_HANDOFFS {
            let events = self.house.world.events_since(who, self.began);
            return Ok(events.into_iter().filter(|event| event_type(event).starts_with("handoff.")).collect());
        }
        Ok(self.house.world.events_about(who, &id))
    }

    /// The id by which this actor knows what a step gave a name.
    async fn id_of(&mut self, name: &str, who: &str) -> Result<String, PlayError> {
        if self.cases.contains_key(name) {
            return self.alias(name, who).await;
        }
        if self.emergencies.contains_key(name) {
            return Ok(self.emergency(name));
        }
        match self.referrals.get(name) {
            Some(sent) => Ok(sent.id.clone()),
            None => self.consent_of(name, who).await,
        }
    }
}
