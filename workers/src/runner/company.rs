//! What runs beside what in this process: each stage by itself, since one may wait for another.
//!
//! A message that ends its process takes along whatever else is in work there. So that the same message does not do it
//! to them again and again, until they look as harmful as it is, one that has been in several processes that ended is
//! taken up alone.

use std::{collections::BTreeMap, sync::LazyLock};

use common::pipeline::Stage;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Processes that a message may have been in when they ended, and still be taken up beside others. Most were there by
/// chance: to take them up one by one after every killed worker would make them late, a remote answer at a time.
const BY_CHANCE: u32 = 1;

static COMPANY: LazyLock<BTreeMap<Stage, RwLock<()>>> = LazyLock::new(|| {
    Stage::ALL
        .iter()
        .map(|it| (*it, RwLock::default()))
        .collect()
});

fn company_of(stage: Stage) -> &'static RwLock<()> {
    COMPANY.get(&stage).expect("every stage has company")
}

/// Held while a message is in work.
pub enum Seat {
    Shared {
        _guard: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _guard: RwLockWriteGuard<'static, ()>,
    },
}

impl Seat {
    /// Beside others. Waits for one that is alone, or that waits to be.
    pub async fn shared(stage: Stage) -> Self {
        Self::Shared {
            _guard: company_of(stage).read().await,
        }
    }

    /// Waits until what is in work is done, and keeps others waiting.
    pub async fn alone(stage: Stage) -> Self {
        Self::Alone {
            _guard: company_of(stage).write().await,
        }
    }

    /// Whether a message belongs elsewhere that was in `crashes` processes before.
    pub fn is_too_shared_for(&self, crashes: u32) -> bool {
        crashes > BY_CHANCE && matches!(self, Self::Shared { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_stage_that_waits_for_another_keeps_it_from_nothing() {
        let _alone = Seat::alone(Stage::Emotion).await;
        let soon = Duration::from_secs(1);
        assert!(timeout(soon, Seat::alone(Stage::Webhook)).await.is_ok());
        let beside = Seat::shared(Stage::Emotion);
        assert!(timeout(Duration::from_millis(50), beside).await.is_err());
    }
}
