//! A Qdrant in memory that speaks its real protocol: exact cosines, sparse dot products with inverse document
//! frequency, filters by keyword and id. As strict as a server where a mistake of ours would show.

mod collections;
mod points;
mod scoring;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CreateCollection, Distance, ListValue, Struct, Value, VectorParams, VectorParamsMap,
    VectorsConfig,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

use crate::knowledge::qdrant::{Address, QdrantConfig};

/// A vector as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    Dense(Vec<f32>),
    Sparse(BTreeMap<u32, f32>),
}

/// A point as it is kept. The unnamed vector has an empty name.
#[derive(Clone, Debug, Default)]
pub struct Point {
    pub payload: HashMap<String, Value>,
    pub vectors: HashMap<String, Stored>,
}

#[derive(Clone, Debug, Default)]
struct Collection {
    made_with: CreateCollection,
    /// By id, in its order.
    points: BTreeMap<String, Point>,
    indexed: Vec<String>,
}

#[derive(Default)]
struct State {
    collections: HashMap<String, Collection>,
    calls: Vec<&'static str>,
    delay: Duration,
    key: Option<String>,
}

#[derive(Clone, Default)]
struct Served(Arc<Mutex<State>>);

/// Listens on a port of its own until it is dropped.
pub struct FakeQdrant {
    served: Served,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl FakeQdrant {
    /// On a free port.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Where something else has listened before, for instance.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let served = Served::default();
        let server = Server::builder()
            .add_service(CollectionsServer::new(served.clone()))
            .add_service(PointsServer::new(served.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async move { server.await.expect("it serves") });
        Self {
            served,
            address,
            server,
        }
    }

    /// What `QDRANT_URL` would be.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn config(&self, collection: &str) -> QdrantConfig {
        QdrantConfig {
            address: Address::parse(&self.url()).expect("an address"),
            api_key: None,
            collection: collection.to_owned(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Makes the collection as LangChain does: one unnamed vector, measured by cosine.
    pub fn add_langchain_collection(&self, name: &str, dimension: u64) {
        let config = Config::Params(vector(dimension));
        self.add_collection(name, config);
    }

    /// Makes a collection with vectors of these names and dimensions.
    pub fn add_named_collection(&self, name: &str, vectors: &[(&str, u64)]) {
        let vectors = vectors
            .iter()
            .map(|(name, dimension)| ((*name).to_owned(), vector(*dimension)));
        let map = vectors.collect();
        self.add_collection(name, Config::ParamsMap(VectorParamsMap { map }));
    }

    fn add_collection(&self, name: &str, config: Config) {
        let made_with = CreateCollection {
            collection_name: name.to_owned(),
            vectors_config: Some(VectorsConfig {
                config: Some(config),
            }),
            ..CreateCollection::default()
        };
        let collection = Collection {
            made_with,
            ..Collection::default()
        };
        let mut state = self.served.state();
        state.collections.insert(name.to_owned(), collection);
    }

    /// Puts a point there, past the protocol.
    pub fn add_point(
        &self,
        collection: &str,
        id: &str,
        name: &str,
        vector: Vec<f32>,
        payload_json: &serde_json::Value,
    ) {
        let point = Point {
            payload: payload(payload_json),
            vectors: HashMap::from([(name.to_owned(), Stored::Dense(vector))]),
        };
        let mut state = self.served.state();
        let collection = state.collections.get_mut(collection).expect("it is there");
        collection.points.insert(id.to_owned(), point);
    }

    /// The points of a collection by their ids; none when there is no such collection.
    pub fn points(&self, collection: &str) -> BTreeMap<String, Point> {
        let state = self.served.state();
        let collection = state.collections.get(collection);
        collection.map_or_else(BTreeMap::new, |collection| collection.points.clone())
    }

    /// The fields that are indexed.
    pub fn indexed(&self, collection: &str) -> Vec<String> {
        let state = self.served.state();
        let collection = state.collections.get(collection);
        collection.map_or_else(Vec::new, |collection| collection.indexed.clone())
    }

    /// The methods that were called, in their order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.served.state().calls.clone()
    }

    pub fn forget_calls(&self) {
        self.served.state().calls.clear();
    }

    pub fn drop_collection(&self, name: &str) {
        self.served.state().collections.remove(name);
    }

    /// Every answer from now on takes so long.
    pub fn delay(&self, delay: Duration) {
        self.served.state().delay = delay;
    }

    /// From now on a call must carry this key.
    pub fn require_key(&self, key: &str) {
        self.served.state().key = Some(key.to_owned());
    }
}

impl Drop for FakeQdrant {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Served {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the call, checks its key and takes its time.
    async fn admit<T>(&self, name: &'static str, request: Request<T>) -> Result<T, Status> {
        let delay = {
            let mut state = self.state();
            state.calls.push(name);
            let key = request.metadata().get("api-key");
            let key = key.and_then(|key| key.to_str().ok());
            if state.key.is_some() && state.key.as_deref() != key {
                return Err(Status::unauthenticated("Invalid API key or JWT"));
            }
            state.delay
        };
        tokio::time::sleep(delay).await;
        Ok(request.into_inner())
    }

    fn with<T>(
        &self,
        name: &str,
        act: impl FnOnce(&mut Collection) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut state = self.state();
        let collection = state.collections.get_mut(name);
        act(collection.ok_or_else(|| {
            Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"))
        })?)
    }
}

fn vector(dimension: u64) -> VectorParams {
    VectorParams {
        size: dimension,
        distance: Distance::Cosine.into(),
        ..VectorParams::default()
    }
}

/// The payload that a JSON object is stored as.
pub fn payload(json: &serde_json::Value) -> HashMap<String, Value> {
    let fields = json.as_object().into_iter().flatten();
    fields
        .map(|(name, json)| (name.clone(), value(json)))
        .collect()
}

fn value(json: &serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(flag) => Kind::BoolValue(*flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Kind::IntegerValue(whole),
            None => Kind::DoubleValue(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(value).collect(),
        }),
        serde_json::Value::Object(_) => Kind::StructValue(Struct {
            fields: payload(json),
        }),
    };
    Value { kind: Some(kind) }
}

/// Writes the implementation of a generated server trait: what is `served` goes to the function of that name with `on_`
/// before it; the rest answers that it is not there.
macro_rules! serve {
    (
        $service:path {
            served { $($name:ident($request:ident) -> $response:ident via $function:ident;)* }
            absent { $($absent:ident($absent_request:ident) -> $absent_response:ident;)* }
        }
    ) => {
        #[tonic::async_trait]
        impl $service for super::Served {
            $(
                async fn $name(
                    &self,
                    request: tonic::Request<qdrant_client::qdrant::$request>,
                ) -> Result<tonic::Response<qdrant_client::qdrant::$response>, tonic::Status> {
                    let request = self.admit(stringify!($name), request).await?;
                    self.$function(request).map(tonic::Response::new)
                }
            )*
            $(
                async fn $absent(
                    &self,
                    _: tonic::Request<qdrant_client::qdrant::$absent_request>,
                ) -> Result<tonic::Response<qdrant_client::qdrant::$absent_response>, tonic::Status> {
                    Err(tonic::Status::unimplemented(stringify!($absent)))
                }
            )*
        }
    };
}
use serve;
