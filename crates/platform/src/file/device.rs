//! What devices ask for and report (service `$file_manager`, 002 §2.1.2.5).

use std::borrow::Cow;

use causeway_model::file::{
    File, FileAttributes, FileSource, FileState, ObjectKey, Transfer, TransferResult, file_name,
};
use causeway_model::service_event::FileResult;
use causeway_model::{Code, DeviceId, Error, FileId, RecordNo, Result};

use super::{Access, FileLimits};
use crate::Platform;
use crate::secrets::random_hex;
use crate::uplink::DeviceContext;
use crate::uplink::events::Speaker;

/// A device's request for a URL.
#[derive(Clone, Debug)]
pub struct FileAsk<'a> {
    /// What it calls the file; folders in front are dropped.
    pub name: &'a str,
    /// What it says of the content.
    pub attributes: FileAttributes,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUrl {
    /// `PUT` or `GET` goes here.
    pub url: String,
    /// The bucket.
    pub bucket_name: String,
    /// What the device calls the file in its report.
    pub object_name: String,
    /// Seconds that the URL is good for.
    pub expire_s: u64,
    /// What is known of the content.
    pub attributes: FileAttributes,
}

/// Characters of a device's explanation that are kept.
const DESCRIPTION_KEPT: usize = 256;

/// The id at the beginning of an object's name.
fn id_in(object_name: &str) -> Option<FileId> {
    let (id, _) = object_name.rsplit('/').next()?.split_once('_')?;
    FileId::parse(id).ok()
}

impl Platform {
    /// Answers a device's request for a URL. `None` when there is nothing to answer: the documents have no answer for
    /// a file that is not there, and SDKs cannot take one without a URL.
    pub(crate) async fn device_file_url(
        &self,
        speaker: &Speaker<'_>,
        transfer: Transfer,
        ask: FileAsk<'_>,
    ) -> Result<Option<FileUrl>> {
        let (device, via) = (speaker.subject, &speaker.from.id);
        match transfer {
            Transfer::Upload => self.device_upload_url(device, via, ask).await.map(Some),
            Transfer::Download => {
                let url = self.device_download_url(device, via, ask).await?;
                if url.is_none() {
                    return Err(Error::new(Code::FileNotFound, "The device asks for a file that is not there for it."));
                }
                Ok(url)
            }
        }
    }

    /// Takes what a device says of a transfer.
    pub(crate) async fn take_file_result(&self, speaker: &Speaker<'_>, told: FileResult<'_>) -> Result<()> {
        let result = TransferResult {
            result_code: told.result_code,
            status_code: told.status_code,
            description: told.description.map(Cow::into_owned),
            at: speaker.heard.at,
        };
        if self.report_transfer(speaker.subject, told.transfer, &told.object_name, result).await? {
            return Ok(());
        }
        Err(Error::new(Code::FileNotFound, "The device reports on a file that is not its own."))
    }

    /// A URL to upload a file of `device` to.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a name that no file can have; [`Code::FileTooLarge`]; [`Code::TooManyFiles`].
    async fn device_upload_url(&self, device: &DeviceContext, via: &DeviceId, ask: FileAsk<'_>) -> Result<FileUrl> {
        let name =
            file_name(ask.name).ok_or_else(|| Error::invalid("Invalid input. 'file_name' is no name of a file."))?;
        let limit = self.upload_limit(&ask.attributes)?;
        let id = FileId::trusted(random_hex(12));
        let key = ObjectKey::of_device(&device.id, &id, name);
        let now = self.clock.now();
        let file = File {
            no: RecordNo(0),
            id,
            app_id: device.app_id.clone(),
            source: FileSource::Device,
            device_id: Some(device.id.clone()),
            product_id: None,
            name: name.to_owned(),
            key,
            announced: ask.attributes,
            size: None,
            sha256: None,
            state: FileState::Waiting,
            created_at: now,
            expires_at: now.plus_ms(self.settings.files.url_life.as_millis()),
            stored_at: None,
            upload: None,
            download: None,
        };
        let limits = FileLimits { files: self.settings.files.max_per_device, waiting: self.settings.files.max_waiting };
        // The URL first: a record without one would only be in the way.
        let url = self.file_url_for_device(via, Access::Write, &file.key, limit).await?;
        let file = self.store.insert_file(file, Some(device.no), None, limits).await?;
        self.files.due.notify_one();
        // The object is called as the device called it (002 §2.1.2.5.2): the Python SDK finds its own file by that.
        Ok(self.url_answer(url, ask.name.to_owned(), file))
    }

    /// A URL from which `device` can download what it names: a file's name, or the name of an object. `None` when there is
    /// none that it may have.
    ///
    /// # Errors
    /// Only the store's.
    async fn device_download_url(
        &self,
        device: &DeviceContext,
        via: &DeviceId,
        ask: FileAsk<'_>,
    ) -> Result<Option<FileUrl>> {
        let by_object = match id_in(ask.name) {
            Some(id) => self.readable(device, &id).await?.filter(|f| f.state == FileState::Stored),
            None => None,
        };
        let found = match (by_object, file_name(ask.name)) {
            (Some(file), _) => Some(file),
            (None, Some(name)) => self.store.file_for_device(device.no, name).await?,
            (None, None) => None,
        };
        let Some(mut file) = found else { return Ok(None) };
        let url = self.file_url_for_device(via, Access::Read, &file.key, 0).await?;
        file.announced.size = file.size.or(file.announced.size);
        file.announced.hash_code = file.sha256.take().or(file.announced.hash_code);
        Ok(Some(self.url_answer(url, ask.name.to_owned(), file)))
    }

    /// The file with this id, if the device may download it.
    async fn readable(&self, device: &DeviceContext, id: &FileId) -> Result<Option<File>> {
        let Some(file) = self.store.file(id).await? else { return Ok(None) };
        Ok(self.store.may_download(device.no, file.no).await?.then_some(file))
    }

    /// Most bytes that may be uploaded: as many as announced, if they are.
    pub(super) fn upload_limit(&self, announced: &FileAttributes) -> Result<u64> {
        let largest = self.settings.files.max_size.0 as u64;
        match announced.size {
            Some(size) if size > largest => Err(Error::new(
                Code::FileTooLarge,
                format!("Invalid input. The file is larger than {largest} bytes, the limit of a file."),
            )),
            Some(size) => Ok(size),
            None => Ok(largest),
        }
    }

    pub(super) fn url_answer(&self, url: String, object_name: String, file: File) -> FileUrl {
        FileUrl {
            url,
            bucket_name: self.files.objects.bucket().to_owned(),
            object_name,
            expire_s: self.file_url_life().as_secs(),
            attributes: file.announced,
        }
    }

    /// The file that a device reports on: by the name that it asked for, or by the last segment of the object's key.
    async fn reported_file(&self, device: &DeviceContext, transfer: Transfer, object: &str) -> Result<Option<File>> {
        if let Some(id) = id_in(object)
            && let Some(file) = self.readable(device, &id).await?
        {
            return Ok(Some(file));
        }
        match (file_name(object), transfer) {
            (None, _) => Ok(None),
            (Some(name), Transfer::Upload) => self.store.file_of_device(device.no, name).await,
            (Some(name), Transfer::Download) => self.store.file_for_device(device.no, name).await,
        }
    }

    /// Keeps what a device says of a transfer. True when there is such a file of this device.
    ///
    /// # Errors
    /// Only the store's.
    async fn report_transfer(
        &self,
        device: &DeviceContext,
        transfer: Transfer,
        object_name: &str,
        mut result: TransferResult,
    ) -> Result<bool> {
        let Some(file) = self.reported_file(device, transfer, object_name).await? else { return Ok(false) };
        if let Some(text) = &mut result.description
            && let Some((end, _)) = text.char_indices().nth(DESCRIPTION_KEPT)
        {
            text.truncate(end);
        }
        let state = match transfer {
            Transfer::Download => None,
            Transfer::Upload if file.source != FileSource::Device => return Ok(false),
            Transfer::Upload if result.result_code != 0 => Some(FileState::Failed),
            // The platform did not see the content of a foreign store.
            Transfer::Upload if self.files.objects.is_foreign() => Some(FileState::Checking),
            Transfer::Upload => None,
        };
        let known = self.store.report_transfer(file.no, transfer, &result, state).await?;
        if state == Some(FileState::Checking) {
            self.files.due.notify_one();
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_by_the_id_in_their_name() {
        let id = |name: &str| id_in(name).map(|i| i.to_string());
        assert_eq!(id("0123456789abcdef01234567_a_b.jpg").as_deref(), Some("0123456789abcdef01234567"));
        assert_eq!(id("device_file/d_1/abc_x.jpg").as_deref(), Some("abc"));
        for name in ["", "a.jpg", "_a", "a b_c", "日_a"] {
            assert_eq!(id(name), None, "{name}");
        }
    }
}
