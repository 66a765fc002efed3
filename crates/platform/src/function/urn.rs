//! Names of functions as forwarding rules write them.

use std::fmt;

use causeway_model::{AppId, ProjectId};

use super::Function;

/// `urn:fss:causeway:<project_id>:function:<package>:<name>:latest`. The package is the resource space whose function it is,
/// or `default` for one of the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUrn {
    /// The project.
    pub project_id: ProjectId,
    /// The space; `None` for the instance.
    pub app_id: Option<AppId>,
    /// The function's name.
    pub name: String,
}

/// Package of the instance's own functions.
const DEFAULT: &str = "default";

impl FunctionUrn {
    /// The name of a function.
    #[must_use]
    pub fn of(project_id: &ProjectId, function: &Function) -> Self {
        Self { project_id: project_id.clone(), app_id: function.app_id.clone(), name: function.name.clone() }
    }

    /// Reads one; the version may be left out. `None` when the text is no such name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut next = || parts.next();
        if (next()?, next()?, next()?) != ("urn", "fss", "causeway") {
            return None;
        }
        let project_id = ProjectId::parse(next()?).ok()?;
        let (word, package, name, version) = (next()?, next()?, next()?, next().unwrap_or("latest"));
        let app_id = if package == DEFAULT { None } else { Some(AppId::parse(package).ok()?) };
        let sound = word == "function" && version == "latest" && parts.next().is_none() && is_name(name);
        sound.then(|| Self { project_id, app_id, name: name.to_owned() })
    }
}

/// Whether a function may be called so.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl fmt::Display for FunctionUrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let package = self.app_id.as_ref().map_or(DEFAULT, AppId::as_str);
        write!(f, "urn:fss:causeway:{}:function:{package}:{}:latest", self.project_id, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in [
            "urn:fss:causeway:p1:function:default:to-fahrenheit:latest",
            "urn:fss:causeway:p1:function:space:f_2:latest",
        ] {
            assert_eq!(FunctionUrn::parse(text).expect("a name").to_string(), text);
        }
        let short = FunctionUrn::parse("urn:fss:causeway:p1:function:default:f").expect("a name");
        assert_eq!(short.app_id, None);
        for text in [
            "",
            "f",
            "urn:fss:other:p1:function:default:f:latest",
            "urn:fss:causeway:p1:function:default:f:2",
            "urn:fss:causeway:p1:function:default:f:latest:x",
            "urn:fss:causeway:p1:function:default::latest",
            "urn:fss:causeway:p1:function:default:a b:latest",
            "urn:fss:causeway:p1:trigger:default:f:latest",
        ] {
            assert_eq!(FunctionUrn::parse(text), None, "{text}");
        }
    }
}
