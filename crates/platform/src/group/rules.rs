//! The rules of dynamic groups, read once.

use std::sync::Arc;

use causeway_model::group::Group;
use causeway_model::search::{DynamicGroup, Filter};
use causeway_model::{Error, RecordNo, Result};
use causeway_rules::search::parse_rule;
use moka::sync::Cache;

/// Most rules remembered.
const CAPACITY: u64 = 2000;

/// A group's rule never changes and its number is never used again, so what was read stays true.
pub(crate) struct GroupRules(Cache<RecordNo, Arc<Filter>>);

impl Default for GroupRules {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl GroupRules {
    /// The rule of a dynamic group; `None` for a static one.
    pub(crate) fn of(&self, group: &Group) -> Result<Option<Arc<Filter>>> {
        let Some(text) = group.kind.rule() else { return Ok(None) };
        if let Some(rule) = self.0.get(&group.no) {
            return Ok(Some(rule));
        }
        // What was taken once is taken for ever, also when the limits were lowered since.
        let unlimited = causeway_rules::search::Limits { characters: usize::MAX - 1, conditions: usize::MAX };
        let rule = parse_rule(text, unlimited)
            .map_err(|e| Error::internal(format_args!("the rule of group {} cannot be read {e}", group.id)))?;
        let rule = Arc::new(rule);
        self.0.insert(group.no, rule.clone());
        Ok(Some(rule))
    }

    /// A group as a search needs it; `None` for a static one.
    pub(crate) fn dynamic(&self, group: &Group) -> Result<Option<DynamicGroup>> {
        Ok(self.of(group)?.map(|rule| DynamicGroup {
            id: group.id.to_string(),
            app_id: group.app_id.clone(),
            rule: (*rule).clone(),
        }))
    }
}
