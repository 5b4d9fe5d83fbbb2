//! Pulling events: a page since a cursor, a page that is waited for, a stream.
//!
//! Invariant: whoever waits is checked again at least every second, so that a suspended organisation, a revoked certificate, a
//! token that was revoked or has expired, or a client whose scope was taken away gets nothing more.

use std::time::Duration;

use futures_util::{Stream, stream};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::cursor::Cursor;
use super::event::Published;
use super::outbox;
use super::{Addressee, Relay};
use crate::problem::Problem;

/// The longest time between two checks of the caller, and between two looks for what other gateways accepted.
const CHECK_EVERY: Duration = Duration::from_millis(700);
/// A stream in which nothing happens sends a comment this often, so that whoever stands between keeps it open.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Events in one piece of a stream.
const STREAM_BATCH: i64 = 100;

/// A place in a feed, which a caller reads from.
pub(super) struct Reading {
    relay: Relay,
    feed: Addressee,
    cursor: Cursor,
}

impl Reading {
    /// Begins at the cursor that a caller brought in the parameter `name`, or at the oldest event that is kept.
    ///
    /// # Errors
    /// 400 for a cursor that this feed did not give out, also one from before the gateway was restored from a backup: going on
    /// silently would lose events.
    pub(super) async fn begin(
        relay: &Relay,
        feed: &Addressee,
        name: &str,
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let reading = |cursor| Self { relay: relay.clone(), feed: feed.clone(), cursor };
        let Some(text) = cursor else { return Ok(reading(Cursor::START)) };
        let decoded = Cursor::decode(text, feed).ok();
        let head = outbox::head(&mut relay.db.reader(), feed).await?;
        match decoded {
            Some(cursor) if cursor.position() <= head => Ok(reading(cursor)),
            _ => Err(Problem::invalid_param(
                name,
                "cursor",
                "expected a cursor that this feed gave out; leave it out to start with the oldest event",
            )),
        }
    }

    /// The cursor after everything that was read.
    pub(super) fn cursor(&self) -> String {
        self.cursor.encode(&self.feed)
    }

    /// The next events, at most `limit`; an empty page when there are none.
    pub(super) async fn page(&mut self, limit: i64) -> Result<Vec<Published>, Problem> {
        let events = outbox::page(&mut self.relay.db.reader(), &self.feed, self.cursor.position(), limit).await?;
        if let Some(last) = events.last() {
            self.cursor = Cursor::after(last.position);
        }
        Ok(events)
    }

    /// The next events, waiting for them at most `wait`. `check` says whether the caller may still have them.
    pub(super) async fn wait<C>(&mut self, limit: i64, wait: Duration, check: C) -> Result<Vec<Published>, Problem>
    where
        C: AsyncFn() -> Result<(), Problem>,
    {
        let end = Instant::now() + wait;
        let mut events = self.relay.events();
        loop {
            events.borrow_and_update();
            let page = self.page(limit).await?;
            let left = end.saturating_duration_since(Instant::now());
            if !page.is_empty() || left.is_zero() || self.relay.is_stopping() {
                return Ok(page);
            }
            // Woken or not, look again: another gateway on the same database wakes nobody here.
            let _ = timeout(left.min(CHECK_EVERY), events.changed()).await;
            check().await?;
        }
    }

    /// All events from here on as server-sent events; ends when `check` fails or the database does.
    pub(super) fn stream<C>(self, check: C) -> impl Stream<Item = Vec<u8>>
    where
        C: AsyncFn() -> Result<(), Problem>,
    {
        let now = Instant::now();
        // Tells clients how long to wait before they come back, and makes the head of the answer leave at once.
        let opening = b"retry: 2000\n\n".to_vec();
        let events = self.relay.events();
        let following = Following { reading: self, check, events, checked: now, sent: now, opening: Some(opening) };
        stream::unfold(following, async |mut following| {
            let piece = following.next().await?;
            Some((piece, following))
        })
    }
}

struct Following<C> {
    reading: Reading,
    check: C,
    events: tokio::sync::watch::Receiver<u64>,
    checked: Instant,
    sent: Instant,
    opening: Option<Vec<u8>>,
}

impl<C> Following<C>
where
    C: AsyncFn() -> Result<(), Problem>,
{
    /// The next piece of the stream, or its end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        loop {
            self.events.borrow_and_update();
            if self.checked.elapsed() >= CHECK_EVERY {
                (self.check)().await.ok()?;
                self.checked = Instant::now();
            }
            let before = self.reading.cursor;
            let page = self.reading.page(STREAM_BATCH).await.ok()?;
            if !page.is_empty() {
                self.sent = Instant::now();
                return self.render(&page, before);
            }
            if self.reading.relay.is_stopping() {
                return None;
            }
            if self.sent.elapsed() >= KEEP_ALIVE_EVERY {
                self.sent = Instant::now();
                return Some(b": nothing new\n\n".to_vec());
            }
            let left = CHECK_EVERY.saturating_sub(self.checked.elapsed());
            let _ = timeout(left, self.events.changed()).await;
        }
    }

    /// Each event with the cursor after it as its id (HTML standard, server-sent events).
    fn render(&mut self, page: &[Published], before: Cursor) -> Option<Vec<u8>> {
        let speaker = self.reading.relay.speaker.clone();
        let mut piece = Vec::new();
        for event in page {
            let Ok(body) = event.to_bytes(&speaker) else {
                // Nothing of the page is skipped: the client comes back at the place where it was.
                self.reading.cursor = before;
                return None;
            };
            piece.extend(format!("id: {}\ndata: ", Cursor::after(event.position).encode(&self.reading.feed)).bytes());
            piece.extend(body);
            piece.extend(b"\n\n");
        }
        Some(piece)
    }
}

/// The events of a page as `CloudEvents`.
pub(super) fn cloud_events(relay: &Relay, page: &[Published]) -> Result<Vec<Value>, Problem> {
    let speaker = relay.speaker.clone();
    page.iter().map(|event| event.to_json(&speaker).map_err(Problem::from)).collect()
}
