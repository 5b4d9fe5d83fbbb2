//! What a handler answers, independent of the web framework.

use std::convert::Infallible;
use std::pin::Pin;

use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde_json::Value;

use crate::problem::Problem;

/// A stream of pieces of a body that is sent while it is made.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>>>>;

/// The body of an answer.
pub enum Body {
    /// None.
    Empty,
    /// JSON, sent as `application/json`.
    Json(Value),
    /// Bytes of another media type.
    Bytes(&'static str, Vec<u8>),
    /// A stream of another media type.
    Stream(&'static str, BodyStream),
}

/// An answer: status, headers, body.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside those that every answer carries.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

impl Answer {
    fn json(status: u16, body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self { status, headers: Vec::new(), body: Body::Json(serde_json::to_value(body)?) })
    }

    /// 200 with a JSON body.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(200, body)
    }

    /// 201 with the place of what was created and its JSON body.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn created(location: impl Into<String>, body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self::json(201, body)?.header("Location", location))
    }

    /// 204.
    #[must_use]
    pub const fn no_content() -> Self {
        Self { status: 204, headers: Vec::new(), body: Body::Empty }
    }

    /// 200 with bytes of another media type.
    #[must_use]
    pub const fn bytes(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Bytes(media_type, bytes) }
    }

    /// 200 with a stream of another media type.
    pub fn stream(media_type: &'static str, pieces: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Stream(media_type, Box::pin(pieces)) }
    }

    /// The same answer with another status.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same answer; a stream in it holds `guard` until it ends.
    #[must_use]
    pub(super) fn holding<G: 'static>(mut self, guard: G) -> Self {
        if let Body::Stream(media_type, pieces) = self.body {
            let pieces = pieces.map(move |piece| {
                let _held = &guard;
                piece
            });
            self.body = Body::Stream(media_type, Box::pin(pieces));
        }
        self
    }

    /// The same answer with an entity tag made of a version number.
    #[must_use]
    pub fn etag(self, version: impl std::fmt::Display) -> Self {
        self.header("ETag", format!("\"{version}\""))
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let mut answer =
            Self { status: problem.code().status(), headers: Vec::new(), body: Body::Json(problem.to_json()) };
        answer.headers.push(("Content-Type", "application/problem+json".into()));
        answer
    }
}
