//! What files need from the place where contents lie.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_model::Result;
use causeway_model::file::ObjectKey;

/// What a signed URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `PUT`: write the object.
    Write,
    /// `GET` and `HEAD`: read it.
    Read,
}

/// Keeps contents by key: a local folder or any store with the S3 interface.
#[async_trait]
pub trait Objects: Send + Sync {
    /// What devices and applications are told as the bucket's name.
    fn bucket(&self) -> &str;
    /// Whether the store serves its own URLs: contents come and go without the platform seeing them.
    fn is_foreign(&self) -> bool;
    /// Begins to write an object. Nobody sees it before [`ObjectWriter::finish`]; then it takes the place of an older one
    /// at once. A writer that is dropped leaves nothing behind.
    async fn create(&self, key: &ObjectKey) -> Result<Box<dyn ObjectWriter>>;
    /// The bytes of an object in pieces, all or a range that lies inside it. `None` when it is not there.
    async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Option<Box<dyn ObjectReader>>>;
    /// Bytes of an object. `None` when it is not there.
    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>>;
    /// Removes an object; one that is not there is no error.
    async fn delete(&self, key: &ObjectKey) -> Result<()>;
    /// A URL of the store's own for one object, good for `life` from now. `None` when the platform itself has to serve
    /// the object.
    async fn signed_url(&self, access: Access, key: &ObjectKey, life: Duration) -> Result<Option<String>>;
}

/// Keeps nothing.
#[cfg(test)]
pub(crate) struct NoObjects;

#[cfg(test)]
#[async_trait]
impl Objects for NoObjects {
    fn bucket(&self) -> &str {
        "none"
    }
    fn is_foreign(&self) -> bool {
        false
    }
    async fn create(&self, _: &ObjectKey) -> Result<Box<dyn ObjectWriter>> {
        Err(causeway_model::Error::unavailable("no objects"))
    }
    async fn read(&self, _: &ObjectKey, _: Option<Range<u64>>) -> Result<Option<Box<dyn ObjectReader>>> {
        Ok(None)
    }
    async fn size(&self, _: &ObjectKey) -> Result<Option<u64>> {
        Ok(None)
    }
    async fn delete(&self, _: &ObjectKey) -> Result<()> {
        Ok(())
    }
    async fn signed_url(&self, _: Access, _: &ObjectKey, _: Duration) -> Result<Option<String>> {
        Ok(None)
    }
}

/// An object that is being written.
#[async_trait]
pub trait ObjectWriter: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`Code::NoRoomForFile`](causeway_model::Code::NoRoomForFile) when the store is full.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;
    /// Makes the object visible, and durable before it returns.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    async fn finish(&mut self) -> Result<()>;
}

/// An object that is being read.
#[async_trait]
pub trait ObjectReader: Send {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Only the store's.
    async fn next(&mut self) -> Result<Option<Bytes>>;
}
