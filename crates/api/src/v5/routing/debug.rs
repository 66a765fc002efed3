//! Trying a rule's clauses with a sample, and the samples.

use causeway_model::forwarding::Subject;
use causeway_model::{Error, Result};
use causeway_platform::routing::{Trial, samples};
use serde_json::value::RawValue;

use super::actions::message_text;
use super::{ClauseText, SubjectWord, subject};
use crate::bounded::Text;
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, json};
use crate::shape::{body, reply};

body! {
    /// Clauses to try.
    pub(crate) struct DebugRule {
        /// What events are about.
        resource: SubjectWord,
        /// What happened.
        event: SubjectWord,
        /// SELECT clause.
        select: Option<ClauseText>,
        /// WHERE clause.
        r#where: Option<ClauseText>,
        /// The notification: a JSON object, or a text that holds one. A sample of the subject when absent.
        message: Option<Box<RawValue>>,
    }
}

reply! {
    /// One step.
    pub(crate) struct DebugStep {
        /// select or where.
        clause: &'static str,
        /// Character of the clause where it begins, from 1.
        position: u64,
        /// How it is written.
        text: String,
        /// path, function, arithmetic, comparison, logic or case.
        kind: &'static str,
        /// Its value; null where nothing is.
        value: Box<RawValue>,
    }
}

reply! {
    /// What the clauses make of the message.
    pub(crate) struct DebugReply {
        /// Whether the message says that it is of the resource and event; a rule is asked only for those that are.
        of_subject: bool,
        /// Whether the condition holds.
        matched: bool,
        /// Every step: those of the condition, then those of the selection, each behind its parts.
        steps: Vec<DebugStep>,
        /// What would be forwarded.
        output: Option<Box<RawValue>>,
    }
}

reply! {
    /// A sample notification.
    pub(crate) struct RuleTemplate {
        /// What it is about.
        resource: &'static str,
        /// What happened.
        event: &'static str,
        /// The notification.
        message: Box<RawValue>,
    }
}

reply! {
    /// Sample notifications.
    pub(crate) struct RuleTemplates {
        /// One for each pair of resource and event.
        templates: Vec<RuleTemplate>,
    }
}

fn raw(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(Error::internal)
}

pub(in crate::v5) static DEBUG: Built = Built::new(
    "Tries clauses of a forwarding rule with a message, step by step. Nothing is forwarded.",
    json::<DebugReply>(200),
    |c| Box::pin(debug(c)),
)
.body::<DebugRule>();

async fn debug(call: Call) -> Result<Reply> {
    let asked: DebugRule = call.body()?;
    let subject = subject(asked.resource.as_str(), asked.event.as_str())?;
    let message = asked.message.as_deref().map(message_text).transpose()?;
    let tried = call.platform().try_routing_rule(Trial {
        subject,
        select: asked.select.as_ref().map_or("", Text::as_str),
        filter: asked.r#where.as_ref().map(Text::as_str),
        message: message.as_deref().unwrap_or_else(|| samples::of(subject)),
    })?;
    let step = |step: causeway_platform::routing::TrialStep| {
        Ok(DebugStep {
            clause: step.clause.field(),
            position: u64::try_from(step.at).unwrap_or(u64::MAX),
            text: step.text,
            kind: step.kind.as_str(),
            value: raw(step.value)?,
        })
    };
    Reply::ok(&DebugReply {
        of_subject: tried.is_of_subject,
        matched: tried.is_match,
        steps: tried.steps.into_iter().map(step).collect::<Result<_>>()?,
        output: tried.output.map(raw).transpose()?,
    })
}

pub(in crate::v5) static TEMPLATES: Built =
    Built::new("Shows sample notifications to try rules with.", json::<RuleTemplates>(200), |c| Box::pin(templates(c)))
        .query(&[
            Param::optional::<SubjectWord>("resource", "Only of this resource."),
            Param::optional::<SubjectWord>("event", "Only of this event."),
        ]);

async fn templates(call: Call) -> Result<Reply> {
    let resource = call.query::<SubjectWord>("resource")?;
    let event = call.query::<SubjectWord>("event")?;
    let is_asked = |s: &&Subject| {
        resource.as_ref().is_none_or(|r| r.as_str() == s.resource())
            && event.as_ref().is_none_or(|e| e.as_str() == s.event())
    };
    let template = |s: &Subject| {
        let message = raw(samples::of(*s).to_owned())?;
        Ok(RuleTemplate { resource: s.resource(), event: s.event(), message })
    };
    let templates = Subject::ALL.iter().filter(is_asked).map(template).collect::<Result<_>>()?;
    Reply::ok(&RuleTemplates { templates })
}
