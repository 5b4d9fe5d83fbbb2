//! Signs of life of the background work, and whether the gateway was told to stop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Timestamp;

/// What the parts of a running gateway say about themselves.
#[derive(Debug, Default)]
pub struct Vitals {
    /// Gives events their position.
    pub events: Pulse,
    /// Gives records their leaf in the log.
    pub records: Pulse,
    /// Sends webhooks.
    pub deliverer: Pulse,
    /// Looks at the deadlines of referrals.
    pub deadlines: Pulse,
    /// Looks for parties that cannot act.
    pub parties: Pulse,
    /// Looks at the deadlines and coordinators of cases.
    pub cases: Pulse,
    /// Does what follows from withdrawals.
    pub withdrawals: Pulse,
    /// Looks for confirmations that are overdue.
    pub confirmations: Pulse,
    /// Looks at the deadlines of reviews and of informing residents.
    pub emergencies: Pulse,
    /// Looks at the deadlines of incidents.
    pub incidents: Pulse,
    /// Looks at the deadlines of objections and of informing residents of what was received.
    pub rights: Pulse,
    /// Destroys the keys of what was taken away.
    pub keys: Pulse,
    /// Renews signing keys, throws away what has had its term, makes the monitor's figures.
    pub house_keeping: Pulse,
    leaving: AtomicBool,
    certificates: OnceLock<Vec<(&'static str, Timestamp)>>,
    pub(super) probing: AtomicBool,
}

impl Vitals {
    /// The gateway was told to stop.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// Until when the certificates hold that the gateway was started with, by what they are for.
    pub fn hold_certificates(&self, certificates: Vec<(&'static str, Timestamp)>) {
        // A gateway is started once.
        let _ = self.certificates.set(certificates);
    }

    /// Who watches that nothing is forgotten, by what is watched.
    pub(super) const fn watches(&self) -> [(&'static str, &Pulse); 8] {
        [
            ("deadlines", &self.deadlines),
            ("parties", &self.parties),
            ("cases", &self.cases),
            ("withdrawals", &self.withdrawals),
            ("confirmations", &self.confirmations),
            ("emergencies", &self.emergencies),
            ("incidents", &self.incidents),
            ("rights", &self.rights),
        ]
    }

    pub(super) fn certificates(&self) -> &[(&'static str, Timestamp)] {
        self.certificates.get().map_or(&[], Vec::as_slice)
    }

    /// Whether the gateway was told to stop.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }
}

/// The pulse of one worker.
#[derive(Debug)]
pub struct Pulse {
    born: Instant,
    last: Mutex<Option<Beat>>,
    left_behind: AtomicUsize,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { born: Instant::now(), last: Mutex::default(), left_behind: AtomicUsize::default() }
    }
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    at: Instant,
    well: bool,
}

/// How a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    /// Its last round failed.
    Failing,
    /// It has not been heard of for longer than it may be silent.
    Silent,
}

impl Pulse {
    /// The worker ended a round, well or with a failure.
    pub fn beat(&self, well: bool) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Beat { at: Instant::now(), well });
    }

    /// For so much of what it came by in its last round it could do nothing; the rest was not held up.
    pub fn leave_behind(&self, count: usize) {
        self.left_behind.store(count, Ordering::Relaxed);
    }

    pub(super) fn left_behind(&self) -> usize {
        self.left_behind.load(Ordering::Relaxed)
    }

    /// Whether it has not ended its first round, and has not had this long for it.
    pub(super) fn is_young(&self, patience: Duration) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).is_none() && self.born.elapsed() <= patience
    }

    pub(super) fn health(&self, patience: Duration) -> Health {
        match *self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(beat) if beat.at.elapsed() <= patience => {
                if beat.well {
                    Health::Well
                } else {
                    Health::Failing
                }
            }
            _ => Health::Silent,
        }
    }
}
