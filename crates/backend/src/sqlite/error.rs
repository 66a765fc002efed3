//! How failures of SQLite become the platform's errors.

use causeway_model::Error;
use rusqlite::ErrorCode;

/// What can end a piece of work on a connection: SQLite, or a rule of the platform that the work checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// SQLite could not do it.
    #[error("sqlite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A rule forbids it, or stored data cannot be read.
    #[error("{0}")]
    Platform(#[from] Error),
}

/// Result of work on a connection.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Platform(error) => error,
            Failure::Sqlite(error) if is_passing(&error) => Self::unavailable(format_args!("sqlite: {error}")),
            Failure::Sqlite(error) => Self::internal(format_args!("sqlite: {error}")),
        }
    }
}

/// Whether the cause lies outside of the request (a full disk, a lost volume) and may pass.
fn is_passing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
        )
    )
}
