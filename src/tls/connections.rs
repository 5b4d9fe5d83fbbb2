//! The open connections of a listener: how many, and closing those that are idle for too long.
//!
//! The web framework leaves two gaps. It waits for a second or later request on an HTTP/1 connection for as long as its head comes drop by
//! drop; and when it is told to stop, it waits for HTTP/2 clients to leave, which they have no reason to do. So each connection is known
//! here with a second handle of its socket: closing the reading side of one that has nothing under way lets the framework find it ended.
//! Invariant: a connection with a request under way is left alone.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection must have had nothing under way before it is closed when the gateway stops: what it was last answered is on its
/// way by then.
const LEAVING: Duration = Duration::from_millis(100);

/// The open connections; copies share them.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    state: Mutex<State>,
    http2: bool,
    /// A second handle of the socket; none when the system had none to give.
    socket: Option<TcpStream>,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    quiet_since: Instant,
    closed: bool,
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, for as long as it is open.
#[derive(Debug)]
pub struct OpenConnection {
    id: u64,
    table: Arc<Table>,
    connection: Arc<Connection>,
}

/// A request under way on a connection.
#[derive(Debug)]
pub struct UnderWay(Arc<Connection>);

impl Connections {
    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Notes a connection until what this gives back is dropped.
    pub(super) fn opened(&self, socket: &impl AsFd, http2: bool) -> OpenConnection {
        let socket = socket.as_fd().try_clone_to_owned().ok().map(TcpStream::from);
        let state = State { under_way: 0, quiet_since: Instant::now(), closed: false };
        let connection = Arc::new(Connection { state: Mutex::new(state), http2, socket });
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&connection));
        OpenConnection { id, table: Arc::clone(&self.0), connection }
    }

    /// Closes the HTTP/2 connections that have nothing under way: the gateway stops. To be called again until the listener has stopped.
    pub fn close_idle(&self) {
        self.close(|http2| http2.then_some(LEAVING));
    }

    /// Closes connections that have had nothing under way for this long, in HTTP/1 and in HTTP/2. To be called now and then.
    pub fn close_quiet(&self, http1: Duration, http2: Duration) {
        self.close(|is_http2| Some(if is_http2 { http2 } else { http1 }));
    }

    fn close(&self, after: impl Fn(bool) -> Option<Duration>) {
        for connection in self.0.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let mut state = connection.state();
            if state.under_way == 0
                && !state.closed
                && after(connection.http2).is_some_and(|after| state.quiet_since.elapsed() >= after)
                && let Some(socket) = &connection.socket
            {
                state.closed = true;
                // One that the other side has closed already needs no closing.
                let _ = socket.shutdown(Shutdown::Read);
            }
        }
    }
}

impl OpenConnection {
    /// Notes a request until what this gives back is dropped; none when the connection was closed for being idle, so that no answer
    /// would get through any more.
    #[must_use]
    pub fn under_way(&self) -> Option<UnderWay> {
        let mut state = self.connection.state();
        if state.closed {
            return None;
        }
        state.under_way += 1;
        Some(UnderWay(Arc::clone(&self.connection)))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.table.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        state.quiet_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, client)
    }

    fn is_closed(server: &TcpStream) -> bool {
        server.set_nonblocking(true).unwrap();
        let mut server = server;
        matches!(server.read(&mut [0; 1]), Ok(0))
    }

    fn age(open: &OpenConnection) {
        open.connection.state().quiet_since = Instant::now().checked_sub(LEAVING).unwrap();
    }

    #[test]
    fn a_connection_counts_for_as_long_as_it_is_open() {
        let connections = Connections::default();
        let (server, _client) = pair();
        let open = connections.opened(&server, false);
        assert_eq!(connections.count(), 1);
        drop(open);
        assert_eq!(connections.count(), 0);
    }

    #[test]
    fn a_connection_that_is_quiet_for_too_long_is_closed_in_either_version() {
        let connections = Connections::default();
        let ((http1, _a), (http2, _b), (busy, _c)) = (pair(), pair(), pair());
        let (_first, _second) = (connections.opened(&http1, false), connections.opened(&http2, true));
        let third = connections.opened(&busy, false);
        let _under_way = third.under_way().unwrap();
        let (now, later) = (Duration::ZERO, Duration::from_mins(1));
        connections.close_quiet(later, later);
        assert_eq!([&http1, &http2, &busy].map(is_closed), [false; 3]);
        connections.close_quiet(now, later);
        assert_eq!([&http1, &http2, &busy].map(is_closed), [true, false, false]);
        connections.close_quiet(now, now);
        assert_eq!([&http1, &http2, &busy].map(is_closed), [true, true, false]);
    }

    #[test]
    fn only_an_idle_http2_connection_is_closed() {
        let connections = Connections::default();
        let ((idle, _a), (busy, _b), (fresh, _c), (http1, _d)) = (pair(), pair(), pair(), pair());
        let opened = [&idle, &busy, &fresh].map(|socket| connections.opened(socket, true));
        let other = connections.opened(&http1, false);
        let under_way = opened[1].under_way().unwrap();
        for open in [&opened[0], &opened[1], &other] {
            age(open);
        }
        connections.close_idle();
        assert_eq!([&idle, &busy, &fresh, &http1].map(is_closed), [true, false, false, false]);
        drop(under_way);
        age(&opened[1]);
        connections.close_idle();
        assert!(is_closed(&busy), "its request has ended");
        assert!(opened[1].under_way().is_none(), "nothing begins on it any more");
    }
}
