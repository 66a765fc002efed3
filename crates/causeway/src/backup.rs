//! `causeway backup` and `causeway restore`: everything the platform knows, in one file.
//!
//! The file is a gzip-compressed tar archive: `manifest.json`, the instance key and certificates as they stand in the
//! data folder, contents of files that lie in it (`objects`), and either `causeway.db` (a consistent copy of the SQLite file) or `postgres.dump`.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use causeway_backend::{INCOMING, OBJECTS_FOLDER, SQLITE_FILE};
use clap::Args;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

const MANIFEST: &str = "manifest.json";
const POSTGRES_DUMP: &str = "postgres.dump";
/// Files and folders of the data folder that belong to a backup.
const KEPT: [&str; 4] = ["instance.key", "initial-admin.json", "tls", OBJECTS_FOLDER];

/// Write everything the platform knows into one file, while it serves.
///
/// The file holds the database, the instance key and the certificates: whoever has it can read every secret of the
/// platform. Keep it like one. Everything acknowledged before the command began is in it.
#[derive(Clone, Debug, Args)]
pub(crate) struct BackupArgs {
    /// Data folder of the platform.
    #[arg(long, value_name = "DIR", default_value = "causeway-data")]
    data: PathBuf,

    /// File to write. It must not exist yet.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,

    /// The platform's `store.url`, when its database is not in the data folder.
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
}

/// Fill an empty data folder (and database) from a backup.
///
/// The platform must not be running. With --store-url the database goes to the empty PostgreSQL database named there;
/// the backup must come from PostgreSQL then, and from the embedded store otherwise.
#[derive(Clone, Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Data folder to fill. It must be empty or not exist.
    #[arg(long, value_name = "DIR", default_value = "causeway-data")]
    data: PathBuf,

    /// Backup to read.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// Empty PostgreSQL database to fill.
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
}

/// The first entry of a backup.
#[derive(Serialize, Deserialize)]
struct Manifest {
    /// Format of the archive; 1 so far.
    format: u32,
    /// Program that wrote it.
    version: String,
    /// `sqlite` or `postgres`.
    store: String,
    /// When, `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'`.
    created_at: String,
}

fn explain(error: causeway_model::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.detail().unwrap_or(error.message()))
}

/// Writes a backup.
///
/// # Errors
/// A sentence for the operator; no partial file is left.
pub(crate) async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    if args.output.exists() {
        bail!("{} exists already; choose another --output", args.output.display());
    }
    if !args.data.join("instance.key").exists() {
        bail!("{} is not a data folder: it has no instance.key", args.data.display());
    }
    let folder = args.output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let work = tempfile::Builder::new()
        .prefix(".causeway-backup-")
        .tempdir_in(folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    let (store, database) = match &args.store_url {
        Some(url) => {
            let dump = work.path().join(POSTGRES_DUMP);
            let mut file = tokio::fs::File::create(&dump).await?;
            let rows = causeway_backend::postgres::dump(url, &mut file).await.map_err(explain)?;
            eprintln!("{rows} rows copied");
            ("postgres", dump)
        }
        None => {
            let source = args.data.join(SQLITE_FILE);
            if !source.exists() {
                bail!("{} is missing; with PostgreSQL say --store-url", source.display());
            }
            let copy = work.path().join(SQLITE_FILE);
            let target = copy.clone();
            tokio::task::spawn_blocking(move || causeway_backend::sqlite::backup_file(&source, &target))
                .await?
                .map_err(explain)?;
            ("sqlite", copy)
        }
    };
    let manifest = Manifest {
        format: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store: store.to_owned(),
        created_at: causeway_platform::clock::Clock::default().now().millis(),
    };
    let partial = work.path().join("archive");
    write_archive(&partial, &manifest, &args.data, &database).context("the backup cannot be written")?;
    std::fs::rename(&partial, &args.output).with_context(|| format!("cannot write {}", args.output.display()))?;
    File::open(folder)?.sync_all()?;
    let size = std::fs::metadata(&args.output)?.len();
    println!("{}: {} KB. It holds secrets; keep it safe.", args.output.display(), size.div_ceil(1024));
    Ok(())
}

fn write_archive(path: &Path, manifest: &Manifest, data: &Path, database: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    let mut archive = tar::Builder::new(GzEncoder::new(BufWriter::new(file), Compression::fast()));
    let text = serde_json::to_vec_pretty(manifest)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    archive.append_data(&mut header, MANIFEST, text.as_slice())?;
    for name in KEPT {
        let path = data.join(name);
        if path.is_dir() {
            append_folder(&mut archive, Path::new(name), &path)?;
        } else if path.exists() {
            archive.append_path_with_name(&path, name)?;
        }
    }
    let name = if manifest.store == "sqlite" { SQLITE_FILE } else { POSTGRES_DUMP };
    archive.append_path_with_name(database, name)?;
    let file = archive.into_inner()?.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(())
}

/// Appends a folder with what is in it. Contents of files come and go while the platform serves: what is gone when its
/// turn comes is left out, like the record of it that the database's copy may still have.
fn append_folder(archive: &mut tar::Builder<impl std::io::Write>, name: &Path, folder: &Path) -> anyhow::Result<()> {
    let is_gone = |e: &std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if is_gone(&e) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    archive.append_dir(name, folder)?;
    for entry in entries {
        let entry = entry?;
        // What is still being uploaded grows under the archive's hands.
        if entry.file_name() == INCOMING {
            continue;
        }
        let (name, path) = (name.join(entry.file_name()), entry.path());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => append_folder(archive, &name, &path)?,
            Ok(_) => match File::open(&path) {
                Ok(mut file) => archive.append_file(&name, &mut file)?,
                Err(e) if is_gone(&e) => {}
                Err(e) => return Err(e.into()),
            },
            Err(e) if is_gone(&e) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Fills a folder from a backup.
///
/// # Errors
/// A sentence for the operator; a folder that was not empty is left as it was.
pub(crate) async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    if std::fs::read_dir(&args.data).is_ok_and(|mut d| d.next().is_some()) {
        bail!("{} is not empty; a backup is restored into an empty folder", args.data.display());
    }
    let manifest = read_manifest(&args.input)?;
    match (manifest.store.as_str(), &args.store_url) {
        ("sqlite", None) | ("postgres", Some(_)) => {}
        ("sqlite", Some(_)) => bail!("the backup holds an embedded database; restore it without --store-url"),
        _ => bail!("the backup comes from PostgreSQL; name an empty database with --store-url"),
    }
    let parent = args.data.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(parent)?;
    // Unpacked beside the folder and moved at the end: a damaged backup leaves nothing half-done behind.
    let work = tempfile::Builder::new().prefix(".causeway-restore-").tempdir_in(parent)?;
    unpack(&args.input, work.path()).with_context(|| format!("{} cannot be read", args.input.display()))?;
    if let Some(url) = &args.store_url {
        let dump = work.path().join(POSTGRES_DUMP);
        let mut file = tokio::fs::File::open(&dump).await.context("the backup has no database")?;
        let rows = causeway_backend::postgres::load(url, &mut file).await.map_err(explain)?;
        eprintln!("{rows} rows restored");
        std::fs::remove_file(dump)?;
    } else if !work.path().join(SQLITE_FILE).exists() {
        bail!("the backup has no database");
    }
    std::fs::remove_file(work.path().join(MANIFEST))?;
    if args.data.exists() {
        std::fs::remove_dir(&args.data)?;
    }
    let unpacked = work.keep();
    std::fs::rename(&unpacked, &args.data).with_context(|| format!("cannot make {}", args.data.display()))?;
    println!("{} restored from a backup of {}.", args.data.display(), manifest.created_at);
    Ok(())
}

fn open_archive(path: &Path) -> anyhow::Result<tar::Archive<GzDecoder<BufReader<File>>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(tar::Archive::new(GzDecoder::new(BufReader::new(file))))
}

fn read_manifest(path: &Path) -> anyhow::Result<Manifest> {
    let not_ours = || format!("{} is not a backup of Causeway, or damaged", path.display());
    let mut archive = open_archive(path)?;
    let mut entries = archive.entries().with_context(not_ours)?;
    let first = entries.next().with_context(not_ours)?.with_context(not_ours)?;
    if first.path()?.as_ref() != Path::new(MANIFEST) || first.size() > 4096 {
        bail!("{}", not_ours());
    }
    let manifest: Manifest = serde_json::from_reader(first).with_context(not_ours)?;
    if manifest.format != 1 {
        bail!("{} was written by Causeway {}; use that version or a newer one", path.display(), manifest.version);
    }
    Ok(manifest)
}

/// Unpacks the known entries; an archive with any other name in it is refused.
fn unpack(path: &Path, into: &Path) -> anyhow::Result<()> {
    let mut archive = open_archive(path)?;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let first = name.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
        let known = KEPT.contains(&first.as_str()) || [MANIFEST, SQLITE_FILE, POSTGRES_DUMP].contains(&first.as_str());
        let kind = entry.header().entry_type();
        if !known || !(kind.is_file() || kind.is_dir()) || !entry.unpack_in(into)? {
            bail!("it holds the unexpected entry '{}'", name.display());
        }
    }
    Ok(())
}
