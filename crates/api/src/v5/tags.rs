//! Tags of devices (002 §3.5).

use causeway_model::tag::{Tag, TagQuery};
use causeway_model::{Code, DeviceId, Error, Result};

use crate::bounded::{Id, TagText, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, json};
use crate::shape::{Nothing, body, reply};

words! {
    /// What can have tags.
    Resources: "device";
}

type Key = Text<TagText, 1, 64>;
type Value = Text<TagText, 0, 128>;

/// Most entries of a list in a request; a device has fewer tags.
const MOST: usize = 100;

body! {
    /// A tag.
    pub(crate) struct TagBody {
        /// The key, unique at the device.
        tag_key: Key,
        /// The value.
        tag_value: Option<Value>,
    }
}

body! {
    /// Tags to bind to a device.
    pub(crate) struct BindTags {
        /// device.
        resource_type: Word<Resources>,
        /// The device.
        resource_id: Id<DeviceId>,
        /// The tags; a key that is bound already gets the new value.
        tags: Vec<TagBody>,
    }
}

body! {
    /// Tags to unbind from a device.
    pub(crate) struct UnbindTags {
        /// device.
        resource_type: Word<Resources>,
        /// The device.
        resource_id: Id<DeviceId>,
        /// The keys; each must be bound.
        tag_keys: Vec<Key>,
    }
}

body! {
    /// Tags to find devices by.
    pub(crate) struct FindByTags {
        /// device.
        resource_type: Word<Resources>,
        /// A device with one of these is found; without a value, any value of the key does.
        tags: Vec<TagBody>,
    }
}

reply! {
    /// Something that has tags.
    pub(crate) struct Resource {
        /// The id of the device.
        resource_id: String,
    }
}

reply! {
    /// A page of what has tags.
    pub(crate) struct TaggedResources {
        /// The devices, newest first.
        resources: Vec<Resource>,
        /// The page.
        page: Page,
    }
}

fn check_length(field: &str, length: usize) -> Result<()> {
    if (1..=MOST).contains(&length) {
        return Ok(());
    }
    Err(Error::invalid(format!("Invalid input. '{field}' must have 1 to {MOST} entries.")))
}

pub(super) static BIND: Built =
    Built::new("Binds tags to a device; a bound key gets the new value.", json::<Nothing>(200), |c| Box::pin(bind(c)))
        .body::<BindTags>()
        .errors(&[Code::DeviceNotFound, Code::TooManyTags]);

async fn bind(call: Call) -> Result<Reply> {
    let asked: BindTags = call.body()?;
    check_length("tags", asked.tags.len())?;
    call.concerns_resource(asked.resource_id.0.as_str());
    let device = call.named_device(&asked.resource_id.0).await?;
    let tags: Vec<Tag> = asked
        .tags
        .into_iter()
        .map(|t| Tag { key: t.tag_key.into_string(), value: t.tag_value.map(Text::into_string).unwrap_or_default() })
        .collect();
    call.platform().bind_tags(&device, &tags).await?;
    Reply::ok(&Nothing)
}

pub(super) static UNBIND: Built =
    Built::new("Unbinds tags from a device.", json::<Nothing>(200), |c| Box::pin(unbind(c)))
        .body::<UnbindTags>()
        .errors(&[Code::DeviceNotFound, Code::TagNotFound]);

async fn unbind(call: Call) -> Result<Reply> {
    let asked: UnbindTags = call.body()?;
    check_length("tag_keys", asked.tag_keys.len())?;
    call.concerns_resource(asked.resource_id.0.as_str());
    let device = call.named_device(&asked.resource_id.0).await?;
    let keys: Vec<String> = asked.tag_keys.into_iter().map(Text::into_string).collect();
    call.platform().unbind_tags(&device, &keys).await?;
    Reply::ok(&Nothing)
}

pub(super) static FIND: Built =
    Built::new("Finds devices that have at least one of some tags.", json::<TaggedResources>(200), |c| {
        Box::pin(find(c))
    })
    .body::<FindByTags>()
    .paged();

async fn find(call: Call) -> Result<Reply> {
    let asked: FindByTags = call.body()?;
    check_length("tags", asked.tags.len())?;
    let tags: Vec<TagQuery> = asked
        .tags
        .into_iter()
        .map(|t| TagQuery { key: t.tag_key.into_string(), value: t.tag_value.map(Text::into_string) })
        .collect();
    let found = call.platform().devices_with_tags(&call.allowed, &tags, call.page()?).await?;
    let page = Page::of(&found);
    let resources = found.items.into_iter().map(|(_, id)| Resource { resource_id: id.to_string() }).collect();
    Reply::ok(&TaggedResources { resources, page })
}
