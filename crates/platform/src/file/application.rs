//! What applications do with files.

use causeway_model::file::{File, FileAttributes, FileFilter, FileSource, FileState, ObjectKey, file_name};
use causeway_model::registry::{Device, Page, PageRequest, Product};
use causeway_model::{Code, Error, FileId, RecordNo, Result, Spaces};

use super::{Access, FileLimits, FileUrl};
use crate::Platform;
use crate::secrets::random_hex;

/// A file that an application is going to upload, for whoever is named: one device, the devices of a product, or, with
/// neither, all devices of a space.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// The one space that the caller named, or those that it may use.
    pub spaces: Spaces,
    /// For this device only.
    pub device: Option<Device>,
    /// For the devices of this product.
    pub product: Option<Product>,
    /// What it is called.
    pub name: String,
    /// What is known of the content.
    pub attributes: FileAttributes,
}

fn not_found(id: &FileId) -> Error {
    Error::new(Code::FileNotFound, format!("The file '{id}' does not exist."))
}

impl Platform {
    /// Registers a file and gives the URL to which its content is `PUT`. `host` is how the caller names the platform.
    ///
    /// # Errors
    /// [`Code::InvalidInput`]; [`Code::AppNotFound`]; [`Code::FileTooLarge`]; [`Code::TooManyFiles`].
    pub async fn create_file(&self, new: NewFile, host: Option<&str>) -> Result<(File, FileUrl)> {
        let name = file_name(&new.name).filter(|n| *n == new.name);
        let Some(name) = name else {
            return Err(Error::invalid(
                "Invalid input. 'file_name' must be 1 to 255 characters without '/', '\\' and control characters.",
            ));
        };
        let app_id = match (&new.device, &new.product) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid("Invalid input. Send either 'device_id' or 'product_id', not both."));
            }
            (Some(device), None) => device.app_id.clone(),
            (None, Some(product)) => product.app_id.clone(),
            (None, None) => self.home_for_new(&new.spaces).await?,
        };
        if !new.spaces.sees(&app_id) {
            return Err(Error::invalid("Invalid input. The device or product belongs to another 'app_id'."));
        }
        let limit = self.upload_limit(&new.attributes)?;
        let id = FileId::trusted(random_hex(12));
        let key = ObjectKey::of_app(&app_id, &id, name);
        let now = self.clock.now();
        let (device_no, product_no) = (new.device.as_ref().map(|d| d.no), new.product.as_ref().map(|p| p.no));
        let file = File {
            no: RecordNo(0),
            id,
            app_id,
            source: FileSource::Application,
            device_id: new.device.map(|d| d.id),
            product_id: new.product.map(|p| p.id),
            name: name.to_owned(),
            key,
            announced: new.attributes,
            size: None,
            sha256: None,
            state: FileState::Waiting,
            created_at: now,
            expires_at: now.plus_ms(self.settings.files.url_life.as_millis()),
            stored_at: None,
            upload: None,
            download: None,
        };
        let limits = FileLimits { files: self.settings.files.max_per_app, waiting: self.settings.files.max_waiting };
        let url = self.file_url_for_app(host, Access::Write, &file.key, limit).await?;
        let file = self.store.insert_file(file, device_no, product_no, limits).await?;
        self.files.due.notify_one();
        let answer = self.url_answer(url, file.key.name().to_owned(), file.clone());
        Ok((file, answer))
    }

    /// The bucket that contents lie in.
    #[must_use]
    pub fn bucket(&self) -> &str {
        self.files.objects.bucket()
    }

    /// One file.
    ///
    /// # Errors
    /// [`Code::FileNotFound`].
    pub async fn file(&self, spaces: &Spaces, id: &FileId) -> Result<File> {
        let found = self.store.file(id).await?.filter(|f| spaces.sees(&f.app_id));
        found.ok_or_else(|| not_found(id))
    }

    /// A page of files, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn list_files(&self, filter: &FileFilter, page: PageRequest) -> Result<Page<File>> {
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.list_files(filter, page).await
    }

    /// A URL to download a file from. In a foreign store a file that was uploaded but not yet compared is compared now.
    ///
    /// # Errors
    /// [`Code::FileNotFound`]; [`Code::FileNotStored`].
    pub async fn file_download_url(&self, spaces: &Spaces, id: &FileId, host: Option<&str>) -> Result<FileUrl> {
        let file = self.file_now(spaces, id).await?;
        if file.state != FileState::Stored {
            return Err(Error::new(
                Code::FileNotStored,
                format!("Operation not allowed. The file is {}; its content is not there.", file.state.as_str()),
            ));
        }
        let url = self.file_url_for_app(host, Access::Read, &file.key, 0).await?;
        Ok(self.url_answer(url, file.key.name().to_owned(), file))
    }

    /// One file as it stands now: nobody tells the platform when an application has put something into a foreign store,
    /// so it looks.
    ///
    /// # Errors
    /// [`Code::FileNotFound`].
    pub async fn file_now(&self, spaces: &Spaces, id: &FileId) -> Result<File> {
        let file = self.file(spaces, id).await?;
        let is_open = matches!(file.state, FileState::Waiting | FileState::Checking);
        if !is_open || !self.files.objects.is_foreign() || self.files.objects.size(&file.key).await?.is_none() {
            return Ok(file);
        }
        if file.announced.sha256().is_none() {
            self.examine(&file).await?;
        } else {
            // Comparing means reading all of it, which takes its time.
            self.store
                .settle_file(
                    file.no,
                    &super::FileContent { state: FileState::Checking, size: None, sha256: None, at: self.clock.now() },
                )
                .await?;
            self.files.due.notify_one();
        }
        self.file(spaces, id).await
    }

    /// Deletes a file; its content goes soon after.
    ///
    /// # Errors
    /// [`Code::FileNotFound`]; [`Code::FileInUse`].
    pub async fn delete_file(&self, spaces: &Spaces, id: &FileId) -> Result<()> {
        let file = self.file(spaces, id).await?;
        if !self.store.delete_file(file.no).await? {
            return Err(not_found(id));
        }
        self.files.due.notify_one();
        Ok(())
    }
}
