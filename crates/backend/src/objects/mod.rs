//! Where contents of files lie: the port [`Objects`] over `object_store`, for a local folder and for any store with the
//! S3 interface, chosen by [`open_objects`].
//!
//! In a local folder a file is written below `incoming` and moved to its place when it is whole and on disk; what a crash
//! leaves in `incoming` is removed at the next start. An S3 store shows an object when its upload is completed.

mod store;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use causeway_model::{Error, Result};
use causeway_platform::file::Objects;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{ClientOptions, RetryConfig};

use store::{Kind, ObjectsIn};

causeway_model::settings! {
    /// Where contents of files lie.
    pub struct ObjectSettings in "objects" {
        /// Nothing for the folder `objects` in the data folder, the path of another folder, or `s3://bucket/prefix` for a
        /// store with the S3 interface.
        url: Option<String> = None,
        /// What devices and applications are told as the name of the bucket when contents lie in a folder.
        bucket: String = "causeway".to_owned(),
    }
}

causeway_model::settings! {
    /// The S3 interface of the object store.
    pub struct S3Settings in "objects.s3" {
        /// Scheme, host and port, as devices and applications reach it too; nothing for Amazon's.
        endpoint: Option<String> = None,
        /// Region that requests are signed for.
        region: String = "us-east-1".to_owned(),
        /// Access key.
        access_key: Option<String> = None,
        /// Secret key.
        secret_key: Option<String> = None,
        /// The bucket stands in the path; `false`: in the host name.
        path_style: bool = true,
    }
}

/// Name of the folder inside the data folder.
pub const OBJECTS_FOLDER: &str = "objects";

/// Objects that are not whole yet, inside a local folder.
pub const INCOMING: &str = "incoming";

/// Opens the object store that the settings name. A local folder is made if need be; a foreign store is not asked.
///
/// # Errors
/// The settings name none, or the folder cannot be used; the detail says why.
pub async fn open_objects(settings: &ObjectSettings, s3: &S3Settings, data_dir: &Path) -> Result<Arc<dyn Objects>> {
    match settings.url.as_deref() {
        Some(url) if url.starts_with("s3://") => Ok(Arc::new(open_s3(url, s3)?)),
        Some(url) if url.contains("://") => {
            Err(Error::unavailable("objects.url must be empty, the path of a folder, or begin with 's3://'"))
        }
        folder => {
            let folder = folder.filter(|f| !f.is_empty()).map_or_else(|| data_dir.join(OBJECTS_FOLDER), PathBuf::from);
            let bucket = settings.bucket.clone();
            tokio::task::spawn_blocking(move || open_folder(&folder, bucket).map(|o| Arc::new(o) as Arc<dyn Objects>))
                .await
                .map_err(Error::internal)?
        }
    }
}

fn open_folder(folder: &Path, bucket: String) -> Result<ObjectsIn> {
    let fail =
        |e: std::io::Error| Error::unavailable(format_args!("the folder {} cannot be used: {e}", folder.display()));
    make_private(folder).map_err(fail)?;
    match std::fs::remove_dir_all(folder.join(INCOMING)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    let store = LocalFileSystem::new_with_prefix(folder)
        .map_err(|e| Error::unavailable(format_args!("the folder {} cannot be used: {e}", folder.display())))?
        .with_fsync(true)
        .with_automatic_cleanup(true);
    Ok(ObjectsIn { store: Arc::new(store), bucket, prefix: String::new(), kind: Kind::Local })
}

/// Only the platform's user reads what devices sent.
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn open_s3(url: &str, settings: &S3Settings) -> Result<ObjectsIn> {
    let (bucket, prefix) = url["s3://".len()..].split_once('/').unwrap_or((&url["s3://".len()..], ""));
    if bucket.is_empty() {
        return Err(Error::unavailable("objects.url names no bucket; it must look like 's3://bucket/prefix'"));
    }
    let (Some(key), Some(secret)) = (&settings.access_key, &settings.secret_key) else {
        return Err(Error::unavailable("objects.s3.access_key and objects.s3.secret_key must be set"));
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region)
        .with_access_key_id(key)
        .with_secret_access_key(secret)
        .with_virtual_hosted_style_request(!settings.path_style)
        .with_retry(RetryConfig { max_retries: 3, ..RetryConfig::default() })
        .with_client_options(ClientOptions::new().with_allow_http(true));
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    let store = builder.build().map_err(|e| Error::unavailable(format_args!("objects.s3: {e}")))?;
    let store = Arc::new(store);
    let prefix = prefix.trim_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Ok(ObjectsIn { store: store.clone(), bucket: bucket.to_owned(), prefix, kind: Kind::S3(store) })
}

#[cfg(test)]
mod tests;
