//! What a user is and may do, as requests ask for it: compiled once, kept for a while, dropped with every change.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::permission::{Permissions, Policy, Verdict};
use causeway_model::{Code, Error, Result, Spaces};
use moka::sync::Cache;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::{AccessMode, Granted, User, policies};
use crate::Platform;
use crate::bus::Changed;

/// A user that may do something, with all that says what.
#[derive(Debug)]
struct Standing {
    id: Box<str>,
    name: Box<str>,
    enabled: bool,
    epoch: i64,
    access: AccessMode,
    permissions: Permissions,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user's number.
    pub user: i64,
    standing: Arc<Standing>,
}

impl Caller {
    /// The user's id, as clients see it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.standing.id
    }

    /// The user's sign-in name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.standing.name
    }
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user
    }
}

/// The secret half of an access key.
pub(super) type SecretKey = Arc<Zeroizing<Vec<u8>>>;

/// Most users and keys that are kept.
const MOST: u64 = 2000;

/// Other nodes hear of a change over the bus; should one not, it forgets by itself.
const KEEP: Duration = Duration::from_secs(60);

/// What is kept.
pub(crate) struct Standings {
    users: Cache<i64, Arc<Standing>>,
    keys: Cache<String, (i64, SecretKey)>,
    /// Rises with every change heard. What was read from the store before a rise is not kept.
    changes: Mutex<u64>,
}

impl Default for Standings {
    fn default() -> Self {
        Self { users: cache(), keys: cache(), changes: Mutex::new(0) }
    }
}

fn cache<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(MOST).time_to_live(KEEP).build()
}

impl Standings {
    /// Something about users, groups, policies or keys changed.
    pub(crate) fn forget(&self) {
        let mut changes = self.changes.lock();
        *changes += 1;
        self.users.invalidate_all();
        self.keys.invalidate_all();
    }

    /// Keeps what was read when `seen` changes had been heard, unless there was one since.
    fn keep(&self, seen: u64, insert: impl FnOnce(&Self)) {
        let changes = self.changes.lock();
        if *changes == seen {
            insert(self);
        }
    }
}

/// The text of 002 §10.1.
fn not_permitted() -> Error {
    Error::new(Code::NotPermitted, "Operation not allowed. The user does not have the permission")
}

fn compile(user: &User, granted: &[Granted], account: &str) -> Standing {
    let policies: Vec<Policy> = granted.iter().filter_map(policies::policy_of).collect();
    Standing {
        id: user.id.as_str().into(),
        name: user.name.as_str().into(),
        enabled: user.enabled,
        epoch: user.epoch,
        access: user.profile.access,
        permissions: Permissions::of(&policies, account),
    }
}

impl Platform {
    async fn standing(&self, user: i64) -> Result<Option<Arc<Standing>>> {
        if let Some(kept) = self.standings.users.get(&user) {
            return Ok(Some(kept));
        }
        let seen = *self.standings.changes.lock();
        let Some((record, granted)) = self.store.standing(user).await? else { return Ok(None) };
        let made = Arc::new(compile(&record, &granted, self.instance.id.as_str()));
        self.standings.keep(seen, |s| s.users.insert(user, made.clone()));
        Ok(Some(made))
    }

    /// The caller that a token of `epoch` speaks for; `None` when the token must no longer be accepted.
    pub(super) async fn caller_of_epoch(&self, user: i64, epoch: i64) -> Result<Option<Caller>> {
        let standing = self.standing(user).await?.filter(|s| s.enabled && s.epoch == epoch);
        Ok(standing.map(|standing| Caller { user, standing }))
    }

    /// The caller and the secret half of an access key that is in force.
    pub(super) async fn caller_of_key(&self, ak: &str) -> Result<Option<(Caller, SecretKey)>> {
        let (user, secret) = match self.standings.keys.get(ak) {
            Some(kept) => kept,
            None => {
                let seen = *self.standings.changes.lock();
                let Some(key) = self.store.access_key(ak).await?.filter(|k| k.active) else { return Ok(None) };
                let made = (key.user, Arc::new(self.secrets.open(&key.sk)?));
                self.standings.keep(seen, |s| s.keys.insert(ak.to_owned(), made.clone()));
                made
            }
        };
        let standing = self.standing(user).await?.filter(|s| s.enabled && s.access != AccessMode::Console);
        Ok(standing.map(|standing| (Caller { user, standing }, secret)))
    }

    /// In which spaces `caller` may do `action`, a word like `iotda:devices:register` (002 §10.2). An empty action needs
    /// no permission and reaches no space.
    ///
    /// # Errors
    /// [`Code::NotPermitted`] when in none.
    pub async fn allowed_spaces(&self, caller: &Caller, action: &str) -> Result<Spaces> {
        if action.is_empty() {
            return Ok(Spaces::Only(Arc::from([])));
        }
        match caller.standing.permissions.verdict(action) {
            Verdict::Everywhere => Ok(Spaces::All),
            Verdict::In(apps) => Ok(Spaces::Only(apps.into())),
            Verdict::Nowhere => Err(not_permitted()),
            Verdict::EverywhereBut(denied) => {
                let apps = self.store.apps().await?.into_iter().map(|a| a.id);
                let rest: Vec<_> = apps.filter(|a| !denied.contains(a)).collect();
                if rest.is_empty() { Err(not_permitted()) } else { Ok(Spaces::Only(rest.into())) }
            }
        }
    }

    /// Refuses a caller that may not do `action` in the whole instance.
    ///
    /// # Errors
    /// [`Code::NotPermitted`].
    pub async fn require_everywhere(&self, caller: &Caller, action: &str) -> Result<()> {
        match self.allowed_spaces(caller, action).await? {
            Spaces::All => Ok(()),
            Spaces::Only(_) => Err(not_permitted()),
        }
    }

    /// Tells every node that users, groups, policies or keys changed.
    pub(super) async fn iam_changed(&self) {
        self.bus.announce(Changed::Users).await;
    }
}
