//! The one table of error codes, and the problem detail (RFC 9457) that every failed request is answered with.
//!
//! Invariant: a problem's text is written here or by the code that refuses, never taken from the input or from a library's
//! error; what went wrong inside is logged once, where it happened.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ids::NoEntropy;
use crate::storage;
use crate::storage::seal::SealError;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// The closed list of problem codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it stands in an answer.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The HTTP status that belongs to it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// A short summary that is the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    /// Parameters, headers or body do not fit the contract; `invalidParams` lists all of it.
    InvalidInput = "invalid-input", 400, "The request does not fit the contract";
    /// The body is no JSON.
    MalformedJson = "malformed-json", 400, "The body is not valid JSON";
    /// `Idempotency-Key` is missing or malformed.
    IdempotencyKeyRequired = "idempotency-key-required", 400, "An Idempotency-Key header is required";
    /// No client certificate on the connection.
    CertificateRequired = "client-certificate-required", 401, "A client certificate is required";
    /// The certificate belongs to no registered client.
    CertificateUnknown = "certificate-unknown", 401, "The client certificate is not known here";
    /// The certificate was revoked.
    CertificateRevoked = "certificate-revoked", 401, "The client certificate was revoked";
    /// The certificate is no longer, or not yet, valid.
    CertificateExpired = "certificate-expired", 401, "The client certificate is outside its validity";
    /// Revocation of the certificate cannot be checked.
    RevocationUnknown = "revocation-unknown", 401, "Revocation of the client certificate cannot be checked";
    /// The organisation is suspended.
    OrganisationSuspended = "organisation-suspended", 401, "The organisation is suspended";
    /// The organisation has left.
    OrganisationRetired = "organisation-retired", 401, "The organisation has left";
    /// No bearer token.
    TokenRequired = "token-required", 401, "An access token is required";
    /// The token is malformed, expired, not ours or not for us.
    TokenInvalid = "token-invalid", 401, "The access token is not valid";
    /// The token was revoked.
    TokenRevoked = "token-revoked", 401, "The access token was revoked";
    /// The token is bound to another certificate.
    TokenBinding = "token-binding", 401, "The access token is bound to another certificate";
    /// The token lacks the scope.
    InsufficientScope = "insufficient-scope", 403, "The access token lacks a scope that this needs";
    /// The caller may not do this.
    Forbidden = "forbidden", 403, "This is not allowed";
    /// The covenant refuses it; `decision` says why.
    Refused = "refused", 403, "The covenant does not allow this";
    /// The caller set a safety veto for the resident itself.
    SafetyVeto = "safety-veto", 403, "Your organisation set a safety veto for this resident";
    /// Nothing may be handed over any more.
    DisclosureRefused = "disclosure-refused", 403, "Nothing may be handed over any more";
    /// No such thing, or not for this caller: the two are not told apart.
    NotFound = "not-found", 404, "There is nothing here";
    /// The path knows other methods.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
    /// No representation that the caller accepts.
    NotAcceptable = "not-acceptable", 406, "No acceptable representation";
    /// The body did not arrive in time.
    RequestTimeout = "request-timeout", 408, "The request took too long to arrive";
    /// The idempotency key was used with another body.
    IdempotencyKeyReused = "idempotency-key-reused", 409, "The Idempotency-Key was used with another body";
    /// The step is not possible in the present state; `allowedSteps` says what is.
    StepNotAllowed = "step-not-allowed", 409, "This step is not possible now";
    /// A case cannot be closed: referrals of it are open; `openReferrals` and `otherOpenReferrals` say which.
    StillOpen = "still-open", 409, "Something is still open";
    /// It exists already.
    AlreadyExists = "already-exists", 409, "It exists already";
    /// The rules of a covenant are not shown to keep its invariants.
    NotProven = "not-proven", 409, "The invariants are not proven";
    /// The present state does not permit it.
    Conflict = "conflict", 409, "The present state does not permit this";
    /// `If-Match` names a version that has passed.
    PreconditionFailed = "precondition-failed", 412, "It was changed in the meantime";
    /// The body is too large.
    PayloadTooLarge = "payload-too-large", 413, "The body is too large";
    /// The headers are too large.
    HeadersTooLarge = "headers-too-large", 431, "The headers are too large";
    /// The body has an unknown media type.
    UnsupportedMediaType = "unsupported-media-type", 415, "The media type is not supported";
    /// Too many requests.
    TooManyRequests = "too-many-requests", 429, "Too many requests";
    /// Something failed inside.
    Internal = "internal", 500, "Something went wrong inside the gateway";
    /// A part that is needed is not available now.
    Unavailable = "unavailable", 503, "The gateway cannot do this now";
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvalidParam {
    /// Where: a parameter's name, or a path into the body such as `sections[1].category`.
    pub name: String,
    /// A code from a closed list, such as `required` or `unknown-code`.
    pub code: Cow<'static, str>,
    /// What was expected; never the offending value, which may be personal data.
    pub reason: String,
}

impl InvalidParam {
    /// One thing that is wrong.
    #[must_use]
    pub fn new(name: impl Into<String>, code: &'static str, reason: impl Into<String>) -> Self {
        Self { name: name.into(), code: Cow::Borrowed(code), reason: reason.into() }
    }
}

/// A problem detail (RFC 9457).
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    invalid: Vec<InvalidParam>,
    extensions: Map<String, Value>,
    transient: bool,
    stale: bool,
    retry_after: Option<Duration>,
}

/// How often something is tried whose ground moves.
const ATTEMPTS: usize = 5;

/// Runs `attempt` until what it rests on holds still from its reading to the commit.
///
/// # Errors
/// Those of `attempt`; 503 when it does not hold still.
pub async fn until_settled<T>(attempt: impl AsyncFn() -> Result<T, Problem>) -> Result<T, Problem> {
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(problem) if problem.is_stale() => {}
            settled => return settled,
        }
    }
    attempt().await
}

impl Problem {
    /// A problem with what happened and what to do about it, in words for the caller.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            invalid: Vec::new(),
            extensions: Map::new(),
            transient: false,
            stale: false,
            retry_after: None,
        }
    }

    /// The request does not fit the contract.
    #[must_use]
    pub fn invalid(invalid: Vec<InvalidParam>) -> Self {
        let mut problem = Self::new(Code::InvalidInput, "see invalidParams for every field that must be mended");
        problem.invalid = invalid;
        problem
    }

    /// One field does not fit.
    #[must_use]
    pub fn invalid_param(name: &str, code: &'static str, reason: impl Into<String>) -> Self {
        Self::invalid(vec![InvalidParam::new(name, code, reason)])
    }

    /// No such thing, or not for this caller.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "no such resource, or none that you may see")
    }

    /// A failure inside; `what` goes to the log only.
    #[must_use]
    pub fn internal(what: &str) -> Self {
        tracing::error!(what, "internal failure");
        Self::new(
            Code::Internal,
            "the failure was logged; try again, and report the time and the request id if it stays",
        )
    }

    /// A failure of the storage, logged here.
    #[must_use]
    pub fn storage(error: &storage::Error) -> Self {
        if matches!(error, storage::Error::Lost) {
            return Self::stale();
        }
        let transient = error.is_transient();
        if !transient {
            tracing::error!(%error, "storage failure");
        }
        let mut problem =
            Self::new(Code::Unavailable, "nothing was stored; try again with the same Idempotency-Key after a moment");
        problem.transient = transient;
        problem
    }

    /// What a decision rested on has changed before it could be committed: it must be decided again.
    #[must_use]
    pub fn stale() -> Self {
        let mut problem = Self::new(Code::Unavailable, "the situation keeps changing; try again after a moment");
        problem.stale = true;
        problem
    }

    /// Whether it must be decided again.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Adds a member to the answer, such as `decision` or `allowedSteps`.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.extensions.insert(name.to_owned(), value);
        self
    }

    /// The same problem, with how long to wait before trying again.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// How long to wait before trying again, in whole seconds and at least one; none where trying again may not help.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let usual = matches!(self.code, Code::Unavailable | Code::TooManyRequests).then_some(Duration::from_secs(2));
        let wait = self.retry_after.or(usual)?;
        Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }

    /// Which problem this is.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Whether the same work may succeed when it is done again at once (a lost transaction).
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.transient
    }

    /// The answer's body.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("type".into(), format!("/v1/openapi.json#/components/x-problems/{}", self.code.as_str()).into());
        body.insert("status".into(), self.code.status().into());
        body.insert("title".into(), self.code.title().into());
        body.insert("detail".into(), self.detail.as_ref().into());
        body.insert("code".into(), self.code.as_str().into());
        if !self.invalid.is_empty() {
            body.insert("invalidParams".into(), serde_json::to_value(&self.invalid).unwrap_or_default());
        }
        body.extend(self.extensions.clone());
        Value::Object(body)
    }
}

impl From<storage::Error> for Problem {
    fn from(error: storage::Error) -> Self {
        Self::storage(&error)
    }
}

impl From<NoEntropy> for Problem {
    fn from(error: NoEntropy) -> Self {
        Self::internal(&error.to_string())
    }
}

impl From<SealError> for Problem {
    fn from(error: SealError) -> Self {
        Self::internal(&error.to_string())
    }
}

impl From<serde_json::Error> for Problem {
    fn from(_: serde_json::Error) -> Self {
        // The library's text may quote the value.
        Self::internal("a value could not be written as, or read from, JSON")
    }
}
