//! Answers as they are made.

mod audio;
mod client;
pub mod doors;
mod events;
mod load;
mod negotiation;
mod outage;
mod resumption;
mod whole_path;

/// Defines each test twice, as `in_both_modes` does, with front doors for which
/// the test writes the logs.
macro_rules! with_doors {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::streams::doors::Doors::embedded().await).await;
                }
            )+
        }
        mod distributed {
            $(
                #[tokio::test]
                async fn $test() {
                    let doors = crate::streams::doors::Doors::distributed().await;
                    let Some(doors) = doors else { return };
                    super::$test(doors).await;
                }
            )+
        }
    };
}
use with_doors;
