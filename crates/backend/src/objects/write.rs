//! An object that is being written.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use causeway_model::Result;
use causeway_model::file::ObjectKey;
use causeway_platform::file::ObjectWriter;
use causeway_platform::secrets::random_hex;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _};

use super::INCOMING;
use super::store::{Kind, ObjectsIn, failed};

/// Bytes handed to a local file at once.
const LOCAL_PIECE: usize = 256 << 10;

/// S3 takes no smaller part but the last one.
const S3_PART: usize = 5 << 20;

/// Gathers pieces; holds one in memory.
pub(super) struct Writer {
    store: Arc<dyn ObjectStore>,
    upload: Box<dyn MultipartUpload>,
    /// Where the object is written, if that is not its place.
    incoming: Option<Path>,
    place: Path,
    piece: usize,
    gathered: BytesMut,
}

impl Writer {
    pub(super) async fn begin(objects: &ObjectsIn, key: &ObjectKey) -> Result<Self> {
        let place = objects.path(key);
        let (incoming, piece) = match objects.kind {
            Kind::Local => (Some(Path::from(format!("{INCOMING}/{}", random_hex(16)))), LOCAL_PIECE),
            Kind::S3(_) => (None, S3_PART),
        };
        let upload = objects.store.put_multipart(incoming.as_ref().unwrap_or(&place)).await.map_err(failed)?;
        Ok(Self { store: objects.store.clone(), upload, incoming, place, piece, gathered: BytesMut::new() })
    }

    async fn flush(&mut self) -> Result<()> {
        let bytes = self.gathered.split().freeze();
        self.upload.put_part(bytes.into()).await.map_err(failed)
    }
}

#[async_trait]
impl ObjectWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= self.piece { self.flush().await } else { Ok(()) }
    }

    async fn finish(&mut self) -> Result<()> {
        // An empty object has one empty part.
        self.flush().await?;
        self.upload.complete().await.map_err(failed)?;
        if let Some(incoming) = &self.incoming {
            self.store.rename(incoming, &self.place).await.map_err(failed)?;
        }
        Ok(())
    }
}
