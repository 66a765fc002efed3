//! Contents on their way, for the door that serves the platform's own URLs.

use std::ops::Range;

use bytes::Bytes;
use causeway_model::file::{File, FileState};
use causeway_model::{Code, Error, Result};
use ring::digest::{Context, SHA256};

use super::{Access, FileContent, ObjectReader, ObjectWriter, SignedPath};
use crate::Platform;

/// A file that is being uploaded. Dropped before its end, it leaves nothing behind.
pub struct Upload {
    file: File,
    limit: u64,
    writer: Box<dyn ObjectWriter>,
    hash: Context,
    size: u64,
}

/// A file that is being downloaded.
pub struct Download {
    /// Bytes of the whole file.
    pub size: u64,
    /// What is sent of it.
    pub range: Range<u64>,
    /// Whether the client asked for a part.
    pub is_partial: bool,
    /// What the file is called.
    pub name: String,
    /// SHA-256 of the whole file, if known.
    pub sha256: Option<String>,
    /// The bytes; `None` when only the head was asked for.
    pub reader: Option<Box<dyn ObjectReader>>,
}

fn gone() -> Error {
    Error::new(Code::FileNotFound, "The file does not exist.")
}

fn too_large(limit: u64) -> Error {
    Error::new(Code::FileTooLarge, format!("The file is larger than the {limit} bytes that the URL allows."))
}

fn wrong_size(announced: u64) -> Error {
    Error::new(Code::FileMismatch, format!("The file does not have the {announced} bytes that were announced."))
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Code::FileTooLarge`]; [`Code::NoRoomForFile`].
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(too_large(self.limit));
        }
        self.hash.update(&bytes);
        self.writer.write(bytes).await
    }
}

/// Which bytes a `Range` header asks for (RFC 9110 §14.2): one range, or everything when the header is not understood.
fn range_of(header: Option<&str>, size: u64) -> Result<Option<Range<u64>>> {
    let Some(spec) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else { return Ok(None) };
    let Some((first, last)) = spec.trim().split_once('-') else { return Ok(None) };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(last)) if first.trim().is_empty() => size.saturating_sub(last)..size,
        _ => return Ok(None),
    };
    if range.start >= size || range.is_empty() {
        return Err(Error::new(
            Code::NoSuchRange,
            format!("The file has {size} bytes; the range lies outside of them."),
        ));
    }
    Ok(Some(range))
}

impl Platform {
    /// Begins an upload to a URL of the platform; `announced` are the bytes that the request says it brings.
    ///
    /// # Errors
    /// [`Code::InvalidFileUrl`]; [`Code::FileUrlExpired`]; [`Code::FileNotFound`] when it was deleted;
    /// [`Code::FileTooLarge`]; [`Code::FileMismatch`].
    pub async fn begin_upload(&self, path: SignedPath<'_>, announced: Option<u64>) -> Result<Upload> {
        let permit = self.files.check(Access::Write, path, self.clock.now())?;
        let file = self.store.file_at(&permit.key).await?.ok_or_else(gone)?;
        if announced.is_some_and(|n| n > permit.limit) {
            return Err(too_large(permit.limit));
        }
        if let (Some(comes), Some(expected)) = (announced, file.announced.size)
            && comes != expected
        {
            return Err(wrong_size(expected));
        }
        let writer = self.files.objects.create(&permit.key).await?;
        Ok(Upload { file, limit: permit.limit, writer, hash: Context::new(&SHA256), size: 0 })
    }

    /// Ends an upload: its content is what was announced, durable, and in the list of files.
    ///
    /// # Errors
    /// [`Code::FileMismatch`]; [`Code::FileNotFound`] when it was deleted meanwhile; [`Code::NoRoomForFile`].
    pub async fn finish_upload(&self, upload: Upload) -> Result<()> {
        let Upload { file, mut writer, hash, size, .. } = upload;
        if let Some(expected) = file.announced.size
            && expected != size
        {
            return Err(wrong_size(expected));
        }
        let sha256 = hex::encode(hash.finish().as_ref());
        if file.announced.sha256().is_some_and(|announced| announced != sha256) {
            return Err(Error::new(Code::FileMismatch, "The file does not have the SHA-256 that was announced."));
        }
        writer.finish().await?;
        let at = self.clock.now();
        let content = FileContent { state: FileState::Stored, size: Some(size), sha256: Some(sha256), at };
        if self.store.settle_file(file.no, &content).await? {
            return Ok(());
        }
        self.files.objects.delete(&file.key).await?;
        Err(gone())
    }

    /// Opens a download from a URL of the platform; `range` is the request's header.
    ///
    /// # Errors
    /// [`Code::InvalidFileUrl`]; [`Code::FileUrlExpired`]; [`Code::FileNotFound`]; [`Code::FileNotStored`];
    /// [`Code::NoSuchRange`].
    pub async fn open_download(&self, path: SignedPath<'_>, range: Option<&str>, head_only: bool) -> Result<Download> {
        let permit = self.files.check(Access::Read, path, self.clock.now())?;
        let file = self.store.file_at(&permit.key).await?.ok_or_else(gone)?;
        let (FileState::Stored, Some(size)) = (file.state, file.size) else {
            return Err(Error::new(Code::FileNotStored, "The file was not uploaded yet."));
        };
        let wanted = range_of(range, size)?;
        let reader = if head_only {
            None
        } else {
            let missing = || Error::internal(format_args!("the object {} is not in the object store", file.key));
            Some(self.files.objects.read(&file.key, wanted.clone()).await?.ok_or_else(missing)?)
        };
        Ok(Download {
            size,
            is_partial: wanted.is_some(),
            range: wanted.unwrap_or(0..size),
            name: file.name,
            sha256: file.sha256,
            reader,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let range = |header: &str| range_of(Some(header), 100).map_err(|e| e.code());
        assert_eq!(range("bytes=0-9"), Ok(Some(0..10)));
        assert_eq!(range("bytes=90-"), Ok(Some(90..100)));
        assert_eq!(range("bytes=-1"), Ok(Some(99..100)));
        assert_eq!(range("bytes=-1000"), Ok(Some(0..100)));
        assert_eq!(range("bytes=99-1000"), Ok(Some(99..100)));
        assert_eq!(range("bytes=0-18446744073709551615"), Ok(Some(0..100)));
        for ignored in ["", "items=0-1", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=0-1,5-6", "bytes=1x-2"] {
            assert_eq!(range(ignored), Ok(None), "{ignored}");
        }
        for outside in ["bytes=100-", "bytes=200-300", "bytes=-0"] {
            assert_eq!(range(outside), Err(Code::NoSuchRange), "{outside}");
        }
        assert_eq!(range_of(Some("bytes=0-0"), 0).map_err(|e| e.code()), Err(Code::NoSuchRange));
        assert_eq!(range_of(None, 5).map_err(|e| e.code()), Ok(None));
    }
}
