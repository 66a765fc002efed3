//! A PostgreSQL server for the tests: the one that is named, or a private one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use tokio_postgres::NoTls;

/// URL of a role that may create databases.
const VARIABLE: &str = "CAUSEWAY_TEST_POSTGRES";

/// A private server. It lives in a temporary folder and listens on a socket there, on no port.
struct Cluster {
    admin_url: String,
    /// Stops the server and removes the folder as soon as this program ends, however it ends: it waits for the end of
    /// its standard input, which is open as long as this value, and a static is never dropped.
    _warden: Child,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

fn admin_url() -> String {
    match std::env::var(VARIABLE) {
        Ok(url) if !url.is_empty() => url,
        _ => CLUSTER.get_or_init(start).admin_url.clone(),
    }
}

/// Makes a new database; its URL.
pub(crate) async fn new_database() -> String {
    // Starting the server takes seconds and blocks.
    let admin = tokio::task::spawn_blocking(admin_url).await.expect("a PostgreSQL server");
    let name = format!("causeway_contract_{}", uuid::Uuid::new_v4().simple());
    execute(&admin, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")).await;
    with_database(&admin, &name)
}

/// Removes a database that [`new_database`] made.
pub(crate) async fn drop_database(url: &str) {
    let (_, name) = split(url);
    execute(&admin_url(), &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
}

/// Runs statements on their own connection.
pub(crate) async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.expect(sql);
}

/// A connection of the test's own.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.expect("the PostgreSQL server of the tests answers");
    tokio::spawn(connection);
    client
}

/// Start and name of the database part of a URL.
fn split(url: &str) -> (usize, &str) {
    let authority = url.find("://").expect("a PostgreSQL URL") + 3;
    let start = url[authority..].find('/').map_or(url.len(), |i| authority + i + 1);
    let end = url.find('?').unwrap_or(url.len());
    (start, &url[start.min(end)..end])
}

fn with_database(url: &str, name: &str) -> String {
    let (start, old) = split(url);
    let slash = if url[..start].ends_with('/') { "" } else { "/" };
    format!("{}{slash}{name}{}", &url[..start], &url[start + old.len()..])
}

fn start() -> Cluster {
    let (version, bin) = newest_bin().unwrap_or_else(|| {
        panic!(
            "PostgreSQL is needed for the contract suite and was not found in /usr/lib/postgresql/*/bin. Install it \
             with 'apt-get install postgresql', or set {VARIABLE} to the URL of a role that may create databases."
        )
    });
    let folder = TempDir::with_prefix("causeway-postgres-").expect("a temporary folder");
    let user = server_user(folder.path());
    let data = folder.path().join("data");
    let run = |program: &str, args: &[&str]| {
        let output = as_user(user.as_deref(), &bin.join(program)).args(args).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|e| panic!("cannot run {program}: {e}"));
        assert!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    };
    let data_text = data.to_str().expect("a temporary folder with a plain name");
    let mut init = vec!["-D", data_text, "-U", "causeway", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"];
    if version >= 15 {
        // Orders text as people do, not by code points as the store needs it: the store has to ask for that itself.
        init.extend(["--locale-provider=icu", "--icu-locale=en"]);
    }
    run("initdb", &init);
    let socket = folder.path().to_str().expect("a temporary folder with a plain name");
    // Nothing of this survives the tests, so nothing need reach the disk.
    let options = format!(
        "-c listen_addresses='' -c unix_socket_directories={socket} -c fsync=off -c full_page_writes=off \
         -c max_connections=400 -c deadlock_timeout=200ms"
    );
    let log = folder.path().join("log");
    let warden = guard(user.as_deref(), &bin, &data, folder.path());
    let started = as_user(user.as_deref(), &bin.join("pg_ctl"))
        .args(["start", "-w", "-D", data_text, "-o", &options, "-l"])
        .arg(&log)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let started = started.is_ok_and(|s| s.success());
    assert!(started, "the private PostgreSQL did not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
    let host = socket.replace('/', "%2F");
    // The warden removes the folder.
    let _ = folder.keep();
    Cluster { admin_url: format!("postgres://causeway@{host}/postgres"), _warden: warden }
}

/// Version and program folder of the newest PostgreSQL that is installed as Debian does it.
fn newest_bin() -> Option<(u32, PathBuf)> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop()
}

fn output_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// PostgreSQL refuses to run as root: the user to run it as then, who gets the folder.
fn server_user(folder: &Path) -> Option<String> {
    if output_of("id", &["-u"]).as_deref() != Some("0") {
        return None;
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| {
        let ids = output_of("id", &["-u", name]).zip(output_of("id", &["-g", name]))?;
        Some((ids.0, ids.1))
    });
    let (uid, gid) = user.expect("a user 'postgres' or 'nobody' to run PostgreSQL as");
    let number = |text: &str| text.parse::<u32>().ok();
    match std::os::unix::fs::chown(folder, number(&uid), number(&gid)) {
        Err(e) if e.kind() != ErrorKind::NotFound => panic!("cannot hand the folder to the PostgreSQL user: {e}"),
        _ => Some(format!("{uid}:{gid}")),
    }
}

/// A command run as `user` (`uid:gid`), or as ourselves.
fn as_user(user: Option<&str>, program: &Path) -> Command {
    let mut command = match user.and_then(|u| u.split_once(':')) {
        Some((uid, gid)) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", uid, "--regid", gid, "--clear-groups"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.current_dir("/");
    command
}

/// Starts the process that outlives this one by a moment.
fn guard(user: Option<&str>, bin: &Path, data: &Path, folder: &Path) -> Child {
    let script = "trap '' INT TERM HUP; cat >/dev/null; \"$@\"; rm -rf \"$0\"";
    let stop = as_user(user, &bin.join("pg_ctl"));
    Command::new("sh")
        .args(["-c", script])
        .arg(folder)
        .arg(stop.get_program())
        .args(stop.get_args())
        .args(["stop", "-m", "immediate", "-D"])
        .arg(data)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell to guard the private PostgreSQL")
}
