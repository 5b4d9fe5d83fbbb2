//! What is asked before a request is looked at: is there room, is it small enough, has its sender not asked too much already.
//!
//! Invariant: every refusal here is counted under its limit, and says when to come back if coming back helps.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::Version;
use actix_web::web::Bytes;
use serde_json::Value;

use super::limits::{Slot, Stranger};
use super::{Answer, Caller};
use crate::app::App;
use crate::ids::Oin;
use crate::monitoring::Limit;
use crate::problem::{Code, Problem};
use crate::tls::{PeerCertificate, UnderWay};

/// Room for a request; `closed` when its connection was closed for being idle.
pub(super) fn room(app: &App, request: &HttpRequest, closed: bool) -> Result<Slot, Problem> {
    // HTTP/1 connections end by themselves after what is under way; on those of HTTP/2 new requests could go on for ever.
    if closed || (request.version() == Version::HTTP_2 && app.signals.is_stopping()) {
        app.metrics.refused(Limit::Stopping);
        let detail = "the gateway stops and has not looked at this; send it again on a new connection";
        return Err(Problem::new(Code::Unavailable, detail).retry_after(Duration::from_secs(1)));
    }
    app.limits.begin().inspect_err(|_| app.metrics.refused(Limit::Concurrency))
}

/// Counts how a request that was taken on ended, as far as limits go.
pub(super) fn count(app: &App, request: &HttpRequest, handled: &Result<Answer, Problem>) {
    let status = match handled {
        Ok(answer) => answer.status,
        Err(problem) => problem.code().status(),
    };
    match status {
        401 => app.limits.refused(&stranger(request)),
        503 => app.metrics.refused(Limit::Unavailable),
        _ => {}
    }
}

/// Who is at the other end, before it is recognised.
fn stranger(request: &HttpRequest) -> Stranger {
    Stranger::of(request.conn_data::<PeerCertificate>(), request.peer_addr().map(|address| address.ip()))
}

pub(super) fn check_barred(app: &App, request: &HttpRequest) -> Result<(), Problem> {
    app.limits.check_barred(&stranger(request)).inspect_err(|_| app.metrics.refused(Limit::Anonymous))
}

pub(super) fn admit_stranger(app: &App, request: &HttpRequest) -> Result<(), Problem> {
    app.limits.admit_stranger(&stranger(request)).inspect_err(|_| app.metrics.refused(Limit::Anonymous))
}

/// Lets a recognised organisation in, and has the log name it.
pub(super) fn admit(app: &App, organisation: &Oin) -> Result<(), Problem> {
    tracing::Span::current().record("organisation", organisation.as_str());
    app.limits.admit(organisation).inspect_err(|_| app.metrics.refused(Limit::Organisation))
}

/// Lets a request in that names a resident by a match, wherever it does so: who tries many guesses.
pub(super) fn admit_match(app: &App, caller: Option<&Caller>, body: &Value) -> Result<(), Problem> {
    match caller.filter(|_| body.pointer("/subject/match").is_some()) {
        Some(caller) => app.limits.admit_match(&caller.organisation).inspect_err(|_| app.metrics.refused(Limit::Match)),
        None => Ok(()),
    }
}

/// What is larger by far does not get here: actix-web refuses it while it is read.
pub(super) fn check_headers(app: &App, request: &HttpRequest) -> Result<(), Problem> {
    let size: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    let limit = app.config.limits.header_bytes;
    if size + request.uri().path_and_query().map_or(0, |path| path.as_str().len()) <= limit {
        return Ok(());
    }
    app.metrics.refused(Limit::HeaderSize);
    Err(Problem::new(
        Code::HeadersTooLarge,
        format!("the address and all headers together may be at most {limit} bytes"),
    ))
}

/// A body that keeps its connection from counting as idle until it is sent.
pub(super) struct Sent {
    body: BoxBody,
    #[expect(dead_code, reason = "held, not read")]
    under_way: UnderWay,
}

impl Sent {
    pub(super) const fn new(body: BoxBody, under_way: UnderWay) -> Self {
        Self { body, under_way }
    }
}

impl MessageBody for Sent {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}
