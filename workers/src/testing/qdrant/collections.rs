//! Collections made and described.

use qdrant_client::qdrant::collections_server::Collections;
use qdrant_client::qdrant::{
    CollectionConfig, CollectionInfo, CollectionOperationResponse, CollectionParams,
    CreateCollection, GetCollectionInfoRequest, GetCollectionInfoResponse,
};
use tonic::Status;

use super::{Collection, Served, serve};

serve! {
    Collections {
        served {
            get(GetCollectionInfoRequest) -> GetCollectionInfoResponse via on_get;
            create(CreateCollection) -> CollectionOperationResponse via on_create;
        }
        absent {
            list(ListCollectionsRequest) -> ListCollectionsResponse;
            update(UpdateCollection) -> CollectionOperationResponse;
            delete(DeleteCollection) -> CollectionOperationResponse;
            update_aliases(ChangeAliases) -> CollectionOperationResponse;
            list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse;
            list_aliases(ListAliasesRequest) -> ListAliasesResponse;
            collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
            collection_exists(CollectionExistsRequest) -> CollectionExistsResponse;
            update_collection_cluster_setup(UpdateCollectionClusterSetupRequest) -> UpdateCollectionClusterSetupResponse;
            create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
            delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
            list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
        }
    }
}

impl Served {
    fn on_get(
        &self,
        request: GetCollectionInfoRequest,
    ) -> Result<GetCollectionInfoResponse, Status> {
        self.with(&request.collection_name, |collection| {
            Ok(GetCollectionInfoResponse {
                result: Some(describe(collection)),
                time: 0.0,
            })
        })
    }

    fn on_create(&self, request: CreateCollection) -> Result<CollectionOperationResponse, Status> {
        let name = request.collection_name.clone();
        let mut state = self.state();
        if state.collections.contains_key(&name) {
            let said = format!("Wrong input: Collection `{name}` already exists!");
            return Err(Status::already_exists(said));
        }
        let collection = Collection {
            made_with: request,
            ..Collection::default()
        };
        state.collections.insert(name, collection);
        Ok(CollectionOperationResponse {
            result: true,
            time: 0.0,
        })
    }
}

fn describe(collection: &Collection) -> CollectionInfo {
    let made_with = collection.made_with.clone();
    CollectionInfo {
        points_count: Some(collection.points.len() as u64),
        config: Some(CollectionConfig {
            params: Some(CollectionParams {
                vectors_config: made_with.vectors_config,
                sparse_vectors_config: made_with.sparse_vectors_config,
                ..CollectionParams::default()
            }),
            metadata: made_with.metadata,
            ..CollectionConfig::default()
        }),
        ..CollectionInfo::default()
    }
}
