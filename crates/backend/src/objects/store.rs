//! One object after the other, by key.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_model::file::ObjectKey;
use causeway_model::{Code, Error, Result};
use causeway_platform::file::{Access, ObjectReader, ObjectWriter, Objects};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::{Method, Signer as _};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};

use super::write::Writer;

/// What the store is, as far as it matters.
pub(super) enum Kind {
    /// A folder of this machine: the platform serves the contents.
    Local,
    /// It serves the contents by URLs of its own.
    S3(Arc<AmazonS3>),
}

/// Objects in a store.
pub(super) struct ObjectsIn {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) bucket: String,
    /// Stands before every key; empty, or ends with `/`.
    pub(super) prefix: String,
    pub(super) kind: Kind,
}

impl ObjectsIn {
    pub(super) fn path(&self, key: &ObjectKey) -> Path {
        // Keys hold no character that a path would encode, and no `.` or `..`.
        Path::from(format!("{}{key}", self.prefix))
    }
}

/// What a failure of the store means for the caller.
pub(super) fn failed(error: object_store::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(at) = cause {
        let is_full = at.downcast_ref::<std::io::Error>().is_some_and(|e| {
            matches!(
                e.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge
            )
        });
        if is_full {
            return Error::new(
                Code::NoRoomForFile,
                "The platform has no room for the file. Free space, or try again later.",
            )
            .with_detail(error);
        }
        cause = at.source();
    }
    Error::unavailable(format_args!("object store: {error}"))
}

#[async_trait]
impl Objects for ObjectsIn {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    fn is_foreign(&self) -> bool {
        matches!(self.kind, Kind::S3(_))
    }

    async fn create(&self, key: &ObjectKey) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(Writer::begin(self, key).await?))
    }

    async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Option<Box<dyn ObjectReader>>> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        match self.store.get_opts(&self.path(key), options).await {
            Ok(found) => Ok(Some(Box::new(Reader(found.into_stream())))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>> {
        match self.store.head(&self.path(key)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        match self.store.delete(&self.path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn signed_url(&self, access: Access, key: &ObjectKey, life: Duration) -> Result<Option<String>> {
        let Kind::S3(s3) = &self.kind else { return Ok(None) };
        let method = match access {
            Access::Write => Method::PUT,
            Access::Read => Method::GET,
        };
        s3.signed_url(method, &self.path(key), life).await.map(|url| Some(url.to_string())).map_err(failed)
    }
}

/// An object's bytes as they come.
struct Reader(BoxStream<'static, object_store::Result<Bytes>>);

#[async_trait]
impl ObjectReader for Reader {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        self.0.next().await.transpose().map_err(failed)
    }
}
