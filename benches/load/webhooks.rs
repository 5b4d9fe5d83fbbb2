//! later

use crate::Outcome;
use crate::run::Context;

/// later
pub async fn measure(_context: &mut Context<'_>) -> Outcome<()> {
    Ok(())
}
