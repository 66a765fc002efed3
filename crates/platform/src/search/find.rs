//! From the text of a search to its answer.

use std::time::Instant;

use causeway_model::group::Group;
use causeway_model::registry::{Device, PageRequest};
use causeway_model::search::{DeviceQuery, Filter};
use causeway_model::{Code, DeviceId, DeviceNo, Error, RecordNo, Result, Spaces};
use causeway_rules::search::{Limits, Output, Select, parse};

use crate::Platform;

/// A device that was found.
#[derive(Clone, Debug)]
pub struct FoundDevice {
    /// The device.
    pub device: Device,
    /// Its groups, when they are asked for.
    pub groups: Vec<Group>,
}

/// What a search answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// How many devices match.
    Count(u64),
    /// The devices, and the fields asked for; `None` for all.
    Devices(Vec<FoundDevice>, Option<Vec<Output>>),
}

impl Platform {
    pub(crate) fn search_limits(&self) -> Limits {
        let search = &self.settings.search;
        Limits { characters: search.max_length as usize, conditions: search.max_conditions as usize }
    }

    /// Searches devices of these spaces.
    ///
    /// # Errors
    /// [`Code::InvalidSearch`] names the place and the reason; [`Code::RateLimited`].
    pub async fn search_devices(&self, spaces: &Spaces, sql: &str) -> Result<Answer> {
        if !self.search_rate.allow(self.settings.search.rate, Instant::now()) {
            return Err(Error::new(
                Code::RateLimited,
                format!(
                    "Request reached the maximum rate limit: {} searches a second. Try again in a moment.",
                    self.settings.search.rate
                ),
            ));
        }
        let search = parse(sql, self.search_limits()).map_err(|e| e.of_search("sql"))?;
        let query = self.device_query(spaces, search.filter).await?;
        let fields = match search.select {
            Select::Count => return Ok(Answer::Count(self.store.count_devices(&query).await?)),
            Select::All => None,
            Select::Fields(fields) => Some(fields),
        };
        let page = PageRequest { marker: RecordNo::LAST, offset: search.offset, limit: search.limit };
        let devices = self.store.find_devices(&query, search.ascending, page).await?;
        let with_groups = fields.as_ref().is_none_or(|f| f.contains(&Output::Groups));
        let mut groups = if with_groups { self.groups_of_devices(&devices).await? } else { Default::default() };
        let found = devices
            .into_iter()
            .map(|device| FoundDevice { groups: groups.remove(&device.no).unwrap_or_default(), device })
            .collect();
        Ok(Answer::Devices(found, fields))
    }

    /// Devices of these spaces that match, newest first: at most `limit` before `marker` ([`RecordNo::LAST`] for the
    /// first page, the last number answered for the next one). Few or none end the list.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn devices_of_search(
        &self,
        spaces: &Spaces,
        filter: &Filter,
        marker: RecordNo,
        limit: u32,
    ) -> Result<Vec<(DeviceNo, DeviceId)>> {
        let query = self.device_query(spaces, filter.clone()).await?;
        self.store.device_ids(&query, marker, limit).await
    }

    /// The query of a filter: those of its groups that are dynamic stand with their rules.
    async fn device_query(&self, spaces: &Spaces, filter: Filter) -> Result<DeviceQuery> {
        let named: Vec<String> = filter.groups().map(str::to_owned).collect();
        let mut dynamic = Vec::new();
        if !named.is_empty() {
            for group in self.store.groups(&named).await? {
                dynamic.extend(self.group_rules.dynamic(&group)?);
            }
        }
        Ok(DeviceQuery { spaces: spaces.clone(), filter, dynamic })
    }
}
