//! What the connections of a load send, one request after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;

use crate::Outcome;
use crate::client::{self, Answer};
use crate::gateway::{Authorization, Bearer};
use crate::load::Script;
use crate::requests::{Case, Template, by_pseudonym, resident};

/// The size of the last answer, in bytes, which the static server is asked for too.
#[derive(Clone, Default)]
pub struct Size(Arc<AtomicUsize>);

impl Size {
    /// In bytes.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes that of this answer.
    pub fn set(&self, answer: &Answer) {
        self.0.store(answer.body.len(), Ordering::Relaxed);
    }
}

/// The ids of what was accepted.
pub type Accepted = Arc<Mutex<Vec<String>>>;

/// Sends referrals, each about one of the worker's own residents.
pub struct Referring {
    template: Template,
    path: String,
    authorization: Authorization,
    worker: usize,
    workers: usize,
    number: usize,
    accepted: Option<Accepted>,
    /// Of the last answer on any of the connections.
    pub size: Size,
}

impl Referring {
    /// One script for each connection.
    pub fn scripts(case: Case, workers: usize, bearer: &Bearer, accepted: Option<&Accepted>) -> Vec<Self> {
        Self::to("/v1/referrals", case, workers, &bearer.shared(), accepted)
    }

    /// The same to another path, or to another server.
    pub fn to(
        path: &str,
        case: Case,
        workers: usize,
        authorization: &Authorization,
        accepted: Option<&Accepted>,
    ) -> Vec<Self> {
        let size = Size::default();
        let script = |worker| Self {
            template: Template::of(case),
            path: path.to_owned(),
            authorization: authorization.clone(),
            worker,
            workers,
            number: 0,
            accepted: accepted.cloned(),
            size: size.clone(),
        };
        (0..workers).map(script).collect()
    }
}

impl Script for Referring {
    fn next(&mut self) -> Outcome<Request<Full<Bytes>>> {
        let body = self.template.about(resident(self.worker, self.workers, self.number));
        self.number += 1;
        client::post(&self.path, &self.authorization.now(), body)
    }

    fn answered(&mut self, answer: &Answer) -> Outcome<()> {
        self.size.set(answer);
        if let Some(accepted) = &self.accepted {
            let location = answer.location.as_ref().and_then(|location| location.to_str().ok());
            let id = location.and_then(|location| location.rsplit('/').next()).ok_or("an answer without Location")?;
            accepted.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
        }
        Ok(())
    }
}

/// Reads the same things again and again.
pub struct Getting {
    paths: Arc<[String]>,
    authorization: Authorization,
    number: usize,
    /// Of the last answer on any of the connections.
    pub size: Size,
}

impl Getting {
    /// One script for each connection. Each begins at another of the paths, so that not all read the same at once.
    pub fn scripts(paths: Vec<String>, workers: usize, authorization: &Authorization) -> Vec<Self> {
        let (paths, size): (Arc<[String]>, Size) = (paths.into(), Size::default());
        let script = |worker| Self {
            number: worker * paths.len() / workers.max(1),
            paths: Arc::clone(&paths),
            authorization: authorization.clone(),
            size: size.clone(),
        };
        (0..workers).map(script).collect()
    }
}

impl Script for Getting {
    fn next(&mut self) -> Outcome<Request<Full<Bytes>>> {
        let path = self.paths.get(self.number % self.paths.len().max(1)).ok_or("there is nothing to read")?;
        self.number += 1;
        client::get(path, &self.authorization.now())
    }

    fn answered(&mut self, answer: &Answer) -> Outcome<()> {
        self.size.set(answer);
        Ok(())
    }
}

/// Asks what would become of a referral about a resident who is named by pseudonym.
pub struct Asking {
    body: Bytes,
    authorization: Authorization,
}

impl Asking {
    /// On one connection.
    pub fn scripts(pseudonym: &str, bearer: &Bearer) -> Vec<Self> {
        vec![Self { body: by_pseudonym(Case::ByLaw, pseudonym), authorization: bearer.shared() }]
    }
}

impl Script for Asking {
    fn next(&mut self) -> Outcome<Request<Full<Bytes>>> {
        client::post("/v1/referrals/_check", &self.authorization.now(), self.body.clone())
    }
}
