//! From a request to a handler and back: the one place where every request is authenticated and checked.
//!
//! The order matters and is kept in [`answer`] and [`handle`]: room, route, authentication, rate, media types, body, contract, handler.
//! Invariants: nothing of the body is read before the caller is known; every answer carries the headers of [`finish`]; a panic is a 500;
//! every answer is counted, with the template of its route and never with its path.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody as _;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::StatusCode};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::admission::{self, Sent};
use super::contract::{Operation, Place, Request, Validated};
use super::limits::Slot;
use super::routes::{ROUTES, Route};
use super::trace::Trace;
use super::{Answer, Body, Call, Caller, IdempotencyTicket, json};
use crate::app::App;
use crate::monitoring::Limit;
use crate::monitoring::metrics::{UNMATCHED, known_method};
use crate::organisations::credentials::{challenge, oauth_http};
use crate::problem::{Code, InvalidParam, Problem};
use crate::subjects::has_bsn_as_word;
use crate::tls::{OpenConnection, PeerCertificate};
use crate::vetoes;

/// The largest body on routes outside the contract.
const PROTOCOL_BODY: usize = 64 * 1024;
/// A body that is too large is read and thrown away up to this size, so that the client gets to read the answer.
const THROWN_AWAY: usize = 8 * 1024 * 1024;
const THROW_AWAY_TIME: Duration = Duration::from_secs(5);

/// Registers every route; what matches none of them is 404.
pub fn configure(app: &App, services: &mut ServiceConfig) {
    let mut paths: Vec<&'static str> = Vec::new();
    for route in ROUTES {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    for path in paths {
        let app = app.clone();
        // Actix writes "the rest of the path" in another way.
        let pattern = path.replace("{*tile}", "{tile:.*}");
        services.service(
            web::resource(pattern).route(
                web::route().to(move |request: HttpRequest, payload: Payload| {
                    answer(app.clone(), Some(path), request, payload)
                }),
            ),
        );
    }
    let app = app.clone();
    services.default_service(
        web::route().to(move |request: HttpRequest, payload: Payload| answer(app.clone(), None, request, payload)),
    );
}

/// Answers one request, whatever happens.
async fn answer(app: App, path: Option<&'static str>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let started = Instant::now();
    let prepared =
        app.new_id().and_then(|id| Ok((id, Trace::continue_from(only(&request, "traceparent"), &app.entropy)?)));
    let shown = path.map(vetoes::counted_as);
    let Ok((request_id, trace)) = prepared else {
        return finish(&app, None, Problem::internal("no random bytes").into());
    };
    let span = tracing::info_span!(
        "request",
        %request_id,
        trace_id = trace.trace_id,
        method = known_method(request.method().as_str()),
        route = shown.unwrap_or(UNMATCHED),
        organisation = Empty,
        status = Empty,
        milliseconds = Empty,
    );
    let handling = async {
        let connection = request.conn_data::<OpenConnection>();
        let under_way = connection.and_then(OpenConnection::under_way);
        let handling =
            take_on(&app, path, &request, payload, &trace, request_id, connection.is_some() && under_way.is_none());
        let answer = always(handling).await.header("traceresponse", trace.traceparent());
        let took = started.elapsed();
        app.metrics.answered(shown, request.method().as_str(), answer.status, took);
        let span = tracing::Span::current();
        span.record("status", answer.status);
        span.record("milliseconds", u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        tracing::info!("answered");
        let response = finish(&app, Some(request_id), answer);
        match under_way {
            Some(under_way) => response.map_body(|_, body| Sent::new(body, under_way).boxed()),
            None => response,
        }
    };
    handling.instrument(span).await
}

/// Takes a request on if there is room for it, and handles it.
async fn take_on(
    app: &App,
    path: Option<&'static str>,
    request: &HttpRequest,
    payload: Payload,
    trace: &Trace,
    request_id: uuid::Uuid,
    closed: bool,
) -> Result<Answer, Problem> {
    let mut slot = Some(admission::room(app, request, closed)?);
    let handled = handle(app, path, request, payload, trace, request_id, &mut slot).await;
    admission::count(app, request, &handled);
    handled
}

/// The answer of a handling that may refuse, or panic.
async fn always(handling: impl Future<Output = Result<Answer, Problem>>) -> Answer {
    match AssertUnwindSafe(handling).catch_unwind().await {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => refusal(problem),
        Err(_) => Problem::internal("a handler panicked").into(),
    }
}

async fn handle(
    app: &App,
    path: Option<&'static str>,
    request: &HttpRequest,
    payload: Payload,
    trace: &Trace,
    request_id: uuid::Uuid,
    slot: &mut Option<Slot>,
) -> Result<Answer, Problem> {
    admission::check_headers(app, request)?;
    let path = path.ok_or_else(Problem::not_found)?;
    let Some(route) = find_route(path, request.method().as_str()) else { return Ok(method_not_allowed(path)) };
    let operation = path.strip_prefix("/v1").and_then(|path| app.contract.operation(route.method, path));
    if path.starts_with("/v1") && operation.is_none() {
        return Err(Problem::internal("a route has no operation in the contract"));
    }
    let peer = request.conn_data::<PeerCertificate>().cloned();
    let authorization = authorization(request)?;
    let has_body = matches!(route.method, "POST" | "PUT" | "PATCH");
    let caller = recognise(app, request, operation, authorization.as_deref(), has_body).await?;
    let [accepts_event_stream, accepts_csv, accepts_html] = check_accept(request, operation)?;
    if has_body {
        check_content_type(request, operation)?;
    }
    if has_body && operation.is_none() {
        admission::check_barred(app, request)?;
        match app.credentials.authenticate_certificate(peer.as_ref(), app.now()).await {
            Ok(client) => admission::admit(app, &client.organisation)?,
            Err(problem) => return Ok(oauth_http::refusal(problem)),
        }
    }
    let limit = if operation.is_some() { app.config.api.max_body_bytes } else { PROTOCOL_BODY };
    let raw = if has_body { read_body(app, payload, limit).await? } else { Vec::new() };
    let path_values: BTreeMap<String, String> =
        request.match_info().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (query, body) = match operation {
        Some(operation) => check_contract(app, operation, request, &path_values, &raw)?,
        None => (BTreeMap::new(), Value::Null),
    };
    admission::admit_match(app, caller.as_ref(), &body)?;
    let idempotency = ticket(request, route, caller.as_ref(), &path_values, &raw);
    let call = Call {
        app: app.clone(),
        caller,
        peer,
        authorization,
        path: path_values,
        query,
        body,
        raw,
        accepts_event_stream,
        accepts_csv,
        accepts_html,
        content_type: only(request, CONTENT_TYPE.as_str()).map(str::to_owned),
        last_event_id: header(request, "last-event-id").map(str::to_owned),
        if_match: header(request, "if-match").map(str::to_owned),
        idempotency,
        trace: trace.clone(),
        request_id,
    };
    let waits = call.accepts_event_stream || call.query_number("wait").is_some_and(|seconds| seconds > 0);
    if !waits {
        return (route.handler)(call).await;
    }
    let waiting = app.limits.wait(&call.caller()?.organisation).inspect_err(|_| app.metrics.refused(Limit::Waiting))?;
    // Who waits for events does not stand in the way of who has something to do.
    slot.take();
    Ok((route.handler)(call).await?.holding(waiting))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The value of a header that comes exactly once.
fn only<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    header(request, name).filter(|_| !is_repeated(request, name))
}

fn is_repeated(request: &HttpRequest, name: &str) -> bool {
    request.headers().get_all(name).nth(1).is_some()
}

/// The values of a header that is a list, however many lines it comes in (RFC 9110 section 5.3).
fn list(request: &HttpRequest, name: &str) -> Option<String> {
    let values: Vec<&str> = request.headers().get_all(name).filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The `Authorization` header. With two of them it would depend on who reads which one counts.
fn authorization(request: &HttpRequest) -> Result<Option<String>, Problem> {
    if is_repeated(request, AUTHORIZATION.as_str()) {
        return Err(Problem::new(Code::TokenInvalid, "send one Authorization header"));
    }
    Ok(header(request, AUTHORIZATION.as_str()).map(str::to_owned))
}

fn find_route(path: &str, method: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.path == path && route.method == method)
}

fn method_not_allowed(path: &str) -> Answer {
    let methods: Vec<_> = ROUTES.iter().filter(|route| route.path == path).map(|route| route.method).collect();
    let methods = methods.join(", ");
    let problem = Problem::new(Code::MethodNotAllowed, format!("this path knows: {methods}"));
    Answer::from(problem).header("Allow", methods)
}

/// Who calls, counted against what it may ask. Routes outside the contract that take a body recognise their callers by themselves.
async fn recognise(
    app: &App,
    request: &HttpRequest,
    operation: Option<&Operation>,
    authorization: Option<&str>,
    has_body: bool,
) -> Result<Option<Caller>, Problem> {
    if let Some(scopes) = operation.and_then(|operation| operation.scopes.as_deref()) {
        admission::check_barred(app, request)?;
        let caller = authenticate(app, request.conn_data::<PeerCertificate>(), authorization, scopes).await?;
        admission::admit(app, &caller.organisation)?;
        return Ok(Some(caller));
    }
    if operation.is_some() || !has_body {
        admission::admit_stranger(app, request)?;
    }
    Ok(None)
}

/// Who calls, with one of the scopes of which the operation needs one.
pub(super) async fn authenticate(
    app: &App,
    peer: Option<&PeerCertificate>,
    authorization: Option<&str>,
    scopes: &[String],
) -> Result<Caller, Problem> {
    let caller = app.credentials.authenticate(peer, authorization, app.now()).await?;
    if scopes.is_empty() || scopes.iter().any(|scope| caller.has_scope(scope)) {
        return Ok(caller);
    }
    let detail = format!("ask for a token with scope: {}", scopes.join(" or "));
    Err(Problem::new(Code::InsufficientScope, detail))
}

/// Whether the caller wants the event stream, CSV or a page where there is one; 406 when it wants nothing that can be given.
fn check_accept(request: &HttpRequest, operation: Option<&Operation>) -> Result<[bool; 3], Problem> {
    let Some(operation) = operation else { return Ok([false; 3]) };
    let given = operation.media_types();
    let accept = list(request, ACCEPT.as_str()).unwrap_or_else(|| "*/*".to_owned()).to_ascii_lowercase();
    let accepts = |wanted: &str| accepts(&accept, wanted);
    // An answer without a body satisfies everyone; a problem is given whatever the caller prefers.
    if !given.is_empty() && !given.iter().any(|media_type| accepts(media_type)) {
        return Err(Problem::new(Code::NotAcceptable, format!("this operation gives: {}", given.join(", "))));
    }
    // Only who names it gets what is not JSON.
    let wants = |media_type| given.contains(&media_type) && accept.contains(media_type) && accepts(media_type);
    Ok(["text/event-stream", "text/csv", "text/html"].map(wants))
}

/// Whether a list of media ranges, in lower case, takes this media type: the most specific range that fits decides, and it does not
/// with weight 0 (RFC 9110 section 12.5.1).
fn accepts(accept: &str, wanted: &str) -> bool {
    let kind = wanted.split('/').next().unwrap_or_default();
    let ranges = || {
        accept.split(',').map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
            (name, weight.unwrap_or(0.0) > 0.0)
        })
    };
    let found = [wanted.to_owned(), format!("{kind}/*"), "*/*".to_owned()].into_iter().find_map(|range| {
        let fits: Vec<bool> = ranges().filter(|(name, _)| *name == range).map(|(_, taken)| taken).collect();
        (!fits.is_empty()).then(|| fits.contains(&true))
    });
    found.unwrap_or(false)
}

fn check_content_type(request: &HttpRequest, operation: Option<&Operation>) -> Result<(), Problem> {
    let Some(body) = operation.and_then(|operation| operation.body.as_ref()) else { return Ok(()) };
    let given = only(request, CONTENT_TYPE.as_str()).and_then(|value| value.split(';').next()).map(str::trim);
    if given.is_some_and(|given| body.media_types.iter().any(|known| known.eq_ignore_ascii_case(given))) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, format!("send a body of type: {}", body.media_types.join(", "))))
}

async fn read_body(app: &App, mut payload: Payload, limit: usize) -> Result<Vec<u8>, Problem> {
    let reading = async {
        let mut body = Vec::new();
        while let Some(piece) = payload.next().await {
            let piece =
                piece.map_err(|_| Problem::new(Code::MalformedJson, "the body ended before its announced length"))?;
            if body.len() + piece.len() > limit {
                drop(std::mem::take(&mut body));
                throw_away(&mut payload).await;
                app.metrics.refused(Limit::BodySize);
                return Err(Problem::new(Code::PayloadTooLarge, format!("a body may be at most {limit} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    };
    tokio::time::timeout(app.config.limits.body_time, reading).await.unwrap_or_else(|_| {
        app.metrics.refused(Limit::BodyTime);
        Err(Problem::new(Code::RequestTimeout, "the body did not arrive in time; send it again"))
    })
}

async fn throw_away(payload: &mut Payload) {
    let reading = async {
        let mut size = 0;
        while let Some(Ok(piece)) = payload.next().await {
            size += piece.len();
            if size > THROWN_AWAY {
                break;
            }
        }
    };
    // Whether it ended in time makes no difference: the answer is 413.
    let _ = tokio::time::timeout(THROW_AWAY_TIME, reading).await;
}

fn check_contract(
    app: &App,
    operation: &Operation,
    request: &HttpRequest,
    path: &BTreeMap<String, String>,
    raw: &[u8],
) -> Result<(BTreeMap<String, Value>, Value), Problem> {
    let body = match (&operation.body, raw) {
        (None, _) | (Some(_), []) => None,
        (Some(_), raw) => Some(json::read(raw)?),
    };
    let path: Vec<(String, String)> = path.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let find_header = |name: &str| header(request, name);
    let parts = Request { path: &path, query: &query, header: &find_header, body: body.as_ref() };
    let mut wrong = repeated_headers(operation, request);
    // A key is stored as it is; it is to be random, and nobody's number.
    if find_header("idempotency-key").is_some_and(has_bsn_as_word) {
        let reason = "must not hold a BSN; use a random value, such as a UUID";
        wrong.push(InvalidParam::new("Idempotency-Key", "personal-data", reason));
    }
    match app.contract.validate_request(operation, &parts) {
        Ok(Validated { query }) if wrong.is_empty() => Ok((query, body.unwrap_or(Value::Null))),
        Ok(_) => Err(Problem::invalid(wrong)),
        Err(violations) => {
            wrong.extend(violations);
            Err(Problem::invalid(wrong))
        }
    }
}

/// Headers of the contract that come twice. A `traceparent` that cannot be used is ignored, as W3C Trace Context asks.
fn repeated_headers(operation: &Operation, request: &HttpRequest) -> Vec<InvalidParam> {
    let headers = operation.parameters.iter().filter(|parameter| parameter.place == Place::Header);
    headers
        .filter(|parameter| {
            !parameter.name.eq_ignore_ascii_case("traceparent") && is_repeated(request, &parameter.name)
        })
        .map(|parameter| InvalidParam::new(parameter.name.clone(), "repeated", "this header may come once"))
        .collect()
}

fn ticket(
    request: &HttpRequest,
    route: &Route,
    caller: Option<&Caller>,
    path: &BTreeMap<String, String>,
    raw: &[u8],
) -> Option<IdempotencyTicket> {
    let key = header(request, "idempotency-key")?;
    // A route with its values: the same key on another referral is another request.
    let route =
        path.iter().fold(route.path.to_owned(), |route, (name, value)| route.replace(&format!("{{{name}}}"), value));
    Some(IdempotencyTicket {
        scope: format!("{} {route}", caller?.client_id),
        key: key.to_owned(),
        body_digest: aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, raw).as_ref().to_vec(),
    })
}

/// A refusal as an answer, with the headers that belong to its code.
fn refusal(problem: Problem) -> Answer {
    let (code, retry_after) = (problem.code(), problem.retry_after_seconds());
    let mut answer = Answer::from(problem);
    if let Some(challenge) = challenge(code) {
        answer = answer.header("WWW-Authenticate", challenge);
    }
    if let Some(seconds) = retry_after {
        answer = answer.header("Retry-After", seconds.to_string());
    }
    answer
}

/// The headers of every answer (API Design Rules 2.2.1 section 2.11.1).
const ALWAYS: &[(&str, &str)] = &[
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("strict-transport-security", "max-age=31536000"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

fn finish(app: &App, request_id: Option<uuid::Uuid>, answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponseBuilder::new(status);
    for (name, value) in ALWAYS {
        response.insert_header((*name, *value));
    }
    response.insert_header(("api-version", app.contract.version()));
    if let Some(id) = request_id {
        response.insert_header(("x-request-id", id.to_string()));
    }
    let media_type = match &answer.body {
        Body::Json(_) => Some("application/json"),
        Body::Bytes(media_type, _) | Body::Stream(media_type, _) => Some(*media_type),
        Body::Empty => None,
    };
    if let Some(media_type) = media_type {
        response.insert_header((CONTENT_TYPE, media_type));
    }
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_str(value)) {
            response.insert_header((name, value));
        }
    }
    match answer.body {
        Body::Empty => response.finish(),
        Body::Json(value) => response.body(value.to_string()),
        Body::Bytes(_, bytes) => response.body(bytes),
        Body::Stream(_, pieces) => response.streaming(pieces),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_panic_is_a_problem_and_says_nothing_of_what_happened() {
        let answer = always(async { panic!("BSN 999990019") }).await;
        assert_eq!(answer.status, 500);
        let Body::Json(body) = answer.body else { panic!("no JSON") };
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("999990019"));
        assert!(answer.headers.contains(&("Content-Type", "application/problem+json".to_owned())));
    }

    #[test]
    fn the_most_specific_media_range_decides() {
        for (accept, taken) in [
            ("application/json", true),
            ("text/html, application/json;q=0.1", true),
            ("application/*", true),
            ("*/*", true),
            ("text/html", false),
            ("application/json;q=0, */*", false),
            ("application/json; q=0.0", false),
            ("application/*;q=0, */*;q=1", false),
            ("*/*;q=0", false),
            ("application/jsonx", false),
            ("", false),
        ] {
            assert_eq!(accepts(accept, "application/json"), taken, "{accept:?}");
        }
    }
}
