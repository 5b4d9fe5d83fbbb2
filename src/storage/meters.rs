//! What the storage tells of itself while it works, in its own words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A transaction that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// How many changes shared it.
    pub changes: usize,
    /// From BEGIN to the end of COMMIT.
    pub took: Duration,
}

/// Who is told; nobody by default. Copies tell the same one.
#[derive(Clone, Default)]
pub struct Meters(Option<Arc<dyn Fn(Commit) + Send + Sync>>);

impl Meters {
    /// Tells this function of every commit, from the thread of the writer that made it.
    pub fn new(tell: impl Fn(Commit) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(super) fn committed(&self, changes: usize, took: Duration) {
        if let Some(tell) = &self.0 {
            tell(Commit { changes, took });
        }
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meters")
    }
}
