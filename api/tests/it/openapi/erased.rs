//! A job whose data are erased.

use reqwest::Method;

use super::{Case, UNKNOWN};
use crate::deployment::Deployment;

/// Erases job `id`, and goes all ways to it.
pub fn cases(deployment: &Deployment, id: &str) -> Vec<Case> {
    let path = format!("/v1/jobs/{id}");
    let delete = |path: &str| deployment.delete(path);
    let get = |rest: &str| deployment.get(&format!("{path}{rest}"));
    let data = "/v1/jobs/{id}/data";
    vec![
        (
            Method::DELETE,
            data,
            delete(&format!("/v1/jobs/{UNKNOWN}/data")),
        ),
        (Method::DELETE, data, delete(&format!("{path}/data"))),
        (Method::GET, "/v1/jobs/{id}", get("")),
        (Method::GET, "/v1/jobs/{id}/events", get("/events")),
        (Method::GET, "/v1/jobs/{id}/audio", get("/audio")),
        (Method::DELETE, "/v1/jobs/{id}", delete(&path)),
    ]
}
