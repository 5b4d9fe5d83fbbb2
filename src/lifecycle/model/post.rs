//! Events on their way to whoever looks at one referral or case: held up, delivered twice, overtaken, but never lost.
//!
//! One onlooker stands for all: none of them changes what another sees. A version is the newest or an older one; older ones are alike, because
//! whoever receives one keeps what is newer.

use super::promise;

/// How events travel.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What was accepted but not yet delivered is still there after a crash: event and step are one transaction.
    pub outbox_survives: bool,
    /// Whoever has a newer version does not take an older one for news.
    pub older_is_dropped: bool,
}

impl Rules {
    pub const REAL: Self = Self { outbox_survives: true, older_is_dropped: true };
}

/// What becomes of the event of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and that is known.
    Arrives,
    /// The gateway stops between accepting the step and delivering the event.
    Crash,
    /// It arrives and that is not known, so that it comes again.
    Unacknowledged,
}

/// Where the onlooker and the events for it are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Post {
    /// The onlooker has not seen the newest version.
    pub behind: bool,
    /// The newest event is to be delivered, perhaps again.
    pub newest_waits: bool,
    /// An older event is still under way.
    pub older_waits: bool,
}

impl Post {
    /// After a step.
    pub const fn stepped(self, fate: Fate, rules: Rules) -> Self {
        let older_waits = self.older_waits || self.newest_waits;
        match fate {
            Fate::Arrives => Self { behind: false, newest_waits: false, older_waits },
            Fate::Crash => Self { behind: true, newest_waits: rules.outbox_survives, older_waits },
            Fate::Unacknowledged => Self { behind: false, newest_waits: true, older_waits },
        }
    }

    /// Every way in which something that is under way arrives: the older before or after the newer.
    pub fn arrivals(self, rules: Rules) -> impl Iterator<Item = Self> {
        let newest = self.newest_waits.then_some(Self { behind: false, newest_waits: false, ..self });
        let behind = self.behind || !rules.older_is_dropped;
        let older = self.older_waits.then_some(Self { behind, older_waits: false, ..self });
        newest.into_iter().chain(older)
    }

    pub const fn is_quiet(self) -> bool {
        !self.behind && !self.newest_waits && !self.older_waits
    }

    pub fn check(self) -> Result<(), String> {
        promise(!self.behind || self.newest_waits, "an accepted step will never be seen by everyone it concerns")
    }
}
