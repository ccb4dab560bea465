//! The whole path of a request, over real HTTP, in both modes: the same tests
//! against one process, and against front doors and workers that are processes
//! of their own on RabbitMQ and Redis.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod browser;
mod containers;
mod conversations;
mod deployment;
mod engines;
mod health;
mod hostile;
mod jobs;
mod limits;
mod openapi;
mod outages;
mod overload;
mod page;
mod restarts;
mod startup;
mod streams;
mod tenants;
mod text;
mod vendors;
mod voice;

/// Defines each test twice: embedded, and distributed.
macro_rules! in_both_modes {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::deployment::embedded().await).await;
                }
            )+
        }
        mod distributed {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some(deployment) = crate::deployment::distributed().await else { return };
                    super::$test(deployment).await;
                }
            )+
        }
    };
}
pub(crate) use in_both_modes;
