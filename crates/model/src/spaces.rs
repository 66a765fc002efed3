//! Which resource spaces somebody may see.

use std::sync::Arc;

use crate::ids::AppId;

/// The resource spaces that a caller may see, or that a list is limited to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Spaces {
    /// Every space of the instance.
    #[default]
    All,
    /// These only; possibly none.
    Only(Arc<[AppId]>),
}

impl Spaces {
    /// One space.
    #[must_use]
    pub fn one(app: AppId) -> Self {
        Self::Only(Arc::from([app]))
    }

    /// Whether `app` is among them.
    #[must_use]
    pub fn sees(&self, app: &AppId) -> bool {
        match self {
            Self::All => true,
            Self::Only(apps) => apps.contains(app),
        }
    }

    /// The one space, when it is just one that is named.
    #[must_use]
    pub fn single(&self) -> Option<&AppId> {
        match self {
            Self::Only(apps) if apps.len() == 1 => apps.first(),
            _ => None,
        }
    }

    /// The ids to restrict a list to; `None` for no restriction.
    #[must_use]
    pub fn ids(&self) -> Option<Vec<&str>> {
        match self {
            Self::All => None,
            Self::Only(apps) => Some(apps.iter().map(AppId::as_str).collect()),
        }
    }
}
