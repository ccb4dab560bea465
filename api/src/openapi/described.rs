//! Routes, each with what the document says of it.

use axum::{Router, routing::MethodRouter};
use utoipa::openapi::{PathItem, Paths};

use crate::{error::Problem, state::AppState};

/// A router that takes no route without its description, and tells by the
/// description which methods a route has.
#[derive(Default)]
pub struct Described {
    pub router: Router<AppState>,
    pub paths: Paths,
}

impl Described {
    pub fn route(mut self, path: &str, methods: MethodRouter<AppState>, item: PathItem) -> Self {
        let allowed = allowed_methods(&item);
        let refuse = move || std::future::ready(Problem::method_not_allowed(allowed.clone()));
        self.router = self.router.route(path, methods.fallback(refuse));
        self.paths.paths.insert(path.to_owned(), item);
        self
    }
}

/// As the header `Allow` lists them.
fn allowed_methods(item: &PathItem) -> String {
    let methods = [
        ("GET, HEAD", item.get.is_some()),
        ("POST", item.post.is_some()),
        ("DELETE", item.delete.is_some()),
    ];
    let present = methods.iter().filter(|(_, is_there)| *is_there);
    present
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}
