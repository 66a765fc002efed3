//! The local folder. The same store behind the S3 interface is tested against a server in `tests/test_files_s3.py`.

use bytes::Bytes;
use causeway_model::Kind as ErrorKind;
use causeway_model::file::ObjectKey;

use super::*;

async fn open(folder: &Path) -> Arc<dyn Objects> {
    open_objects(&ObjectSettings::default(), &S3Settings::default(), folder).await.expect("a folder")
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

async fn write(objects: &dyn Objects, at: &ObjectKey, pieces: &[&'static [u8]]) {
    let mut writer = objects.create(at).await.expect("a writer");
    for piece in pieces {
        writer.write(Bytes::from_static(piece)).await.expect("written");
    }
    writer.finish().await.expect("finished");
}

async fn read(objects: &dyn Objects, at: &ObjectKey, range: Option<std::ops::Range<u64>>) -> Option<Vec<u8>> {
    let mut reader = objects.read(at, range).await.expect("an answer")?;
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await.expect("bytes") {
        all.extend_from_slice(&bytes);
    }
    Some(all)
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).expect("a folder").map(|e| e.expect("an entry").path()) {
            if entry.is_dir() { folders.push(entry) } else { found.push(entry.display().to_string()) }
        }
    }
    found
}

#[tokio::test]
async fn objects_are_written_read_replaced_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = open(folder.path()).await;
    let at = key("device_file/d1/0_a.bin");
    assert_eq!((read(&*objects, &at, None).await, objects.size(&at).await.expect("an answer")), (None, None));
    write(&*objects, &at, &[b"hello ", b"", b"world"]).await;
    assert_eq!(read(&*objects, &at, None).await.as_deref(), Some(&b"hello world"[..]));
    assert_eq!(read(&*objects, &at, Some(4..7)).await.as_deref(), Some(&b"o w"[..]));
    assert_eq!(objects.size(&at).await.expect("an answer"), Some(11));
    write(&*objects, &at, &[b"new"]).await;
    assert_eq!(read(&*objects, &at, None).await.as_deref(), Some(&b"new"[..]));
    write(&*objects, &at, &[]).await;
    assert_eq!(objects.size(&at).await.expect("an answer"), Some(0));
    for _ in 0..2 {
        objects.delete(&at).await.expect("gone");
    }
    assert_eq!(read(&*objects, &at, None).await, None);
    assert_eq!(
        objects
            .signed_url(causeway_platform::file::Access::Read, &at, std::time::Duration::from_secs(1))
            .await
            .expect("an answer"),
        None
    );
}

#[tokio::test]
async fn what_is_not_finished_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = open(folder.path()).await;
    let at = key("device_file/d1/0_a.bin");
    write(&*objects, &at, &[b"old"]).await;
    let mut writer = objects.create(&at).await.expect("a writer");
    writer.write(Bytes::from(vec![7; 300 << 10])).await.expect("written");
    assert_eq!(read(&*objects, &at, None).await.as_deref(), Some(&b"old"[..]));
    // As after a crash: nobody tidies up behind this writer.
    std::mem::forget(writer);
    assert_eq!(files_below(folder.path()).len(), 2);
    drop(objects);
    let objects = open(folder.path()).await;
    assert_eq!(files_below(folder.path()).len(), 1);
    assert_eq!(read(&*objects, &at, None).await.as_deref(), Some(&b"old"[..]));
}

#[tokio::test]
async fn a_full_store_says_so() {
    let full = || object_store::Error::Generic {
        store: "x",
        source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
    };
    assert_eq!(store::failed(full()).code(), causeway_model::Code::NoRoomForFile);
    let other = object_store::Error::Generic { store: "x", source: "no".into() };
    assert_eq!(store::failed(other).code(), causeway_model::Code::Unavailable);
}

#[tokio::test]
async fn wrong_settings_are_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    for (url, word) in
        [("gs://b", "s3://"), ("s3:///p", "bucket"), ("s3://b/p", "access_key"), ("/dev/null/x", "/dev/null/x")]
    {
        let settings = ObjectSettings { url: Some(url.to_owned()), ..ObjectSettings::default() };
        let error = open_objects(&settings, &S3Settings::default(), folder.path()).await.err().expect(url);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.detail().is_some_and(|d| d.contains(word)), "{error:?}");
    }
}
