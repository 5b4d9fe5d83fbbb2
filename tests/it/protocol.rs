//! HTTP itself: what is answered to paths, methods, media types and bodies that nobody offers, and what every answer carries.
//!
//! The headers of every answer, and its fit with the contract, are checked where [`Wire`] receives it. That a panic becomes a problem
//! is tested beside the dispatcher: no request leads to one.

use reqwest::{ClientBuilder, Version};
use serde_json::{Value, json};
use sluis::http::routes::ROUTES;

use crate::app::{CONTRACT, KREDIETBANK, TestApp, debts, with_sections};
use crate::wire::{Connection, Reply, Wire};

const MEBIBYTE: usize = 1024 * 1024;

/// The municipality on the wire, with a token.
struct Municipality {
    wire: Wire,
    token: String,
}

impl Municipality {
    async fn of(app: &TestApp) -> Self {
        Self::with(app, |builder| builder).await
    }

    async fn with(app: &TestApp, configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let identity = app.world().identity("gemeente-wassenaar").unwrap();
        let token = app.world().client("gemeente-wassenaar").unwrap().token(None).await.unwrap();
        Self { wire: Wire::new(app, Some(identity), configure), token }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.wire.request(method, path).bearer_auth(&self.token)
    }

    /// A creating request with a body as it stands.
    fn create(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let request = self.request("POST", path).header("content-type", "application/json");
        request.header("idempotency-key", uuid::Uuid::now_v7().to_string()).body(body)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        self.wire.send(request).await
    }
}

fn referral() -> String {
    with_sections(debts(), &["finance"]).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_not_there_is_404_also_with_a_slash_too_many() {
    let app = TestApp::start().await;
    let (nobody, caller) = (Wire::nobody(&app), Municipality::of(&app).await);
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/organisations/",
        "/v1/openapi.json/",
        "//v1/openapi.json",
        "/v1//organisations",
        "/V1/organisations",
        "/v1/organisations/00000099000000006000/",
        "/v1/referrals/a/b/c/d",
        "/v2/organisations",
        "/oauth",
        "/oauth/token/",
        "/log",
        "/healthz",
        "/metrics",
        "/.well-known/openid-configuration",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let reply = nobody.send(nobody.request(method, path)).await;
            assert_eq!((reply.status, reply.code()), (404, "not-found"), "{method} {path}");
        }
        let reply = caller.send(caller.request("GET", path)).await;
        assert_eq!((reply.status, reply.code()), (404, "not-found"), "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_a_path_does_not_know_is_405_with_those_that_it_knows() {
    let app = TestApp::start().await;
    let nobody = Wire::nobody(&app);
    let mut refused = 0;
    for route in ROUTES {
        let known: Vec<&str> =
            ROUTES.iter().filter(|other| other.path == route.path).map(|other| other.method).collect();
        let path = route.path.replace("{*tile}", "0/000").replace("{id}", KREDIETBANK).replace(['{', '}'], "");
        // HEAD is not answered like GET: a disclosure without its content would be recorded and give nothing.
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"] {
            if known.contains(&method) {
                continue;
            }
            let request = nobody.request(method, &path).header("origin", "https://elsewhere.example");
            let reply = nobody.send(request.header("access-control-request-method", "POST")).await;
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("allow"), known.join(", "), "{method} {path}");
            assert_eq!(reply.text.is_empty(), method == "HEAD", "{method} {path}");
            refused += 1;
        }
    }
    assert!(refused > 200, "only {refused}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_given_is_406_and_what_cannot_be_read_is_415() {
    let app = TestApp::start().await;
    let caller = Municipality::of(&app).await;
    let get = async |accept: &[&str]| {
        let mut request = caller.request("GET", "/v1/organisations");
        for value in accept {
            request = request.header("accept", *value);
        }
        caller.send(request).await.status
    };
    for accept in [
        &["text/html"][..],
        &["application/xml, text/*"],
        &["application/json;q=0"],
        &["text/event-stream"],
        &["*/*;q=0"],
    ] {
        assert_eq!(get(accept).await, 406, "{accept:?}");
    }
    for accept in [
        &[][..],
        &["*/*"],
        &["application/*"],
        &["Application/JSON"],
        &["text/html, application/json;q=0.1"],
        &["text/html", "application/json"],
    ] {
        assert_eq!(get(accept).await, 200, "{accept:?}");
    }
    let post = async |media_type: &[&str]| {
        let mut request = caller.request("POST", "/v1/referrals/_check").body(referral());
        for value in media_type {
            request = request.header("content-type", *value);
        }
        caller.send(request).await.status
    };
    for media_type in [
        &[][..],
        &["text/plain"],
        &["application/x-www-form-urlencoded"],
        &["application/json5"],
        &["application/problem+json"],
        &["multipart/form-data; boundary=x"],
        &["application/json", "application/json"],
        &["application/json, text/plain"],
    ] {
        assert_eq!(post(media_type).await, 415, "{media_type:?}");
    }
    for media_type in [&["application/json"][..], &["application/json; charset=utf-8"], &["Application/JSON"]] {
        assert_eq!(post(media_type).await, 200, "{media_type:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_or_a_section_that_is_too_large_is_413() {
    let app = TestApp::start().await;
    for http1 in [true, false] {
        let caller = Municipality::with(&app, |builder| if http1 { builder.http1_only() } else { builder }).await;
        for size in [5 * MEBIBYTE + 1, 7 * MEBIBYTE] {
            let reply = caller.send(caller.create("/v1/referrals", vec![b' '; size])).await;
            assert_eq!((reply.status, reply.code()), (413, "payload-too-large"), "{size} {http1}");
        }
        // Without an announced length, piece by piece.
        let pieces = (0..60).map(|_| Ok::<_, std::io::Error>(vec![b' '; MEBIBYTE / 10]));
        let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let reply = caller.send(caller.create("/v1/referrals", stream)).await;
        assert_eq!(reply.status, 413, "{http1}");
    }
    let caller = Municipality::of(&app).await;
    let with = |section: Value| {
        let mut referral = with_sections(debts(), &["question"]);
        referral["sections"].as_array_mut().unwrap().push(section);
        referral.to_string()
    };
    let text = |length: usize| json!({ "category": "finance", "content": { "t": "x".repeat(length) } });
    let overhead = json!({ "t": "" }).to_string().len();
    for path in ["/v1/referrals", "/v1/referrals/_check"] {
        let reply = caller.send(caller.create(path, with(text(MEBIBYTE - overhead + 1)))).await;
        assert_eq!((reply.status, reply.code()), (413, "payload-too-large"), "{path}");
        let jwe = format!("e30..AAAA.{}.AAAA", "A".repeat(MEBIBYTE));
        let reply = caller.send(caller.create(path, with(json!({ "category": "finance", "jwe": jwe })))).await;
        assert_eq!((reply.status, reply.code()), (413, "payload-too-large"), "{path}");
    }
    let fits = caller.send(caller.create("/v1/referrals", with(text(MEBIBYTE - overhead)))).await;
    assert_eq!(fits.status, 201, "{}", fits.text);
    let form = caller.wire.form("/oauth/token", &[("grant_type", "x"), ("scope", &"x".repeat(70_000))]).await;
    assert_eq!((form.status, form.code()), (413, "payload-too-large"));
    // After all this it still answers.
    assert_eq!(caller.send(caller.request("GET", "/v1/referrals")).await.status, 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_json_is_refused_without_repeating_it() {
    let app = TestApp::start().await;
    let caller = Municipality::of(&app).await;
    let secret = "999990019";
    let nested = |depth: usize| format!("{}{secret}{}", "[".repeat(depth), "]".repeat(depth));
    for body in [
        format!("{{\"subject\": {{\"bsn\": \"{secret}").into_bytes(),
        format!("{{\"bsn\": {secret}}} trailing").into_bytes(),
        format!("{{'bsn': '{secret}'}}").into_bytes(),
        format!("{{\"bsn\": {secret},}}").into_bytes(),
        format!("\u{feff}{{\"bsn\": {secret}}}").into_bytes(),
        [b"{\"bsn\": \"", secret.as_bytes(), &[0xff, 0xfe], b"\"}"].concat(),
        format!("{{\"bsn\": 0{secret}}}").into_bytes(),
        format!("{{\"bsn\": 1e{secret}}}").into_bytes(),
        b"NaN".to_vec(),
        b" ".to_vec(),
        nested(100_000).into_bytes(),
        nested(200).into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
        let reply = caller.send(caller.create("/v1/referrals", body)).await;
        assert_eq!((reply.status, reply.code()), (400, "malformed-json"), "{shown}");
        assert!(!reply.text.contains(secret), "{shown}: {}", reply.text);
    }
    for body in ["null", "[]", "1", "\"999990019\"", &nested(100), ""] {
        let reply = caller.send(caller.create("/v1/referrals", body.to_owned())).await;
        assert_eq!((reply.status, reply.code()), (400, "invalid-input"), "{body:.40}");
        assert!(!reply.text.contains(secret), "{body:.40}: {}", reply.text);
    }
    // Depth is no harm where content is opaque, as long as it can be read.
    let deep = |depth: usize| {
        let mut referral = with_sections(debts(), &["finance"]).to_string();
        let content = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        referral = referral.replace("{\"text\":\"about finance\"}", &content);
        assert!(referral.contains(&content));
        referral
    };
    assert_eq!(caller.send(caller.create("/v1/referrals", deep(100))).await.status, 201);
    assert_eq!(caller.send(caller.create("/v1/referrals", deep(130))).await.status, 400);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_or_parameter_that_comes_twice_or_not_at_all_is_refused() {
    let app = TestApp::start().await;
    let caller = Municipality::of(&app).await;
    let post = |keys: &[&str]| {
        let mut request = caller.request("POST", "/v1/referrals").header("content-type", "application/json");
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        request.body(referral())
    };
    let too_long = "k".repeat(256);
    for (keys, code) in [
        (&[][..], "required"),
        (&["one", "other"], "repeated"),
        (&["same", "same"], "repeated"),
        (&[too_long.as_str()], "too-long"),
        (&["with space"], "pattern"),
    ] {
        let reply = caller.send(post(keys)).await;
        assert_eq!(reply.status, 400, "{keys:?}: {}", reply.text);
        let invalid = reply.body["invalidParams"].as_array().unwrap();
        let found = invalid.iter().any(|one| one["name"] == "Idempotency-Key" && one["code"] == code);
        assert!(found, "{keys:?}: {}", reply.text);
    }
    let twice = caller.request("GET", "/v1/referrals").header("authorization", format!("Bearer {}", caller.token));
    let reply = caller.send(twice).await;
    assert_eq!((reply.status, reply.code()), (401, "token-invalid"), "two Authorization headers");
    for query in
        ["limit=0", "limit=1001", "limit=x", "limit=1&limit=1", "unheard=of", "cursor=%00", "limit=", "%ff=%ff"]
    {
        let reply = caller.send(caller.request("GET", &format!("/v1/referrals?{query}"))).await;
        assert_eq!((reply.status, reply.code()), (400, "invalid-input"), "{query}");
    }
    let reply = caller.send(caller.request("GET", "/v1/referrals?limit=0&unheard=of&role=nobody")).await;
    assert_eq!(reply.body["invalidParams"].as_array().unwrap().len(), 3, "all at once: {}", reply.text);
    for id in ["x", "..", "%2e%2e", "%00", "%2F", "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001%20"] {
        let reply = caller.send(caller.request("GET", &format!("/v1/referrals/{id}/sections"))).await;
        assert!(matches!(reply.status, 400 | 404), "{id}: {}", reply.status);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_for_every_origin_and_nothing_else_is() {
    let app = TestApp::start().await;
    let (nobody, caller) = (Wire::nobody(&app), Municipality::of(&app).await);
    let document = nobody.send(nobody.request("GET", "/v1/openapi.json").header("origin", "https://any.example")).await;
    assert_eq!((document.status, document.header("access-control-allow-origin")), (200, "*"));
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.body, *CONTRACT.json());
    // That no other answer has the header is checked in `wire`, here with an origin to answer to.
    for path in ["/v1/organisations", "/v1/referrals", "/oauth/jwks", "/log/checkpoint", "/v1/nothing"] {
        caller.send(caller.request("GET", path).header("origin", "https://any.example")).await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_of_http_are_spoken() {
    let app = TestApp::start().await;
    let newer = Municipality::of(&app).await;
    assert_eq!(newer.send(newer.request("GET", "/v1/organisations")).await.version, Version::HTTP_2);
    let older = Municipality::with(&app, ClientBuilder::http1_only).await;
    assert_eq!(older.send(older.request("GET", "/v1/organisations")).await.version, Version::HTTP_11);
    // Bytes that are no request end the connection or are refused, and harm nobody else.
    for nonsense in ["\r\n\r\nnonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\0 HTTP/1.1\r\n\r\n"] {
        let answer = Connection::of(&app, "smow").say(nonsense);
        assert!(answer.is_err() || answer.is_ok_and(|(status, ..)| status == 400), "{nonsense:?}");
    }
    // Two lengths, or a length and pieces: whoever reads them differently could smuggle a request (RFC 9112 section 6.3).
    for lengths in ["Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"]
    {
        let head = format!("POST /v1/referrals HTTP/1.1\r\nHost: localhost\r\n{lengths}\r\n0\r\n\r\n");
        let answer = Connection::of(&app, "smow").say(&head);
        assert!(answer.is_err() || answer.is_ok_and(|(status, ..)| (400..500).contains(&status)), "{lengths:?}");
    }
    assert_eq!(newer.send(newer.request("GET", "/v1/organisations")).await.status, 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callers_trace_is_taken_over_whatever_it_samples() {
    let app = TestApp::start().await;
    let caller = Municipality::of(&app).await;
    let refused = with_sections(debts(), &["safety"]).to_string();
    for (index, (body, flags, status)) in
        [(referral(), "00", 201), (referral(), "01", 201), (refused, "00", 403)].into_iter().enumerate()
    {
        let trace = format!("4bf92f3577b34da6a3ce929d0e0e470{index}");
        let parent = "00f067aa0ba902b7";
        let request =
            caller.create("/v1/referrals", body).header("traceparent", format!("00-{trace}-{parent}-{flags}"));
        let reply = caller.send(request).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        let records = caller.send(caller.request("GET", &format!("/v1/audit/records?traceId={trace}"))).await;
        let record = &records.body["items"][0];
        assert_eq!((&record["traceId"], &record["parentSpanId"]), (&json!(trace), &json!(parent)), "{}", records.text);
        assert_ne!(record["spanId"], json!(parent), "a span of its own");
        assert_eq!(record["requestId"], reply.header("x-request-id"));
        assert_eq!(record["kind"], "decision");
    }
    app.app().sequence().await.unwrap();
    let feed = app.get("kredietbank", "/v1/events").await;
    let traces: Vec<&str> =
        feed.body["items"].as_array().unwrap().iter().filter_map(|event| event["traceparent"].as_str()).collect();
    for (trace, flags) in [("4bf92f3577b34da6a3ce929d0e0e4700", "00"), ("4bf92f3577b34da6a3ce929d0e0e4701", "01")] {
        let carried = traces.iter().any(|given| given.starts_with(&format!("00-{trace}-")) && given.ends_with(flags));
        assert!(carried, "{trace} in {traces:?}");
    }
    // What is not well-formed, or said twice, begins a trace of its own.
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4709-00f067aa0ba902b7-01";
    for values in [&["nonsense"][..], &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"], &[good, good]] {
        let mut request = caller.create("/v1/referrals/_check", referral());
        for value in values {
            request = request.header("traceparent", *value);
        }
        let reply = caller.send(request).await;
        assert_eq!(reply.status, 200, "{values:?}: {}", reply.text);
        let records = caller.send(caller.request("GET", "/v1/audit/records?kind=check&limit=1")).await;
        let record = &records.body["items"][0];
        assert_eq!(record["requestId"], reply.header("x-request-id"));
        assert!(record["traceId"].is_string() && record["traceId"] != "4bf92f3577b34da6a3ce929d0e0e4709", "{record}");
        assert!(record.get("parentSpanId").is_none(), "{record}");
    }
    app.finish().await;
}
