//! Users: the vendor's two families of calls, `/v3.0/OS-USER` and `/v3` (Keystone), over the same users.

use causeway_model::{Code, Error, Result};
use causeway_platform::iam::{AccessMode, NewUser, User, UserChange, UserProfile};

use super::Micros;
use crate::bounded::{Any, Charset, Free, Text, Word, words};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

/// What user names are made of.
pub(crate) enum UserNameChars {}

impl Charset for UserNameChars {
    const WORDS: &'static str = " of letters, digits, blanks and '-_.', not beginning with a digit";
    const CLASS: &'static str = "";
    fn allows(c: char) -> bool {
        c.is_alphanumeric() || "-_. ".contains(c)
    }
}

/// A digit.
pub(crate) enum Digit {}

impl Charset for Digit {
    const WORDS: &'static str = " of digits";
    const CLASS: &'static str = "[0-9]";
    fn allows(c: char) -> bool {
        c.is_ascii_digit()
    }
}

type UserName = Text<UserNameChars, 1, 64>;
type Description = Text<Free, 0, 255>;
type Email = Text<Free, 0, 255>;
type Phone = Text<Digit, 0, 32>;
/// As long as the rules let it be; `iam.password_max_length` says how long that is.
type Password = Text<Any, 1, 1024>;

words! {
    /// Ways by which a user may come.
    AccessModes: "default" | "programmatic" | "console";
}

body! {
    /// A user to create.
    pub(crate) struct NewUserFields {
        /// Sign-in name, unique.
        name: UserName,
        /// Password; without one the user can only sign with access keys.
        password: Option<Password>,
        /// Electronic mail address.
        email: Option<Email>,
        /// Country code of the telephone.
        areacode: Option<Phone>,
        /// Telephone number.
        phone: Option<Phone>,
        /// What it is for.
        description: Option<Description>,
        /// Whether it may do anything; true unless said otherwise.
        enabled: Option<bool>,
        /// Whether it is asked to set a new password.
        pwd_status: Option<bool>,
        /// By which ways it may come: console users cannot use access keys.
        access_mode: Option<Word<AccessModes>>,
    }
}

body! {
    /// See `user`.
    pub(crate) struct CreateUser {
        /// The user.
        user: NewUserFields,
    }
}

body! {
    /// Fields of a user to change.
    pub(crate) struct UserFields {
        /// Sign-in name, unique.
        name: Option<UserName>,
        /// A new password; tokens made before die.
        password: Option<Password>,
        /// Electronic mail address.
        email: Option<Email>,
        /// Country code of the telephone.
        areacode: Option<Phone>,
        /// Telephone number.
        phone: Option<Phone>,
        /// What it is for.
        description: Option<Description>,
        /// Whether it may do anything; tokens made before die when it may not.
        enabled: Option<bool>,
        /// Whether it is asked to set a new password.
        pwd_status: Option<bool>,
        /// By which ways it may come.
        access_mode: Option<Word<AccessModes>>,
    }
}

body! {
    /// See `user`.
    pub(crate) struct UpdateUser {
        /// What changes.
        user: UserFields,
    }
}

body! {
    /// What a user changes of itself.
    pub(crate) struct Information {
        /// Electronic mail address.
        email: Option<Email>,
        /// Country code and telephone number, with '-' between them.
        mobile: Option<Text<Free, 0, 64>>,
    }
}

body! {
    /// See `user`.
    pub(crate) struct UpdateInformation {
        /// What changes.
        user: Information,
    }
}

body! {
    /// The original password and a new one.
    pub(crate) struct Passwords {
        /// The new password.
        password: Password,
        /// The one in force.
        original_password: Password,
    }
}

body! {
    /// See `user`.
    pub(crate) struct ChangePassword {
        /// The passwords.
        user: Passwords,
    }
}

reply! {
    /// A user.
    pub(crate) struct UserDetails {
        /// Its id.
        id: String,
        /// Sign-in name.
        name: String,
        /// The platform's one domain.
        domain_id: String,
        /// Whether it may do anything.
        enabled: bool,
        /// What it is for.
        description: String,
        /// Electronic mail address.
        email: String,
        /// Country code of the telephone.
        areacode: String,
        /// Telephone number.
        phone: String,
        /// Whether it is asked to set a new password.
        pwd_status: bool,
        /// By which ways it may come.
        access_mode: &'static str,
        /// When it was made.
        create_time: Micros,
        /// When its password was set.
        pwd_create_time: Micros,
        /// The same: passwords are not changed in another way.
        modify_pwd_time: Micros,
        /// False: the domain has no owner among its users.
        is_domain_owner: bool,
        /// Empty: passwords do not expire.
        password_expires_at: &'static str,
    }
}

reply! {
    /// A user of its own.
    pub(crate) struct OneUser {
        /// The user.
        user: UserDetails,
    }
}

reply! {
    /// A user, as Keystone shows it.
    pub(crate) struct KeystoneUser {
        /// Its id.
        id: String,
        /// Sign-in name.
        name: String,
        /// The platform's one domain.
        domain_id: String,
        /// Whether it may do anything.
        enabled: bool,
        /// What it is for.
        description: String,
        /// Whether it is asked to set a new password.
        pwd_status: bool,
        /// By which ways it may come.
        access_mode: &'static str,
        /// Empty: passwords do not expire.
        password_expires_at: &'static str,
    }
}

reply! {
    /// A user of its own.
    pub(crate) struct OneKeystoneUser {
        /// The user.
        user: KeystoneUser,
    }
}

reply! {
    /// Users.
    pub(crate) struct KeystoneUsers {
        /// Oldest first.
        users: Vec<KeystoneUser>,
    }
}

impl KeystoneUser {
    pub(super) fn of(call: &Call, user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            domain_id: super::domain(call).id,
            enabled: user.enabled,
            description: user.profile.description,
            pwd_status: user.profile.password_is_first,
            access_mode: user.profile.access.as_str(),
            password_expires_at: "",
        }
    }
}

fn details(call: &Call, user: User) -> OneUser {
    let profile = user.profile;
    OneUser {
        user: UserDetails {
            id: user.id,
            name: user.name,
            domain_id: super::domain(call).id,
            enabled: user.enabled,
            description: profile.description,
            email: profile.email,
            areacode: profile.areacode,
            phone: profile.phone,
            pwd_status: profile.password_is_first,
            access_mode: profile.access.as_str(),
            create_time: Micros(user.created_at),
            pwd_create_time: Micros(user.password_at),
            modify_pwd_time: Micros(user.password_at),
            is_domain_owner: false,
            password_expires_at: "",
        },
    }
}

fn keystone(call: &Call, user: User) -> OneKeystoneUser {
    OneKeystoneUser { user: KeystoneUser::of(call, user) }
}

/// Country code and number belong together.
fn phone(areacode: Option<Phone>, phone: Option<Phone>) -> Result<Option<(String, String)>> {
    match (areacode, phone) {
        (None, None) => Ok(None),
        (Some(areacode), Some(phone)) => Ok(Some((areacode.into_string(), phone.into_string()))),
        _ => Err(Error::invalid("Invalid input. 'areacode' and 'phone' are given together.")),
    }
}

fn check_email(email: Option<Email>) -> Result<Option<String>> {
    let email = email.map(Text::into_string);
    match &email {
        Some(address) if !address.is_empty() && (!address.contains('@') || address.contains(char::is_whitespace)) => {
            Err(Error::invalid("Invalid input. 'email' must be an electronic mail address."))
        }
        _ => Ok(email),
    }
}

fn access_mode(word: Option<Word<AccessModes>>) -> Option<AccessMode> {
    word.and_then(|w| AccessMode::parse(w.as_str()))
}

async fn make(call: &Call) -> Result<User> {
    call.require_everywhere().await?;
    let new = call.body::<CreateUser>()?.user;
    let (areacode, phone) = phone(new.areacode, new.phone)?.unwrap_or_default();
    let password = new.password.map(Text::into_string);
    let profile = UserProfile {
        description: new.description.map(Text::into_string).unwrap_or_default(),
        email: check_email(new.email)?.unwrap_or_default(),
        areacode,
        phone,
        access: access_mode(new.access_mode).unwrap_or_default(),
        password_is_first: new.pwd_status.unwrap_or(password.is_some()),
    };
    let new = NewUser { name: new.name.into_string(), password, profile, enabled: new.enabled.unwrap_or(true) };
    call.platform().create_user(new).await
}

async fn change(call: &Call) -> Result<User> {
    call.require_everywhere().await?;
    let fields = call.body::<UpdateUser>()?.user;
    let change = UserChange {
        name: fields.name.map(Text::into_string),
        password: None,
        enabled: fields.enabled,
        description: fields.description.map(Text::into_string),
        email: check_email(fields.email)?,
        phone: phone(fields.areacode, fields.phone)?,
        access: access_mode(fields.access_mode),
        password_is_first: fields.pwd_status,
    };
    call.platform().change_user(call.path("user_id"), change, fields.password.map(Text::into_string)).await
}

/// The user of the path, for a caller who may see it.
async fn seen(call: &Call) -> Result<User> {
    super::require_for_user(call).await?;
    call.platform().user(call.path("user_id")).await
}

const CREATE_ERRORS: &[Code] = &[Code::NotPermitted, Code::UserExists, Code::TooManyUsers, Code::WeakPassword];
const UPDATE_ERRORS: &[Code] =
    &[Code::NotPermitted, Code::UserNotFound, Code::UserExists, Code::WeakPassword, Code::LastAdministrator];

pub(super) static CREATE: Built = Built::new("Creates a user.", json::<OneUser>(201), |c| Box::pin(create(c)))
    .body::<CreateUser>()
    .errors(CREATE_ERRORS);

async fn create(call: Call) -> Result<Reply> {
    let user = make(&call).await?;
    Reply::created(&details(&call, user))
}

pub(super) static KEYSTONE_CREATE: Built =
    Built::new("Creates a user.", json::<OneKeystoneUser>(201), |c| Box::pin(keystone_create(c)))
        .body::<CreateUser>()
        .errors(CREATE_ERRORS);

async fn keystone_create(call: Call) -> Result<Reply> {
    let user = make(&call).await?;
    Reply::created(&keystone(&call, user))
}

pub(super) static SHOW: Built =
    Built::new("Shows a user; users may ask for themselves.", json::<OneUser>(200), |c| Box::pin(show(c)))
        .account()
        .errors(&[Code::NotPermitted, Code::UserNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let user = seen(&call).await?;
    Reply::ok(&details(&call, user))
}

pub(super) static KEYSTONE_SHOW: Built =
    Built::new("Shows a user; users may ask for themselves.", json::<OneKeystoneUser>(200), |c| {
        Box::pin(keystone_show(c))
    })
    .account()
    .errors(&[Code::NotPermitted, Code::UserNotFound]);

async fn keystone_show(call: Call) -> Result<Reply> {
    let user = seen(&call).await?;
    Reply::ok(&keystone(&call, user))
}

pub(super) static LIST: Built = Built::new("Lists the users.", json::<KeystoneUsers>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::optional::<Text<Any, 0, 64>>("domain_id", "The platform's one domain; another has no users."),
        Param::optional::<crate::bounded::Flag>("enabled", "Only users that may do something, or that may not."),
        Param::optional::<Text<Any, 0, 255>>("name", "Only the user of this name."),
        Param::optional::<Text<Any, 0, 255>>("password_expires_at", "Passwords do not expire: finds nobody."),
    ])
    .errors(&[Code::NotPermitted]);

async fn list(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let given = |name: &str| Ok::<_, Error>(call.text(name)?.filter(|v| !v.is_empty()));
    let (name, enabled) = (given("name")?, call.flag("enabled")?);
    let any = super::is_own_domain(&call)? && given("password_expires_at")?.is_none();
    let mut users = call.platform().users().await?;
    users.retain(|u| any && name.is_none_or(|n| n == u.name) && enabled.is_none_or(|e| e == u.enabled));
    Reply::ok(&KeystoneUsers { users: users.into_iter().map(|u| KeystoneUser::of(&call, u)).collect() })
}

pub(super) static UPDATE: Built = Built::new("Changes a user.", json::<OneUser>(200), |c| Box::pin(update(c)))
    .body::<UpdateUser>()
    .errors(UPDATE_ERRORS);

async fn update(call: Call) -> Result<Reply> {
    let user = change(&call).await?;
    Reply::ok(&details(&call, user))
}

pub(super) static KEYSTONE_UPDATE: Built =
    Built::new("Changes a user.", json::<OneKeystoneUser>(200), |c| Box::pin(keystone_update(c)))
        .body::<UpdateUser>()
        .errors(UPDATE_ERRORS);

async fn keystone_update(call: Call) -> Result<Reply> {
    let user = change(&call).await?;
    Reply::ok(&keystone(&call, user))
}

pub(super) static UPDATE_INFORMATION: Built =
    Built::new("Changes address and telephone of a user; users may change their own.", Success::Empty, |c| {
        Box::pin(update_information(c))
    })
    .account()
    .body::<UpdateInformation>()
    .errors(&[Code::NotPermitted, Code::UserNotFound]);

async fn update_information(call: Call) -> Result<Reply> {
    super::require_for_user(&call).await?;
    let fields = call.body::<UpdateInformation>()?.user;
    let phone = match fields.mobile.as_ref().map(Text::as_str) {
        None => None,
        Some("") => Some(Default::default()),
        Some(mobile) => {
            let (areacode, number) = mobile.split_once('-').unwrap_or_default();
            let digits = |text: &str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit());
            if !digits(areacode) || !digits(number) {
                return Err(Error::invalid("Invalid input. 'user.mobile' must look like 0049-123456789."));
            }
            Some((areacode.to_owned(), number.to_owned()))
        }
    };
    let change = UserChange { email: check_email(fields.email)?, phone, ..UserChange::default() };
    call.platform().change_user(call.path("user_id"), change, None).await?;
    Ok(Reply::empty())
}

pub(super) static DELETE: Built =
    Built::new("Deletes a user with its access keys; its tokens die.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::NotPermitted, Code::UserNotFound, Code::LastAdministrator]);

async fn delete(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_user(call.path("user_id")).await?;
    Ok(Reply::empty())
}

pub(super) static CHANGE_PASSWORD: Built =
    Built::new("Sets the caller's own password; its tokens die.", Success::Empty, |c| Box::pin(change_password(c)))
        .body::<ChangePassword>()
        .errors(&[Code::NotPermitted, Code::WrongPassword, Code::WeakPassword, Code::SignInLocked]);

async fn change_password(call: Call) -> Result<Reply> {
    let caller = call.caller()?;
    // Even an administrator sets the passwords of others by changing the user.
    if caller.id() != call.path("user_id") {
        return Err(super::not_permitted());
    }
    let passwords = call.body::<ChangePassword>()?.user;
    let (original, new) = (passwords.original_password.as_str(), passwords.password.as_str());
    call.platform().change_own_password(caller, original, new, call.from).await?;
    Ok(Reply::empty())
}
