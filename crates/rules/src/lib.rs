//! The SQL that applications write: read, checked, and turned into typed conditions.
//!
//! Pure: text in, a value or a refusal out. The crate knows no store and no device; what a condition means for a device
//! is said by the model, how it is looked up by the store. Tokens are `sqlparser`'s; the grammars are smaller than that
//! of any database and stand here whole, so that nothing gets through that is not listed.
//!
//! Start reading at [`search`], the language of device searches and of the rules of dynamic groups, or at [`forward`], that
//! of data forwarding, which is evaluated here over [`event`]s.

pub mod event;
pub mod forward;
pub mod linkage;
mod refusal;
pub mod search;
mod tokens;

pub use refusal::Refusal;
