//! Files of devices and for devices (002 §3.9). The vendor shows them in its object storage service; here they have
//! operations of their own. Contents do not pass through this interface: it gives signed URLs.

use causeway_model::file::{File as Record, FileAttributes, FileFilter, FileSource, FileState, TransferResult};
use causeway_model::{AppId, Code, DeviceId, Error, FileId, ProductId, Result};
use causeway_platform::file::{FileUrl, NewFile};

use crate::bounded::{Any, Fingerprint, Id, Int, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

words! {
    /// Who uploads a file.
    Sources: "DEVICE" | "APPLICATION";
    /// What has become of a file.
    States: "WAITING" | "CHECKING" | "STORED" | "FAILED";
}

body! {
    /// A file for devices to download.
    pub(crate) struct CreateFile {
        /// What devices ask for: a name without folders.
        file_name: Text<Any, 1, 255>,
        /// Only this device may download it.
        device_id: Option<Id<DeviceId>>,
        /// Devices of this product may download it. Without device and product, all devices of the resource space may.
        product_id: Option<Id<ProductId>>,
        /// Resource space; that of the device or product, or the default one, when absent.
        app_id: Option<Id<AppId>>,
        /// Bytes of the content; another size is refused.
        size: Option<Int<0, { i64::MAX }>>,
        /// SHA-256 of the content in hexadecimal digits; another content is refused.
        hash_code: Option<Fingerprint>,
    }
}

reply! {
    /// What a device said of a transfer.
    pub(crate) struct Transferred {
        /// 0: done; anything else: not.
        result_code: i64,
        /// HTTP status that the device saw.
        status_code: Option<i64>,
        /// What it said.
        status_description: Option<String>,
        /// When the platform heard of it.
        report_time: Compact,
    }
}

reply! {
    /// A file.
    pub(crate) struct File {
        /// The id.
        file_id: String,
        /// What its owner calls it.
        file_name: String,
        /// Resource space.
        app_id: String,
        /// `DEVICE` or `APPLICATION`: who uploads it.
        source: &'static str,
        /// The device that uploads it, or the only one that may download it.
        device_id: Option<String>,
        /// The product whose devices may download it.
        product_id: Option<String>,
        /// `WAITING` for its content, `CHECKING` it, `STORED`, or `FAILED`.
        status: &'static str,
        /// Bytes; as announced until the content is there.
        size: Option<u64>,
        /// SHA-256 of the content, or what was announced.
        hash_code: Option<String>,
        /// The bucket that it lies in.
        bucket_name: String,
        /// Its key in the bucket; what an OTA package names.
        object_key: String,
        /// When it was announced.
        create_time: Compact,
        /// When its content was there.
        upload_time: Option<Compact>,
        /// What the device said of its upload.
        upload_result: Option<Transferred>,
        /// What a device said of its download last.
        download_result: Option<Transferred>,
    }
}

reply! {
    /// A signed URL.
    pub(crate) struct Url {
        /// Where to send the request.
        url: String,
        /// `PUT` to upload, `GET` (also with `Range`) or `HEAD` to download.
        method: &'static str,
        /// Seconds that it is good for.
        expire: u64,
    }
}

reply! {
    /// A new file and where its content goes.
    pub(crate) struct NewFileReply {
        /// The file.
        file: File,
        /// Where its content goes.
        upload: Url,
    }
}

reply! {
    /// A page of files.
    pub(crate) struct Files {
        /// The files, newest first.
        files: Vec<File>,
        /// The page.
        page: Page,
    }
}

impl From<TransferResult> for Transferred {
    fn from(result: TransferResult) -> Self {
        Self {
            result_code: result.result_code,
            status_code: result.status_code,
            status_description: result.description,
            report_time: Compact(result.at),
        }
    }
}

impl File {
    fn of(call: &Call, file: Record) -> Self {
        Self {
            file_id: file.id.to_string(),
            file_name: file.name,
            app_id: file.app_id.to_string(),
            source: file.source.as_str(),
            device_id: file.device_id.map(|d| d.to_string()),
            product_id: file.product_id.map(|p| p.to_string()),
            status: file.state.as_str(),
            size: file.size.or(file.announced.size),
            hash_code: file.sha256.or(file.announced.hash_code),
            bucket_name: call.platform().bucket().to_owned(),
            object_key: file.key.to_string(),
            create_time: Compact(file.created_at),
            upload_time: file.stored_at.map(Compact),
            upload_result: file.upload.map(Transferred::from),
            download_result: file.download.map(Transferred::from),
        }
    }
}

impl Url {
    fn of(url: FileUrl, method: &'static str) -> Self {
        Self { url: url.url, method, expire: url.expire_s }
    }
}

fn file_id(call: &Call) -> Result<FileId> {
    FileId::parse(call.path("file_id"))
}

pub(super) static CREATE: Built =
    Built::new("Announces a file for devices and gives the URL for its upload.", json::<NewFileReply>(201), |c| {
        Box::pin(create(c))
    })
    .body::<CreateFile>()
    .errors(&[
        Code::AppNotFound,
        Code::DeviceNotFound,
        Code::ProductNotFound,
        Code::FileTooLarge,
        Code::TooManyFiles,
    ]);

async fn create(call: Call) -> Result<Reply> {
    let new: CreateFile = call.body()?;
    let spaces = call.spaces(new.app_id.map(|a| a.0))?;
    let device = match new.device_id {
        Some(id) => Some(call.named_device(&id.0).await?),
        None => None,
    };
    let product = match new.product_id {
        Some(id) => Some(call.platform().product(&spaces, &id.0).await?),
        None => None,
    };
    let hash_code = new.hash_code.map(Fingerprint::into_string);
    if hash_code.as_ref().is_some_and(|h| h.len() != 64) {
        return Err(Error::invalid("Invalid input. 'hash_code' must be 64 hexadecimal digits."));
    }
    let attributes = FileAttributes { hash_code, size: new.size.map(|n| n.0.unsigned_abs()) };
    let name = new.file_name.into_string();
    let new = NewFile { spaces, device, product, name, attributes };
    let (file, url) = call.platform().create_file(new, call.host.as_deref()).await?;
    call.concerns(&file.app_id);
    call.concerns_resource(file.id.as_str());
    Reply::created(&NewFileReply { file: File::of(&call, file), upload: Url::of(url, "PUT") })
}

pub(super) static LIST: Built =
    Built::new("Lists the files of devices and for devices.", json::<Files>(200), |c| Box::pin(list(c)))
        .query(&[
            Param::optional::<AppId>("app_id", "Resource space; all when absent."),
            Param::optional::<DeviceId>("device_id", "Files that this device uploaded, and those for it alone."),
            Param::optional::<ProductId>("product_id", "Files for the devices of this product."),
            Param::optional::<Word<Sources>>("source", "Who uploaded them."),
            Param::optional::<Word<States>>("status", "What has become of them."),
            Param::optional::<Text<Any, 1, 255>>("file_name", "A part of the name."),
            Param::optional::<Text<Any, 1, 32>>("start_time", "Announced at this time or later."),
            Param::optional::<Text<Any, 1, 32>>("end_time", "Announced before this time."),
        ])
        .paged()
        .errors(&[Code::AppNotFound, Code::InvalidTime, Code::TimeOrder]);

async fn list(call: Call) -> Result<Reply> {
    let (from, to) = (call.time("start_time")?, call.time("end_time")?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(Error::new(Code::TimeOrder, "Invalid input. 'start_time' must be before 'end_time'."));
    }
    let filter = FileFilter {
        spaces: call.spaces(call.query::<AppId>("app_id")?)?,
        device_id: call.query("device_id")?,
        product_id: call.query("product_id")?,
        source: call.query::<Word<Sources>>("source")?.and_then(|w| FileSource::parse(w.as_str())),
        state: call.query::<Word<States>>("status")?.and_then(|w| FileState::parse(w.as_str())),
        name: call.query::<Text<Any, 1, 255>>("file_name")?.map(Text::into_string),
        from,
        to,
    };
    let page = call.platform().list_files(&filter, call.page()?).await?;
    let of = Page::of(&page);
    Reply::ok(&Files { files: page.items.into_iter().map(|f| File::of(&call, f)).collect(), page: of })
}

pub(super) static SHOW: Built =
    Built::new("Shows a file.", json::<File>(200), |c| Box::pin(show(c))).errors(&[Code::FileNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let file = call.platform().file_now(&call.allowed, &file_id(&call)?).await?;
    Reply::ok(&File::of(&call, file))
}

pub(super) static URL: Built =
    Built::new("Gives a URL to download a file from.", json::<Url>(200), |c| Box::pin(url(c)))
        .errors(&[Code::FileNotFound, Code::FileNotStored]);

async fn url(call: Call) -> Result<Reply> {
    let url = call.platform().file_download_url(&call.allowed, &file_id(&call)?, call.host.as_deref()).await?;
    Reply::ok(&Url::of(url, "GET"))
}

pub(super) static DELETE: Built =
    Built::new("Deletes a file with its content; URLs that were given out end.", Success::Empty, |c| {
        Box::pin(delete(c))
    })
    .errors(&[Code::FileNotFound, Code::FileInUse]);

async fn delete(call: Call) -> Result<Reply> {
    let id = file_id(&call)?;
    call.concerns(&call.platform().file(&call.allowed, &id).await?.app_id);
    call.platform().delete_file(&call.allowed, &id).await?;
    Ok(Reply::empty())
}
