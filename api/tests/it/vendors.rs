//! The whole path with every vendor faked on the wire, at the addresses that
//! the settings name.

mod burst;
mod callbacks;
mod dead_letters;
mod dying;
mod early;
mod emotion;
mod erasing;
mod follow_up;
mod knowledge;
mod poison;
mod round_trips;
pub mod running;
mod signing;
mod slots;
mod speaking;
mod streaming;
mod submitting;
mod waiting;
mod whole_path;

// The fakes, under the names by which the tests know them.
pub use workers::testing::prosa;
pub use workers::testing::vendor as fake;

/// Defines each test twice, as `in_both_modes` does; each starts programs of
/// its own, because their settings name the fakes of the test.
macro_rules! in_each_mode {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::vendors::running::Mode::Embedded).await;
                }
            )+
        }
        mod distributed {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some(servers) = common::testing::servers::shared() else { return };
                    super::$test(crate::vendors::running::Mode::Distributed(servers)).await;
                }
            )+
        }
    };
}
pub(crate) use in_each_mode;
