//! The protocol endpoints over HTTP: `/oauth/*`, `/.well-known/oauth-authorization-server` and `/pki/*`. They follow their
//! RFCs, not the contract of `/v1`.

use serde_json::{Value, json};

use super::Credentials;
use super::oauth::{Form, OauthError};
use crate::http::{Answer, Body, Call};
use crate::problem::Problem;

/// `POST /oauth/token`
///
/// # Errors
/// Never; errors are answers of this protocol.
pub async fn token(call: Call) -> Result<Answer, Problem> {
    let outcome = async {
        refuse_basic(&call)?;
        let form = form(&call)?;
        let grant = call.app.credentials.grant(call.peer.as_ref(), &form, call.app.now()).await?;
        Ok(serde_json::to_value(grant).map_err(Problem::from)?)
    };
    Ok(answer(outcome.await))
}

/// `POST /oauth/introspect`
///
/// # Errors
/// Never; errors are answers of this protocol.
pub async fn introspect(call: Call) -> Result<Answer, Problem> {
    let outcome = async {
        let form = form(&call)?;
        call.app.credentials.introspect(call.peer.as_ref(), &form, call.app.now()).await
    };
    Ok(answer(outcome.await))
}

/// `POST /oauth/revoke`
///
/// # Errors
/// Never; errors are answers of this protocol.
pub async fn revoke(call: Call) -> Result<Answer, Problem> {
    let outcome = async {
        let form = form(&call)?;
        call.app.credentials.revoke(call.peer.as_ref(), &form, call.app.now()).await?;
        Ok(json!({}))
    };
    Ok(answer(outcome.await))
}

/// `GET /oauth/jwks`
///
/// # Errors
/// When the keys cannot be read.
pub async fn jwks(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let ring = call.app.credentials.keys.ring(now).await?;
    // Half of the time for which a new key is published before it signs.
    Ok(Answer::ok(&ring.published(now))?.header("Cache-Control", "public, max-age=300"))
}

/// `GET /.well-known/oauth-authorization-server`
///
/// # Errors
/// Never.
#[allow(clippy::unused_async, reason = "every handler is asynchronous")]
pub async fn metadata(call: Call) -> Result<Answer, Problem> {
    Ok(Answer::ok(&call.app.credentials.metadata())?.header("Cache-Control", "public, max-age=3600"))
}

/// `GET /pki/ca.pem`
///
/// # Errors
/// Never.
#[allow(clippy::unused_async, reason = "every handler is asynchronous")]
pub async fn ca_certificate(call: Call) -> Result<Answer, Problem> {
    let credentials: &Credentials = &call.app.credentials;
    Ok(Answer::bytes("application/x-pem-file", credentials.ca_pem().as_bytes().to_vec()))
}

/// `GET /pki/crl`
///
/// # Errors
/// When the list cannot be made.
pub async fn revocation_list(call: Call) -> Result<Answer, Problem> {
    let list = call.app.credentials.revocation_list(call.app.now()).await?;
    // Revocation is seen at the next request here; others shall not learn of it much later.
    Ok(Answer::bytes("application/pkix-crl", list).header("Cache-Control", "public, max-age=60"))
}

fn form(call: &Call) -> Result<Form, OauthError> {
    Form::read(call.content_type.as_deref(), &call.raw)
}

/// The answer to a caller whose certificate is not accepted, given before its form is read.
#[must_use]
pub fn refusal(problem: Problem) -> Answer {
    answer(Err(problem.into()))
}

/// A client that sends a password shall hear that this is the wrong way, in the words that its library knows.
fn refuse_basic(call: &Call) -> Result<(), OauthError> {
    match &call.authorization {
        None => Ok(()),
        Some(_) => Err(OauthError {
            error: "invalid_client",
            description:
                "send no Authorization header here: the client certificate, or private_key_jwt, proves the client"
                    .into(),
            status: 401,
            code: None,
        }),
    }
}

fn answer(outcome: Result<Value, OauthError>) -> Answer {
    let (status, body) = match outcome {
        Ok(body) => (200, body),
        Err(error) => {
            let mut body = json!({"error": error.error, "error_description": error.description});
            if let (Some(code), Value::Object(members)) = (error.code, &mut body) {
                members.insert("code".into(), code.into());
            }
            (error.status, body)
        }
    };
    let answer = Answer { status, headers: Vec::new(), body: Body::Json(body) }
        .header("Cache-Control", "no-store")
        .header("Pragma", "no-cache");
    if status == 401 { answer.header("WWW-Authenticate", "Bearer realm=\"sluis\"") } else { answer }
}
