//! What a caller sees of each limit, over real connections; that the limit ends again; and that nobody else notices.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluis::demo::client::{Answer, Request};

use crate::app::{SMOW, TestApp, debts, with_sections};
use crate::operations::{Hold, Operator, soon};
use crate::wire::{Connection, Wire, settings};

async fn refused(app: &TestApp, limit: &str) -> f64 {
    let series = format!("sluis_requests_refused_total{{limit=\"{limit}\"}}");
    Operator::of(app).metrics().await.value(&series).unwrap()
}

/// How long the answer asks to wait; every refusal by a limit says it, in whole seconds.
fn retry_after(answer: &Answer) -> u64 {
    answer.headers["retry-after"].parse().unwrap_or_else(|_| panic!("{:?}", answer.headers))
}

async fn token(app: &TestApp, who: &str) -> String {
    app.world().client(who).unwrap().token(None).await.unwrap()
}

/// Waits until the other side closes, and gives what it said before that; an error counts as closed.
fn read_to_end(stream: &mut impl std::io::Read) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    said
}

fn socket(app: &TestApp) -> TcpStream {
    let port = app.app().config.gateway.public_url.port().unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_are_too_large_are_431_in_both_versions_of_http() {
    let app = TestApp::start_with(&[("SLUIS_LIMITS__HEADER_BYTES", "8192")]).await;
    let identity = app.world().identity("smow").unwrap();
    let token = token(&app, "smow").await;
    for http2 in [false, true] {
        let wire = Wire::new(&app, Some(identity), |builder| if http2 { builder } else { builder.http1_only() });
        let ask = async |size: usize| {
            let request = wire.request("GET", "/v1/referrals").bearer_auth(&token).header("x-filler", "x".repeat(size));
            wire.send(request).await
        };
        assert_eq!(ask(5_000).await.status, 200);
        let reply = ask(8_192).await;
        assert_eq!((reply.status, reply.code()), (431, "headers-too-large"), "{}", reply.text);
        let long = wire.get(&format!("/v1/referrals?{}", "a".repeat(8_192)), Some(&token)).await;
        assert_eq!((long.status, long.code()), (431, "headers-too-large"), "{}", long.text);
        assert_eq!(ask(10).await.status, 200, "the connection goes on");
    }
    assert_eq!(refused(&app, "header-size").await, 4.0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_end_is_cut_off_and_hangs_nobody() {
    let app = TestApp::start().await;
    let head = |rest: &str| format!("GET /v1/referrals HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n");
    let endless = head(&format!("X-Filler: {}", "x".repeat(200_000)));
    let many: String = (0..200).fold(String::new(), |all, number| all + &format!("X-{number}: 1\r\n"));
    for too_much in [endless, head(&many)] {
        let asked = Instant::now();
        let answer = Connection::of(&app, "smow").say(&too_much);
        assert!(answer.as_ref().is_err() || answer.as_ref().is_ok_and(|(status, ..)| *status == 431), "{answer:?}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    assert_eq!(app.get("smow", "/v1/referrals").await.status, 200);
    app.finish().await;
}

const HURRY: [(&str, &str); 4] = [
    ("SLUIS_LIMITS__TLS_HANDSHAKE_SECONDS", "1"),
    ("SLUIS_LIMITS__REQUEST_HEAD_SECONDS", "1"),
    ("SLUIS_LIMITS__REQUEST_BODY_SECONDS", "1"),
    ("SLUIS_LIMITS__KEEP_ALIVE_SECONDS", "1"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_slow_is_cut_off_at_every_stage() {
    let app = TestApp::start_with(&HURRY).await;
    let tls = settings(&app, Some(app.world().identity("smow").unwrap()), &rustls::version::TLS13);
    let cut_off = |what: &str, mut stream: Box<dyn std::io::Read>| {
        let asked = Instant::now();
        let said = tokio::task::block_in_place(|| read_to_end(&mut stream));
        assert!(asked.elapsed() < Duration::from_secs(6), "{what}: {:?}", asked.elapsed());
        assert!(asked.elapsed() > Duration::from_millis(300), "{what} gets its time: {:?}", asked.elapsed());
        String::from_utf8_lossy(&said).into_owned()
    };
    assert_eq!(cut_off("one who says nothing", Box::new(socket(&app))), "");
    let mut half = socket(&app);
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).unwrap();
    assert_eq!(cut_off("half a handshake", Box::new(half)), "");
    let mut silent = Connection::open(&app, &tls).unwrap();
    tokio::task::block_in_place(|| silent.complete_handshake()).unwrap();
    let said = cut_off("a connection without a request", Box::new(silent.into_stream()));
    assert!(said.is_empty() || said.contains(" 408 "), "{said:?}");
    let mut slow = Connection::open(&app, &tls).unwrap();
    tokio::task::block_in_place(|| slow.begin("GET /v1/referrals HTTP/1.1\r\nHost: loc")).unwrap();
    let said = cut_off("half a head", Box::new(slow.into_stream()));
    assert!(said.is_empty() || said.contains(" 408 "), "{said:?}");
    let mut second = Connection::open(&app, &tls).unwrap();
    let token = token(&app, "smow").await;
    assert_eq!(second.get("/v1/referrals", &token).unwrap().0, 200);
    tokio::task::block_in_place(|| second.begin("GET /v1/referrals HTTP/1.1\r\nHost: loc")).unwrap();
    cut_off("half a head on a connection that was used", Box::new(second.into_stream()));
    assert_eq!(app.get("smow", "/v1/referrals").await.status, 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_too_slowly_is_408() {
    let app = TestApp::start_with(&HURRY).await;
    let token = token(&app, "gemeente-wassenaar").await;
    let head = format!(
        "POST /v1/referrals/_check HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let asked = Instant::now();
    let (status, head, body) = Connection::of(&app, "gemeente-wassenaar").say(&head).unwrap();
    assert_eq!(status, 408, "{head}");
    assert!(body.contains("request-timeout"), "{body}");
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(refused(&app, "body-time").await, 1.0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_too_many_waits_for_its_turn() {
    let app = TestApp::start_with(&[("SLUIS_LIMITS__CONNECTIONS", "12")]).await;
    let tls = settings(&app, Some(app.world().identity("smow").unwrap()), &rustls::version::TLS13);
    let token = token(&app, "smow").await;
    let mut held = Vec::new();
    // The parties' own connections count too.
    while app.app().connections.count() < 12 {
        let mut connection = Connection::open(&app, &tls).unwrap();
        assert_eq!(connection.get("/v1/referrals", &token).unwrap().0, 200);
        held.push(connection);
        assert!(held.len() <= 12);
    }
    assert!(!held.is_empty());
    let late = socket(&app);
    late.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let tls_client = rustls::ClientConnection::new(Arc::clone(&tls), "localhost".try_into().unwrap()).unwrap();
    let mut late = rustls::StreamOwned::new(tls_client, late);
    let greeted = tokio::task::block_in_place(|| late.conn.complete_io(&mut late.sock).is_ok());
    assert!(!greeted, "it is not taken");
    drop(held);
    let mut next = Connection::open(&app, &tls).unwrap();
    assert_eq!(next.get("/v1/referrals", &token).unwrap().0, 200);
    drop(next);
    soon("closed connections are counted out", async || app.app().connections.count() < 12).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_events_in_too_many_places_is_429_and_stands_in_nobodys_way() {
    let app = TestApp::start_with(&[
        ("SLUIS_LIMITS__WAITING_PER_ORGANISATION", "2"),
        ("SLUIS_LIMITS__CONCURRENT_REQUESTS", "2"),
    ])
    .await;
    let end = app.get("jgz", "/v1/events?limit=1000").await.text_at("/next").unwrap().to_owned();
    let path = end.replace("wait=0", "wait=20");
    let path = if path.contains("wait=") { path } else { format!("{path}&wait=20") };
    let wire = Wire::of(&app, "jgz");
    let token = token(&app, "jgz").await;
    let poll = wire.request("GET", &path).bearer_auth(&token);
    let waiting = tokio::spawn(async move { wire.send(poll).await.status });
    let stream = Wire::of(&app, "jgz");
    let request = stream.request("GET", "/v1/events").bearer_auth(&token).header("accept", "text/event-stream");
    let open = request.send().await.unwrap();
    assert_eq!(open.status(), 200);
    soon("both wait", async || app.app().limits.waiting() == 2).await;
    let third = app.get("jgz", &path).await;
    assert_eq!((third.status, third.text_at("/code")), (429, Some("too-many-requests")), "{}", third.text);
    assert!(retry_after(&third) >= 1);
    assert_eq!(app.get("jgz", "/v1/events").await.status, 200, "without waiting it gets its events");
    assert_eq!(app.get("smow", "/v1/events?wait=1").await.status, 200, "another organisation waits on its own account");
    assert_eq!(app.app().limits.in_flight(), 0, "who waits is not under way");
    drop(open);
    soon("the stream's end is noticed", async || app.app().limits.waiting() == 1).await;
    assert_eq!(app.get("jgz", "/v1/events?wait=1").await.status, 200);
    assert_eq!(refused(&app, "waiting").await, 1.0);
    waiting.abort();
    app.finish().await;
}

const SPARSE: [(&str, &str); 2] =
    [("SLUIS_LIMITS__ORGANISATION_REQUESTS_PER_SECOND", "1"), ("SLUIS_LIMITS__ORGANISATION_BURST", "60")];

/// Asks until it is refused.
async fn until_refused(app: &TestApp, who: &str) -> Answer {
    for _ in 0..200 {
        let answer = app.get(who, "/v1/organisations").await;
        if answer.status != 200 {
            return answer;
        }
    }
    panic!("never refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organisation_that_asks_too_much_is_429_until_the_time_has_passed() {
    let app = TestApp::start_with(&SPARSE).await;
    let answer = until_refused(&app, "mee").await;
    assert_eq!((answer.status, answer.text_at("/code")), (429, Some("too-many-requests")), "{}", answer.text);
    let wait = retry_after(&answer);
    assert!((1..=2).contains(&wait), "{wait}");
    // Whoever the organisation sends: the token endpoint counts with the rest.
    let wire = Wire::of(&app, "mee");
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let fields = [("grant_type", "client_credentials"), ("client_id", crate::app::MEE)];
        statuses.push(wire.form("/oauth/token", &fields).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(app.get("smow", "/v1/organisations").await.status, 200, "its neighbour notices nothing");
    app.world().clock().advance(Duration::from_secs(wait.max(2)));
    assert_eq!(app.get("mee", "/v1/organisations").await.status, 200);
    assert!(refused(&app, "organisation-rate").await >= 2.0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_by_the_rate_was_not_done() {
    let app = TestApp::start_with(&SPARSE).await;
    until_refused(&app, "gemeente-wassenaar").await;
    let mut request = Request::post("/v1/referrals", with_sections(debts(), &["finance"]));
    request.idempotency_key = Some(app.world().new_key().unwrap());
    let mut refused = app.ask("gemeente-wassenaar", request.clone()).await;
    if refused.status != 429 {
        // A second went by.
        until_refused(&app, "gemeente-wassenaar").await;
        request.idempotency_key = Some(app.world().new_key().unwrap());
        refused = app.ask("gemeente-wassenaar", request.clone()).await;
    }
    assert_eq!(refused.status, 429);
    let before = app.get("kredietbank", "/v1/referrals?role=recipient").await.body["items"].as_array().unwrap().len();
    app.world().clock().advance(Duration::from_secs(5));
    let done = app.ask("gemeente-wassenaar", request).await;
    assert_eq!(done.status, 201, "the same key is good: {}", done.text);
    let after = app.get("kredietbank", "/v1/referrals?role=recipient").await.body["items"].as_array().unwrap().len();
    assert_eq!(after, before + 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_credentials_are_not_looked_at_for_ever() {
    let app = TestApp::start_with(&[
        ("SLUIS_LIMITS__ANONYMOUS_REQUESTS_PER_SECOND", "1"),
        ("SLUIS_LIMITS__ANONYMOUS_BURST", "5"),
    ])
    .await;
    let (guesser, honest) = (Wire::of(&app, "smow"), token(&app, "mee").await);
    let guess = async || guesser.get("/v1/organisations", Some("eyJhbGciOiJFZERTQSJ9.e30.AAAA")).await;
    let mut statuses = Vec::new();
    let last = loop {
        let reply = guess().await;
        statuses.push(reply.status);
        if reply.status == 429 {
            break reply;
        }
        assert!(statuses.len() < 50, "{statuses:?}");
    };
    assert!(statuses.len() > 5 && statuses[..5].iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(last.code(), "too-many-requests");
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    let form = [("grant_type", "client_credentials"), ("client_id", SMOW)];
    assert_eq!(guesser.form("/oauth/token", &form).await.status, 429, "the token endpoint does not look either");
    assert_eq!(Wire::of(&app, "mee").get("/v1/organisations", Some(&honest)).await.status, 200, "another certificate");
    // Public routes of whoever shows no certificate have a rate of their own.
    let nobody = Wire::nobody(&app);
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(nobody.get("/oauth/jwks", None).await.status);
    }
    assert!(statuses[0] == 200 && statuses.contains(&429), "{statuses:?}");
    app.world().clock().advance(Duration::from_secs(30));
    assert_eq!(guess().await.status, 401, "after a while it is looked at again");
    assert_eq!(nobody.get("/oauth/jwks", None).await.status, 200);
    assert!(refused(&app, "anonymous-rate").await >= 3.0);
    app.finish().await;
}

/// A creating request of the municipality, with its own key.
fn referral(app: &TestApp) -> Request {
    let mut request = Request::post("/v1/referrals", with_sections(debts(), &["finance"]));
    request.idempotency_key = Some(app.world().new_key().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_database_fills_no_memory_and_recovers_by_itself() {
    const ROOM: usize = 16;
    let app = TestApp::start_with(&[("SLUIS_LIMITS__CONCURRENT_REQUESTS", "16")]).await;
    let operator = Operator::of(&app);
    assert_eq!(app.ask("gemeente-wassenaar", referral(&app)).await.status, 201);
    let hold = Hold::of(&app.storage).await;
    // As many as there is room for get stuck; everybody after them is told so at once.
    let requests: Vec<Request> = (0..ROOM).map(|_| referral(&app)).collect();
    let world = app.world();
    let stuck =
        futures_util::future::join_all(requests.iter().map(|request| world.ask("gemeente-wassenaar", request.clone())));
    let others = async {
        soon("no room", async || app.app().limits.in_flight() >= ROOM).await;
        let before = operator.metrics().await.value("process_resident_memory_bytes").unwrap();
        let mut refusals = 0;
        for _ in 0..300 {
            let asked = Instant::now();
            let answer = app.ask("gemeente-wassenaar", referral(&app)).await;
            // One that was stuck may have been answered in the meantime, and left room.
            if answer.status == 503 && asked.elapsed() < Duration::from_secs(1) {
                assert!(retry_after(&answer) >= 1);
                refusals += 1;
            }
        }
        assert!(refusals > 200, "{refusals}");
        assert!(app.app().limits.in_flight() <= ROOM);
        let after = operator.metrics().await.value("process_resident_memory_bytes").unwrap();
        assert!(after - before < 32e6, "{before} {after}");
        assert!(operator.wrong().await.contains(&"database".to_owned()));
        hold.end().await;
    };
    let (stuck, ()) = tokio::join!(stuck, others);
    for answer in &stuck {
        let answer = answer.as_ref().unwrap();
        assert!(matches!(answer.status, 201 | 503), "{} {}", answer.status, answer.text);
    }
    assert!(refused(&app, "concurrency").await >= 1.0);
    // Without a restart: each of them repeated is there once.
    for (request, first) in requests.iter().zip(&stuck) {
        let repeat = app.ask("gemeente-wassenaar", request.clone()).await;
        assert_eq!(repeat.status, 201, "{}", repeat.text);
        let first = first.as_ref().unwrap();
        if first.status == 201 {
            assert_eq!(repeat.text, first.text);
        }
    }
    soon("readiness", async || operator.ready().await.0 == 200).await;
    app.finish().await;
}
