//! `LOG_FILE_FORWARDING`: lines appended to a file of this machine, on disk before they count as taken.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_channels::LogFileForwarding;

use super::Workshop;
use super::table::BYTES;
use crate::target::{Failure, Feeding, Item, Sent, Target};

const ROWS: usize = 5000;
const LINGER: Duration = Duration::from_millis(200);

/// See the module text.
pub(crate) struct LogFileTarget {
    file: Arc<LogFile>,
}

/// A file with its predecessors `.1`, `.2`, …
struct LogFile {
    folder: PathBuf,
    name: String,
    max_size: u64,
    max_files: u32,
}

impl LogFileTarget {
    pub(crate) fn new(workshop: &Workshop, config: &LogFileForwarding) -> Self {
        let file = LogFile {
            folder: workshop.log_folder.clone(),
            name: config.file_name.clone(),
            max_size: u64::from(config.max_size.unwrap_or(64 << 20)),
            max_files: config.max_files.unwrap_or(5),
        };
        Self { file: Arc::new(file) }
    }
}

#[async_trait]
impl Target for LogFileTarget {
    fn feeding(&self) -> Feeding {
        // A batch goes into one file whole.
        let bytes = usize::try_from(self.file.max_size / 2).unwrap_or(BYTES).min(BYTES);
        Feeding::Batches { rows: ROWS, bytes, linger: LINGER }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let mut lines = Vec::with_capacity(items.iter().map(|item| item.body.len() + 1).sum());
        for item in items {
            lines.extend(item.body.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
            lines.push(b'\n');
        }
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.append(&lines)).await;
        match written.map_err(io::Error::other).and_then(|written| written) {
            Ok(()) => Sent::all(items),
            Err(error) => Sent {
                failure: Some(Failure {
                    word: "unreachable",
                    text: format!("the file {} cannot be written: {error}", self.file.name),
                }),
                ..Sent::default()
            },
        }
    }
}

impl LogFile {
    fn path(&self, number: u32) -> PathBuf {
        match number {
            0 => self.folder.join(&self.name),
            number => self.folder.join(format!("{}.{number}", self.name)),
        }
    }

    /// Appends all lines or none, and returns when they are on disk.
    fn append(&self, lines: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut file = self.open()?;
        // Others that write into the file wait; it may have been moved away meanwhile.
        file.lock()?;
        while !is_at(&file, &self.path(0))? {
            file = self.open()?;
            file.lock()?;
        }
        let mut length = file.metadata()?.len();
        if length > 0 && length + lines.len() as u64 > self.max_size {
            self.shift()?;
            file = self.open()?;
            file.lock()?;
            length = file.metadata()?.len();
        }
        let written = file.write_all(lines).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a batch would be there twice when it is written again.
            file.set_len(length)?;
        }
        written
    }

    fn open(&self) -> io::Result<File> {
        let path = self.path(0);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(file)
    }

    /// Every file becomes one older; the oldest goes.
    fn shift(&self) -> io::Result<()> {
        for number in (0..self.max_files).rev() {
            match std::fs::rename(self.path(number), self.path(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        File::open(&self.folder)?.sync_all()
    }
}

/// Whether this file is the one at the path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_shifted_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let file =
            LogFile { folder: folder.path().join("forwarded"), name: "a".to_owned(), max_size: 10, max_files: 2 };
        for line in ["1234\n", "5678\n", "9\n", "a\n", "longer than a file\n", "b\n", "c\n"] {
            file.append(line.as_bytes()).expect("written");
        }
        let read = |number| std::fs::read_to_string(file.path(number)).ok();
        assert_eq!(read(0).as_deref(), Some("b\nc\n"));
        assert_eq!(read(1).as_deref(), Some("longer than a file\n"));
        assert_eq!(read(2).as_deref(), Some("9\na\n"));
        assert_eq!(read(3), None);
    }

    #[test]
    fn writers_of_one_file_do_not_lose_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = LogFile { folder: folder.path().to_owned(), name: "a".to_owned(), max_size: 400, max_files: 100 };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| file.append(b"0123456789012345678\n").expect("written")));
            }
        });
        let lines = |number| std::fs::read_to_string(file.path(number)).map_or(0, |text| text.lines().count());
        assert_eq!((0..=100).map(lines).sum::<usize>(), 100);
    }
}
