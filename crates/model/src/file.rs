//! Files of devices and applications (002 §2.1.2.5, §3.9).

use std::fmt;

use crate::ids::{AppId, DeviceId, FileId, ProductId, RecordNo};
use crate::spaces::Spaces;
use crate::time::Timestamp;

/// Where a file lies in the object store: segments of letters, digits, `.`, `_` and `-`, joined by `/`. It is made by the
/// platform; what a client calls a file is only ever the end of the last segment, so it cannot lead anywhere else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Longest key, in bytes.
    pub const MAX_LEN: usize = 1024;
    /// Characters of the client's name that a key keeps.
    const NAME_KEPT: usize = 100;

    /// The key of a file that a device uploads.
    #[must_use]
    pub fn of_device(device: &DeviceId, id: &FileId, name: &str) -> Self {
        Self(format!("device_file/{device}/{}", Self::object_name(id, name)))
    }

    /// The key of a file that an application uploads.
    #[must_use]
    pub fn of_app(app: &AppId, id: &FileId, name: &str) -> Self {
        Self(format!("app_file/{app}/{}", Self::object_name(id, name)))
    }

    /// The key of something the platform itself keeps: `area` and `name` are its own words.
    #[must_use]
    pub fn of_platform(area: &str, name: &str) -> Self {
        Self(format!("platform/{area}/{name}"))
    }

    /// Reads a key that came from outside or from the store; `None` when the platform cannot have made it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_segment = |s: &str| {
            !s.is_empty()
                && !s.bytes().all(|b| b == b'.')
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        (text.len() <= Self::MAX_LEN && text.split('/').all(is_segment)).then(|| Self(text.to_owned()))
    }

    /// `{id}_{name}`, the name with everything but letters, digits, `.`, `_`, `-` replaced.
    fn object_name(id: &FileId, name: &str) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
        // The end is kept: it has the extension.
        let skipped = name.chars().count().saturating_sub(Self::NAME_KEPT);
        let name: String = name.chars().skip(skipped).map(safe).collect();
        format!("{id}_{name}")
    }

    /// The whole key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment: what devices call the object.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters of a file's name.
pub const FILE_NAME_MAX: usize = 255;

/// The name behind the last `/` or `\`, if a file can be called so: devices put their whole path.
#[must_use]
pub fn file_name(sent: &str) -> Option<&str> {
    let name = sent.rsplit(['/', '\\']).next()?.trim();
    let sound = !matches!(name, "" | "." | "..")
        && name.chars().count() <= FILE_NAME_MAX
        && !name.chars().any(char::is_control);
    sound.then_some(name)
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The word of the API and of the store.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the word back.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Who uploads a file.
    FileSource {
        /// The device itself.
        Device = "DEVICE",
        /// An application, for devices to download.
        Application = "APPLICATION",
    }
}

words! {
    /// What has become of a file.
    FileState {
        /// A URL was given out; the content has not come.
        Waiting = "WAITING",
        /// The content is in a foreign store and is being compared with what was announced.
        Checking = "CHECKING",
        /// The content is there.
        Stored = "STORED",
        /// It did not come in time, the device gave up, or it is not what was announced.
        Failed = "FAILED",
    }
}

words! {
    /// Which transfer a device reports on.
    Transfer {
        /// Device to store.
        Upload = "UPLOAD",
        /// Store to device.
        Download = "DOWNLOAD",
    }
}

/// What a device says of a transfer (002 §2.1.2.5.3, §2.1.2.5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferResult {
    /// 0: done; anything else: not.
    pub result_code: i64,
    /// HTTP status that the device saw.
    pub status_code: Option<i64>,
    /// Free text, at most 256 characters are kept.
    pub description: Option<String>,
    /// When the platform heard of it.
    pub at: Timestamp,
}

/// A file and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Paging position.
    pub no: RecordNo,
    /// The id, 24 hex digits.
    pub id: FileId,
    /// The space it belongs to.
    pub app_id: AppId,
    /// Who uploads it.
    pub source: FileSource,
    /// The device that uploads it, or the only one that may download it.
    pub device_id: Option<DeviceId>,
    /// The product whose devices may download it.
    pub product_id: Option<ProductId>,
    /// What its owner calls it.
    pub name: String,
    /// Where it lies.
    pub key: ObjectKey,
    /// What it is to be, as announced.
    pub announced: FileAttributes,
    /// Bytes, once it is there.
    pub size: Option<u64>,
    /// SHA-256 of the content in lower-case hexadecimal digits, once it was computed.
    pub sha256: Option<String>,
    /// What has become of it.
    pub state: FileState,
    /// When the first URL was asked for.
    pub created_at: Timestamp,
    /// When the upload's URL ends.
    pub expires_at: Timestamp,
    /// When the content was there.
    pub stored_at: Option<Timestamp>,
    /// What the device said of its upload.
    pub upload: Option<TransferResult>,
    /// What a device said of its download last.
    pub download: Option<TransferResult>,
}

/// `file_attributes` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileAttributes {
    /// `hash_code`: SHA-256 in 64 hexadecimal digits is compared; other texts are only handed back.
    pub hash_code: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
}

impl FileAttributes {
    /// The SHA-256 that the content must have.
    #[must_use]
    pub fn sha256(&self) -> Option<String> {
        let hash = self.hash_code.as_deref()?;
        (hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())).then(|| hash.to_ascii_lowercase())
    }
}

/// Which files a list holds.
#[derive(Clone, Debug, Default)]
pub struct FileFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Of or for this device.
    pub device_id: Option<DeviceId>,
    /// For the devices of this product.
    pub product_id: Option<ProductId>,
    /// Uploaded by.
    pub source: Option<FileSource>,
    /// In this state.
    pub state: Option<FileState>,
    /// With this text in its name.
    pub name: Option<String>,
    /// Made at this time or later.
    pub from: Option<Timestamp>,
    /// Made before this time.
    pub to: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_lead_elsewhere() {
        let (device, id) = (DeviceId::trusted("d1"), FileId::trusted("0123456789abcdef01234567"));
        for (sent, name) in [
            ("a.jpg", Some("a.jpg")),
            ("/var/log/a.log", Some("a.log")),
            ("..\\..\\boot.ini", Some("boot.ini")),
            ("../../etc/passwd", Some("passwd")),
            ("日志 1.txt", Some("日志 1.txt")),
            ("..", None),
            ("a/..", None),
            (".", None),
            ("", None),
            ("a/", None),
            ("a\nb", None),
            ("a\0", None),
        ] {
            assert_eq!(file_name(sent), name, "{sent:?}");
        }
        assert!(file_name(&"n".repeat(255)).is_some());
        assert!(file_name(&"n".repeat(256)).is_none());
        for name in ["a.jpg", "日志 1.txt", "%2e%2e%2f", "a?b=c#1", "..", &"x".repeat(255)] {
            let key = ObjectKey::of_device(&device, &id, name);
            assert_eq!(ObjectKey::parse(key.as_str()).as_ref(), Some(&key), "{name}");
            assert!(key.as_str().starts_with("device_file/d1/0123456789abcdef01234567_"), "{key}");
            assert!(key.name().len() <= 125);
        }
        assert_eq!(ObjectKey::of_device(&device, &id, "日志 1.txt").name(), "0123456789abcdef01234567____1.txt");
    }

    #[test]
    fn foreign_keys_are_refused() {
        for key in [
            "",
            "/",
            "a//b",
            "/a",
            "a/",
            "a/../b",
            "..",
            "a/./b",
            "a/...",
            "a b",
            "a%2fb",
            "ä",
            "a#1",
            &"x".repeat(1025),
        ] {
            assert_eq!(ObjectKey::parse(key), None, "{key}");
        }
        assert!(ObjectKey::parse("app_file/a/0_x..y.zip").is_some());
    }

    #[test]
    fn only_sha256_is_compared() {
        let hash = |text: &str| FileAttributes { hash_code: Some(text.to_owned()), size: None }.sha256();
        assert_eq!(hash(&"aB".repeat(32)), Some("ab".repeat(32)));
        assert_eq!(hash("58059181f378062f9b446e884362a526"), None);
        assert_eq!(hash(&"g".repeat(64)), None);
    }
}
