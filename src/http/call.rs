//! What a handler gets: an authenticated request that fits the contract.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::trace::Trace;
use crate::app::App;
use crate::audit;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::problem::{Code, Problem};
use crate::tls::PeerCertificate;

/// Who calls: a client of an organisation, proved by its certificate and a token bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The organisation.
    pub organisation: Oin,
    /// The client: the organisation's OIN for its main client, else the OIN and a role.
    pub client_id: String,
    /// The scopes of the token.
    pub scopes: BTreeSet<String>,
    /// The certificate's thumbprint (`x5t#S256`, RFC 8705 section 3.1).
    pub thumbprint: String,
}

impl Caller {
    /// Whether the token carries this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }
}

/// What makes a repeated creating request recognisable.
#[derive(Debug, Clone)]
pub struct IdempotencyTicket {
    /// Client and route: what one client of an organisation was answered is not for another, whose rights differ.
    pub scope: String,
    /// The caller's key.
    pub key: String,
    /// SHA-256 of the body; only a keyed digest of it is stored.
    pub body_digest: Vec<u8>,
}

/// A request on its way to a handler.
pub struct Call {
    /// The gateway.
    pub app: App,
    /// Who calls; absent on public and protocol routes.
    pub(super) caller: Option<Caller>,
    /// The certificate of the connection.
    pub peer: Option<PeerCertificate>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// Values of the path's templates.
    pub path: BTreeMap<String, String>,
    /// The query, each parameter as the contract types it.
    pub query: BTreeMap<String, Value>,
    /// The JSON body; null where there is none.
    pub body: Value,
    /// The body as it came, for routes outside the contract.
    pub raw: Vec<u8>,
    /// The wanted media type, where the operation has several.
    pub accepts_event_stream: bool,
    /// Whether CSV is wanted, where there is some.
    pub accepts_csv: bool,
    /// Whether a page for people is wanted, where there is one.
    pub accepts_html: bool,
    /// The `Content-Type` header, for routes outside the contract.
    pub content_type: Option<String>,
    /// The `Last-Event-ID` header.
    pub last_event_id: Option<String>,
    /// The `If-Match` header's entity tag.
    pub if_match: Option<String>,
    /// The idempotency key with its scope and digest.
    pub idempotency: Option<IdempotencyTicket>,
    /// The trace that this request belongs to.
    pub trace: Trace,
    /// An identifier of this request for logs and audit records.
    pub request_id: Uuid,
}

impl Call {
    /// Who calls.
    ///
    /// # Errors
    /// On a route that needs no authentication there is no caller.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(|| Problem::new(Code::TokenRequired, "send an access token"))
    }

    /// Authenticates the same certificate and token again: how streams and long polls notice a suspension, a revocation, or that a scope was
    /// taken away.
    ///
    /// # Errors
    /// 401 when the caller would not get in any more, 403 when it may do less than when it came.
    pub async fn still_authorised(&self) -> Result<(), Problem> {
        let now = self.app.now();
        let caller = self.app.credentials.authenticate(self.peer.as_ref(), self.authorization.as_deref(), now).await?;
        if self.caller()?.scopes.is_subset(&caller.scopes) {
            return Ok(());
        }
        Err(Problem::new(Code::InsufficientScope, "a scope of this client was taken away; ask for another token"))
    }

    /// An audit record of what this request does, with who asked and the trace filled in.
    ///
    /// # Errors
    /// When no random bytes can be had.
    pub fn record(&self, kind: audit::Kind, organisation: Oin, now: Timestamp) -> Result<audit::Record, Problem> {
        let mut record = audit::Record::new(self.app.new_id()?, kind, now, organisation);
        record.client_id = self.caller.as_ref().map(|caller| caller.client_id.clone());
        record.request_id = Some(self.request_id.to_string());
        record.trace = audit::TraceContext {
            trace_id: Some(self.trace.trace_id.clone()),
            span_id: Some(self.trace.span_id.clone()),
            parent_span_id: self.trace.parent_id.clone(),
        };
        Ok(record)
    }

    /// The body as a type of the feature; it fits the contract already.
    ///
    /// # Errors
    /// When the contract and the type differ, which is a defect of ours.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        T::deserialize(&self.body)
            .map_err(|_| Problem::internal("the contract permits a body that the handler cannot read"))
    }

    /// A value of the path's template; one that has not the form of its type names nothing that exists.
    ///
    /// # Errors
    /// 404.
    pub fn path<T: std::str::FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.path.get(name).and_then(|text| text.parse().ok()).ok_or_else(Problem::not_found)
    }

    /// A parameter of the query, as text.
    #[must_use]
    pub fn query_text(&self, name: &str) -> Option<&str> {
        self.query.get(name).and_then(Value::as_str)
    }

    /// A parameter of the query, as a whole number.
    #[must_use]
    pub fn query_number(&self, name: &str) -> Option<i64> {
        self.query.get(name).and_then(Value::as_i64)
    }

    /// The idempotency key; the contract requires it where this is called.
    ///
    /// # Errors
    /// 400 when it is absent.
    pub fn ticket(&self) -> Result<&IdempotencyTicket, Problem> {
        self.idempotency.as_ref().ok_or_else(|| {
            Problem::new(
                Code::IdempotencyKeyRequired,
                "send an Idempotency-Key header with a fresh value for every new request",
            )
        })
    }

    /// Checks `If-Match` against the present version; without the header there is nothing to check.
    ///
    /// # Errors
    /// 412 when it names another version.
    pub fn check_if_match(&self, version: impl std::fmt::Display) -> Result<(), Problem> {
        match &self.if_match {
            None => Ok(()),
            // A list of tags (RFC 9110 section 13.1.1); a weak one never matches.
            Some(tags) if tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == format!("\"{version}\"")) => {
                Ok(())
            }
            Some(_) => {
                Err(Problem::new(Code::PreconditionFailed, "read it again and repeat the request with the new ETag"))
            }
        }
    }
}
