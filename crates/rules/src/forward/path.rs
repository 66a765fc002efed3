//! Paths into the notification. What the types of an event hold is found when the rule is compiled; the rest is looked for
//! in the JSON text that the device sent.

use std::borrow::Cow;
use std::fmt;

use super::json::{self, Step};
use super::text::Text;
use super::value::{OneService, Part, Services, Value, has, in_services};
use crate::event::{Body, Content, Event};

/// A path from the root of the notification, like `notify_data.header.device_id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    steps: Box<[Step]>,
    place: Place,
}

/// Where a path leads in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Resource,
    Event,
    EventTime,
    EventTimeMs,
    RequestId,
    Data,
    Header,
    AppId,
    DeviceId,
    NodeId,
    ProductId,
    GatewayId,
    Tags,
    Body(InBody),
    /// No event has it.
    Nowhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum InBody {
    Whole,
    Services,
    Topic,
    Content,
    Other,
}

/// Steps of `notify_data.body`, and of a path to a member of it.
const BODY: usize = 2;
const IN_BODY: usize = BODY + 1;

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    Event(&'a Event<'a>),
    /// The text of a notification.
    Json(&'a str),
}

impl Place {
    fn of(steps: &[Step]) -> Self {
        let mut names = [""; 3];
        for (name, step) in names.iter_mut().zip(steps) {
            match step {
                Step::Name(step) => *name = step,
                Step::Index(_) => break,
            }
        }
        match (names, steps.len()) {
            (["resource", ..], 1) => Self::Resource,
            (["event", ..], 1) => Self::Event,
            (["event_time", ..], 1) => Self::EventTime,
            (["event_time_ms", ..], 1) => Self::EventTimeMs,
            (["request_id", ..], 1) => Self::RequestId,
            (["notify_data", ..], 1) => Self::Data,
            (["notify_data", "header", _], 2) => Self::Header,
            (["notify_data", "header", "app_id"], 3) => Self::AppId,
            (["notify_data", "header", "device_id"], 3) => Self::DeviceId,
            (["notify_data", "header", "node_id"], 3) => Self::NodeId,
            (["notify_data", "header", "product_id"], 3) => Self::ProductId,
            (["notify_data", "header", "gateway_id"], 3) => Self::GatewayId,
            (["notify_data", "header", "tags"], _) => Self::Tags,
            (["notify_data", "body", _], 2) => Self::Body(InBody::Whole),
            (["notify_data", "body", "services"], _) => Self::Body(InBody::Services),
            (["notify_data", "body", "topic"], 3) => Self::Body(InBody::Topic),
            (["notify_data", "body", "content"], _) => Self::Body(InBody::Content),
            (["notify_data", "body", _], _) => Self::Body(InBody::Other),
            _ => Self::Nowhere,
        }
    }
}

impl Path {
    pub(super) fn of(steps: Vec<Step>) -> Self {
        Self { place: Place::of(&steps), steps: steps.into() }
    }

    /// The text that stands there in an event; `None` when there is no text.
    #[must_use]
    pub fn text<'a>(&'a self, event: &'a Event<'_>) -> Option<Cow<'a, str>> {
        match self.value(View::Event(event)) {
            Value::Text(text) => Some(text.decoded()),
            _ => None,
        }
    }

    pub(super) fn value<'a>(&'a self, view: View<'a>) -> Value<'a> {
        let event = match view {
            View::Event(event) => event,
            View::Json(text) => return Value::of_json(json::locate(text, &self.steps)),
        };
        let plain = |text: &'a str| Value::Text(Text::Plain(text));
        let made = |text: String| Value::Text(Text::Made(text.into()));
        match self.place {
            Place::Resource => return plain(event.subject.resource()),
            Place::Event => return plain(event.subject.event()),
            Place::EventTime => return made(event.at.compact()),
            Place::EventTimeMs => return made(event.at.millis()),
            Place::RequestId => return plain(event.request_id),
            Place::Data => return Value::Part(Part::Data(event)),
            Place::Body(place) => return self.in_body(place, &event.body),
            Place::Nowhere => return Value::Null,
            _ => {}
        }
        let Some(header) = &event.header else { return Value::Null };
        match self.place {
            Place::AppId => plain(header.app_id),
            Place::DeviceId => plain(header.device_id),
            Place::NodeId => plain(header.node_id),
            Place::ProductId => plain(header.product_id),
            Place::GatewayId => plain(header.gateway_id),
            Place::Tags => match &self.steps[IN_BODY..] {
                [] => Value::Part(Part::Tags(header.tags)),
                [Step::Index(index), rest @ ..] => {
                    let tag = json::elements(header.tags).nth(*index);
                    Value::of_json(tag.and_then(|tag| json::locate(tag, rest)))
                }
                [Step::Name(_), ..] => Value::Null,
            },
            _ => Value::Part(Part::Header(header)),
        }
    }

    fn in_body<'a>(&'a self, place: InBody, body: &'a Body<'a>) -> Value<'a> {
        match (body, place) {
            (Body::Json(text), _) => Value::of_json(json::locate(text, &self.steps[BODY..])),
            (Body::None, _) => Value::Null,
            (_, InBody::Whole) => Value::Part(Part::Body(body)),
            (Body::Services(list), InBody::Services) => in_services(list, &self.steps[IN_BODY..]),
            (Body::Message { topic, .. }, InBody::Topic) => Value::Text(Text::Plain(topic)),
            (Body::Message { content, .. }, InBody::Content) => match (content, &self.steps[IN_BODY..]) {
                (Content::Json(text), steps) => Value::of_json(json::locate(text, steps)),
                (Content::Text(text), []) => Value::Text(Text::Plain(text)),
                (Content::Text(_), _) => Value::Null,
            },
            _ => Value::Null,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Name(name) if i == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl<'a> View<'a> {
    fn services(self) -> Option<Services<'a>> {
        let body = match self {
            Self::Event(event) => match event.body {
                Body::Services(list) => return Some(Services::Typed(list)),
                Body::Json(body) => body,
                _ => return None,
            },
            Self::Json(text) => json::member(json::member(text, "notify_data")?, "body")?,
        };
        Some(Services::Json(json::inside(json::member(body, "services")?)?))
    }

    /// The first service with this id.
    pub(super) fn service(self, id: &str) -> Option<OneService<'a>> {
        self.services()?.find(id)
    }

    /// All services with this id.
    pub(super) fn services_of(self, id: &'a str) -> Value<'a> {
        let list = self.services().unwrap_or(Services::Typed(&[]));
        Value::Part(Part::ServicesOf(list, id))
    }

    /// The value of a tag: `None` when there is no such tag.
    pub(super) fn tag(self, key: &str) -> Option<Value<'a>> {
        let tags = match self {
            Self::Event(event) => event.header.as_ref()?.tags,
            Self::Json(text) => {
                let header = json::member(json::member(text, "notify_data")?, "header")?;
                json::inside(json::member(header, "tags")?)?
            }
        };
        let tag = json::elements(tags).find(|tag| has(tag, "tag_key", key))?;
        Some(Value::of_json(json::member(tag, "tag_value")))
    }
}
