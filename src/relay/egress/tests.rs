//! The way out: what is refused before and after a name is resolved, and how failures are told apart.

use super::*;

fn egress(allowed: &[&str], answers: &'static [&'static str]) -> Egress {
    let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
    let settings = EgressSettings { allowed, ..EgressSettings::default() };
    let names: Names = Arc::new(move |_| {
        Box::pin(async move { Ok(answers.iter().map(|address| address.parse().unwrap()).collect()) })
    });
    Egress::with_names(settings, names).unwrap()
}

const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];

#[test]
fn what_is_wrong_with_an_address_as_it_stands_is_refused() {
    let egress = egress(&[], &[]);
    for (text, code) in [
        ("", "malformed-url"),
        ("hooks", "malformed-url"),
        ("https://", "malformed-url"),
        ("https://hooks.example/ a", "malformed-url"),
        ("http://hooks.example/", "https-required"),
        ("file:///etc/passwd", "https-required"),
        ("https://user@hooks.example/", "user-information-in-url"),
        ("https://user:secret@hooks.example/", "user-information-in-url"),
        ("https://hooks.example/#part", "fragment-in-url"),
        // ways to write 127.0.0.1, 10.0.0.1 and 169.254.169.254 that a URL parser turns into addresses
        ("https://127.0.0.1/", "refused-address"),
        ("https://127.1/", "refused-address"),
        ("https://2130706433/", "refused-address"),
        ("https://0x7f.0.0.1/", "refused-address"),
        ("https://0177.0.0.1/", "refused-address"),
        ("https://127.0.0.1./", "refused-address"),
        ("https://%31%32%37.0.0.1/", "refused-address"),
        ("https://１２７.0.0.1/", "refused-address"),
        ("https://[::1]:8443/", "refused-address"),
        ("https://[::ffff:10.0.0.1]/", "refused-address"),
        ("https://[64:ff9b::a00:1]/", "refused-address"),
        ("https://[fe80::1]/", "refused-address"),
        ("https://169.254.169.254/latest", "refused-address"),
    ] {
        assert_eq!(egress.parse(text).map_err(SinkRefusal::code), Err(code), "{text}");
    }
    for text in ["https://hooks.example/events?tenant=1", "https://hooks.example:8443/", "https://1.1.1.1/"] {
        assert!(egress.parse(text).is_ok(), "{text}");
    }
}

#[tokio::test]
async fn a_name_is_judged_by_everything_it_resolves_to() {
    for answers in [&["10.0.0.1"] as &[&str], &["1.1.1.1", "127.0.0.1"], &["::ffff:127.0.0.1"], &["169.254.169.254"]] {
        let refusal = egress(&[], answers).inspect("https://hooks.example/", false).await.unwrap_err();
        assert_eq!(refusal.code(), "refused-address", "{answers:?}");
    }
    assert!(egress(&[], &["1.1.1.1"]).inspect("https://hooks.example/", false).await.is_ok());
    assert!(egress(LOOPBACK, &["127.0.0.1", "::1"]).inspect("https://hooks.example/", false).await.is_ok());
    let refusal = egress(LOOPBACK, &["192.168.0.1"]).inspect("https://hooks.example/", false).await;
    assert_eq!(refusal.unwrap_err().code(), "refused-address");
}

#[tokio::test]
async fn a_client_certificate_that_the_gateway_lacks_is_said_at_once() {
    let refusal = egress(&[], &["1.1.1.1"]).inspect("https://hooks.example/", true).await.unwrap_err();
    assert_eq!(refusal.code(), "client-certificate-unavailable");
}

/// The guard sits in the resolver: a name that changed its address after the inspection leads nowhere.
#[tokio::test]
async fn no_connection_is_opened_to_a_refused_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let closed = egress(&[], &["127.0.0.1"]);
    let named = Sink(format!("https://hooks.example:{port}/").parse().unwrap());
    let literal = Sink(format!("https://127.0.0.1:{port}/").parse().unwrap());
    for sink in [&named, &literal] {
        let failure = closed.ask(sink, Question::Options, &[], false).await.unwrap_err();
        assert_eq!(failure, Failure::TargetRefused, "{}", sink.as_str());
    }
    let connection = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(connection.is_err(), "something connected");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let open = egress(LOOPBACK, &["127.0.0.1"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = Sink(format!("https://hooks.example:{port}/").parse().unwrap());
    // a server that does not speak TLS
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    });
    let failure = open.ask(&sink, Question::Post(b"{}".to_vec()), &[], false).await.unwrap_err();
    assert_eq!(failure, Failure::TlsFailed);
    server.await.unwrap();
    // nobody listens any more
    assert_eq!(open.ask(&sink, Question::Options, &[], false).await.unwrap_err(), Failure::ConnectionFailed);
    let unknown = egress(&[], &[]);
    assert_eq!(unknown.ask(&sink, Question::Options, &[], false).await.unwrap_err(), Failure::NameNotResolved);
}
