//! Errors: few kinds, stable codes, one sentence for the client and one for the operator.
//!
//! Each wire maps [`Kind`] and [`Code`] once in its own `error.rs`; nothing here names an HTTP status.

use std::fmt;

/// What went wrong in the large. A wire maps it to its own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The input breaks a rule; the same request will fail again.
    Invalid,
    /// Who is asking could not be established.
    Unauthenticated,
    /// Known, but not allowed, or the state forbids it.
    Forbidden,
    /// No such thing, or none that the caller may see.
    NotFound,
    /// It exists already.
    Conflict,
    /// The device did not answer in time.
    DeviceTimeout,
    /// Too much at once; trying later helps.
    Overloaded,
    /// A part behind the platform does not answer; trying later helps.
    Unavailable,
    /// Described by the vendor, not built yet.
    NotBuilt,
    /// A fault of the platform itself.
    Internal,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $kind:ident;)*) => {
        /// Stable error codes (`iotda-v5-api.md` §4). A code never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, for the tables in the docs.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as clients see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The kind that goes with the code.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }
        }
    };
}

codes! {
    /// A fault of the platform; the log has the cause.
    Internal = "IOTDA.000001", Internal;
    /// Who is asking could not be established.
    Unauthenticated = "IOTDA.000002", Unauthenticated;
    /// A device's access token is unknown or too old.
    InvalidAccessToken = "IOTDA.000004", Forbidden;
    /// The user lacks the permission.
    NotPermitted = "IOTDA.000005", Forbidden;
    /// A field breaks its rule.
    InvalidInput = "IOTDA.000006", Invalid;
    /// The body is not what the operation reads.
    BadRequest = "IOTDA.000008", Invalid;
    /// A time is not in a documented form.
    InvalidTime = "IOTDA.000009", Invalid;
    /// The start time is not before the end time.
    TimeOrder = "IOTDA.000010", Invalid;
    /// `limit` is out of range.
    LimitOutOfRange = "IOTDA.000017", Invalid;
    /// `marker` is out of range.
    MarkerOutOfRange = "IOTDA.000018", Invalid;
    /// `offset` is out of range.
    OffsetOutOfRange = "IOTDA.000019", Invalid;
    /// No such path.
    NoSuchPath = "IOTDA.000022", NotFound;
    /// The path exists, the method does not.
    NoSuchMethod = "IOTDA.000023", Invalid;
    /// Described by the vendor, not built yet.
    NotBuilt = "IOTDA.000024", NotBuilt;
    /// The platform or a part behind it cannot answer now.
    Unavailable = "IOTDA.000025", Unavailable;
    /// The project in the path is not the caller's.
    WrongProject = "IOTDA.000026", Forbidden;
    /// The body is larger than the operation takes.
    BodyTooLarge = "IOTDA.000027", Invalid;
    /// No such resource space.
    AppNotFound = "IOTDA.001000", Forbidden;
    /// A field of a resource space breaks its rule.
    InvalidApp = "IOTDA.001001", Invalid;
    /// The space must be named, because the caller may use several.
    AppRequired = "IOTDA.001005", Forbidden;
    /// The default resource space cannot be deleted.
    DefaultApp = "IOTDA.001003", Forbidden;
    /// The number of resource spaces has reached its limit.
    TooManyApps = "IOTDA.001004", Forbidden;
    /// No such product model (service, property or command).
    NoSuchModel = "IOTDA.009002", Invalid;
    /// The property is not in the product model or may not be written.
    PropertyNotWritable = "IOTDA.013002", Invalid;
    /// No such product.
    ProductNotFound = "IOTDA.013003", NotFound;
    /// The product id is taken in this resource space.
    ProductExists = "IOTDA.013004", Conflict;
    /// The product still has devices.
    ProductInUse = "IOTDA.013005", Forbidden;
    /// The product model breaks a rule; the message names the place.
    InvalidModel = "IOTDA.013006", Invalid;
    /// The product has as many custom topics as it may have, or the topic is declared already.
    CustomTopicLimit = "IOTDA.013007", Invalid;
    /// No such ready product model.
    PresetNotFound = "IOTDA.013009", NotFound;
    /// No such custom topic.
    CustomTopicNotFound = "IOTDA.013008", NotFound;
    /// No such device.
    DeviceNotFound = "IOTDA.014000", NotFound;
    /// The device has no connection.
    DeviceOffline = "IOTDA.014016", Forbidden;
    /// A gateway still has devices below it.
    DeviceHasChildren = "IOTDA.014017", Forbidden;
    /// The device's state forbids the operation.
    DeviceState = "IOTDA.014018", Forbidden;
    /// The gateway that the device is behind has no connection.
    GatewayOffline = "IOTDA.014028", Invalid;
    /// The gateway named is not a device that can have another one below it.
    InvalidGateway = "IOTDA.014029", Invalid;
    /// A device with this id or node id exists.
    DeviceExists = "IOTDA.014031", Conflict;
    /// The shadow version sent is not the current one.
    ShadowVersion = "IOTDA.014040", Conflict;
    /// A shadow key holds a character that is refused, or the shadow has no such place.
    InvalidShadow = "IOTDA.014041", Invalid;
    /// No such command in the product model, or its parameters do not match.
    InvalidCommand = "IOTDA.014108", Invalid;
    /// The device did not answer the command in time.
    CommandTimeout = "IOTDA.014111", DeviceTimeout;
    /// The device has not subscribed to the topic.
    NotSubscribed = "IOTDA.014112", Forbidden;
    /// The operation does not fit the protocol of the device.
    WrongProtocol = "IOTDA.014114", Forbidden;
    /// No such message.
    MessageNotFound = "IOTDA.014120", NotFound;
    /// A message with this id exists at the device.
    MessageExists = "IOTDA.014121", Conflict;
    /// The device did not come online before the message's time was over.
    MessageExpired = "IOTDA.014123", DeviceTimeout;
    /// The number of requests waiting for one device has reached its limit.
    TooManyPending = "IOTDA.014122", Overloaded;
    /// Signing in failed too often; it is locked for some minutes.
    SignInLocked = "IOTDA.019001", Forbidden;
    /// No such user.
    UserNotFound = "IOTDA.019002", NotFound;
    /// The user name is taken.
    UserExists = "IOTDA.019003", Conflict;
    /// The number of users has reached its limit.
    TooManyUsers = "IOTDA.019004", Forbidden;
    /// The new password breaks a rule.
    WeakPassword = "IOTDA.019005", Invalid;
    /// The original password is not the user's.
    WrongPassword = "IOTDA.019006", Invalid;
    /// No such user group.
    UserGroupNotFound = "IOTDA.019007", NotFound;
    /// The name of the user group is taken.
    UserGroupExists = "IOTDA.019008", Conflict;
    /// The number of user groups has reached its limit.
    TooManyUserGroups = "IOTDA.019009", Forbidden;
    /// No such policy for users.
    RoleNotFound = "IOTDA.019010", NotFound;
    /// The name of the policy is taken.
    RoleExists = "IOTDA.019011", Conflict;
    /// The number of custom policies has reached its limit.
    TooManyRoles = "IOTDA.019012", Forbidden;
    /// The policy's document breaks a rule; the message names the places.
    InvalidRole = "IOTDA.019013", Invalid;
    /// The policy is still granted to a group.
    RoleInUse = "IOTDA.019014", Forbidden;
    /// No such access key.
    AccessKeyNotFound = "IOTDA.019015", NotFound;
    /// The number of the user's access keys has reached its limit.
    TooManyAccessKeys = "IOTDA.019016", Forbidden;
    /// The group of administrators would have nobody left who can sign in.
    LastAdministrator = "IOTDA.019017", Forbidden;
    /// The user is no member of the group, or the policy is not granted to it.
    NotGranted = "IOTDA.019018", NotFound;
    /// What is there from the start cannot be changed or deleted.
    BuiltInRole = "IOTDA.019019", Forbidden;
    /// No such project or domain.
    ProjectNotFound = "IOTDA.019020", NotFound;
    /// No such file.
    FileNotFound = "IOTDA.018000", NotFound;
    /// The signature of a file's URL is not the platform's, or is for another request.
    InvalidFileUrl = "IOTDA.018001", Forbidden;
    /// The time of a file's URL is over.
    FileUrlExpired = "IOTDA.018002", Forbidden;
    /// The file is larger than it may be or than was announced.
    FileTooLarge = "IOTDA.018003", Invalid;
    /// The content is not what was announced.
    FileMismatch = "IOTDA.018004", Invalid;
    /// The content of the file is not there.
    FileNotStored = "IOTDA.018005", Forbidden;
    /// Something else refers to the file.
    FileInUse = "IOTDA.018006", Forbidden;
    /// The number of files has reached its limit.
    TooManyFiles = "IOTDA.018007", Forbidden;
    /// The object store has no room left.
    NoRoomForFile = "IOTDA.018008", Unavailable;
    /// The file has no such range of bytes.
    NoSuchRange = "IOTDA.018009", Invalid;
    /// No such OTA module.
    OtaModuleNotFound = "IOTDA.018100", NotFound;
    /// The product has an OTA module of this name.
    OtaModuleExists = "IOTDA.018101", Conflict;
    /// The number of OTA modules of a product has reached its limit.
    TooManyOtaModules = "IOTDA.018102", Forbidden;
    /// Packages refer to the OTA module.
    OtaModuleInUse = "IOTDA.018103", Forbidden;
    /// No such OTA package.
    OtaPackageNotFound = "IOTDA.018110", NotFound;
    /// The product has a package of this type, module and version.
    OtaPackageExists = "IOTDA.018111", Conflict;
    /// The object that an OTA package names is not there.
    OtaObjectNotFound = "IOTDA.018112", Invalid;
    /// No such group.
    GroupNotFound = "IOTDA.015000", NotFound;
    /// A group with this name exists in the resource space.
    GroupExists = "IOTDA.015001", Conflict;
    /// A field of a group breaks its rule, or the group above is none that can have others below it.
    InvalidGroup = "IOTDA.015002", Invalid;
    /// The number of groups has reached its limit.
    TooManyGroups = "IOTDA.015003", Forbidden;
    /// The group would be on a level below the last one.
    GroupTooDeep = "IOTDA.015004", Forbidden;
    /// The group still has devices in it or groups below it.
    GroupInUse = "IOTDA.015005", Forbidden;
    /// The group has as many devices as it may have.
    GroupFull = "IOTDA.015006", Forbidden;
    /// The device is in as many groups as it may be.
    TooManyGroupsOfDevice = "IOTDA.015007", Forbidden;
    /// The devices of a dynamic group follow its rule; none is put in or taken out.
    DynamicGroup = "IOTDA.015008", Forbidden;
    /// The device is not in the group.
    NotInGroup = "IOTDA.015009", Invalid;
    /// The device has as many tags as it may have.
    TooManyTags = "IOTDA.015100", Forbidden;
    /// The device has no tag with this key.
    TagNotFound = "IOTDA.015101", Invalid;
    /// The search or rule cannot be read; the message names the place and the reason.
    InvalidSearch = "IOTDA.015200", Invalid;
    /// No such certificate of an authority.
    CaNotFound = "IOTDA.016000", NotFound;
    /// The content is not one sound certificate of an authority; the message says why.
    InvalidCa = "IOTDA.016001", Invalid;
    /// The space has this certificate.
    CaExists = "IOTDA.016002", Conflict;
    /// The number of authorities has reached its limit.
    TooManyCas = "IOTDA.016003", Forbidden;
    /// Devices use certificates of this authority.
    CaInUse = "IOTDA.016004", Forbidden;
    /// The verification certificate does not show that the private key is the caller's.
    InvalidVerification = "IOTDA.016005", Invalid;
    /// No such certificate of a device.
    DeviceCertificateNotFound = "IOTDA.016100", NotFound;
    /// A device uses this certificate.
    DeviceCertificateInUse = "IOTDA.016101", Forbidden;
    /// The device does not sign in this way.
    WrongAuthType = "IOTDA.016102", Forbidden;
    /// No such provisioning template.
    TemplateNotFound = "IOTDA.016200", NotFound;
    /// The body of a provisioning template breaks a rule; the message names the place.
    InvalidTemplate = "IOTDA.016201", Invalid;
    /// The number of provisioning templates has reached its limit.
    TooManyTemplates = "IOTDA.016202", Forbidden;
    /// Authorities use this provisioning template.
    TemplateInUse = "IOTDA.016203", Forbidden;
    /// No such server certificate.
    ServerCertificateNotFound = "IOTDA.016300", NotFound;
    /// Certificate, key or password are not sound or do not belong together.
    InvalidServerCertificate = "IOTDA.016301", Invalid;
    /// The number of server certificates has reached its limit.
    TooManyServerCertificates = "IOTDA.016302", Forbidden;
    /// The instance has this server certificate.
    ServerCertificateExists = "IOTDA.016303", Conflict;
    /// No such batch task.
    BatchTaskNotFound = "IOTDA.017000", NotFound;
    /// The task's status forbids the operation.
    BatchTaskState = "IOTDA.017001", Forbidden;
    /// A batch task must have exactly one source of targets, and this type takes only certain ones.
    BatchTargets = "IOTDA.017002", Invalid;
    /// The document of a batch task does not fit its type.
    BatchDocument = "IOTDA.017003", Invalid;
    /// The number of batch tasks has reached its limit.
    TooManyBatchTasks = "IOTDA.017004", Forbidden;
    /// No such target in the batch task.
    BatchTargetNotFound = "IOTDA.017005", NotFound;
    /// Only tasks that were made with `need_confirm` can be confirmed.
    BatchNotConfirmable = "IOTDA.017006", Forbidden;
    /// No such uploaded file.
    BatchFileNotFound = "IOTDA.017100", NotFound;
    /// The file cannot be read, or rows of it are wrong; the message names them.
    InvalidBatchFile = "IOTDA.017101", Invalid;
    /// The number of uploaded files has reached its limit.
    TooManyBatchFiles = "IOTDA.017102", Forbidden;
    /// No such export task.
    ExportTaskNotFound = "IOTDA.017200", NotFound;
    /// The export is not ready, or failed.
    ExportNotReady = "IOTDA.017201", Forbidden;
    /// The number of export tasks has reached its limit.
    TooManyExportTasks = "IOTDA.017202", Forbidden;
    /// More devices in a gateway's request than it may name, or none.
    TooManyInRequest = "IOTDA.014050", Invalid;
    /// Nothing was said about the device's log yet.
    LogConfigNotFound = "IOTDA.014051", NotFound;
    /// As many broadcasts are under way as may be.
    BroadcastsBusy = "IOTDA.014130", Overloaded;
    /// The request rate of the caller has reached its limit.
    RateLimited = "IOTDA.021101", Overloaded;
    /// The request rate of the tenant has reached its limit.
    TenantRateLimited = "IOTDA.021102", Overloaded;
    /// More sub-devices in one report than allowed.
    TooManySubDevices = "IOTDA.021103", Forbidden;
    /// A sub-device does not exist or belongs to another gateway.
    NotASubDevice = "IOTDA.021104", Invalid;
    /// A device's report is larger than 1 MB.
    ReportTooLarge = "IOTDA.021105", Forbidden;
    /// No such device policy.
    PolicyNotFound = "IOTDA.022000", NotFound;
    /// The number of device policies has reached its limit.
    TooManyPolicies = "IOTDA.022001", Forbidden;
    /// As many policies are bound to the device, product or space as may be.
    PolicyTargetLimit = "IOTDA.022002", Forbidden;
    /// The policy is not bound to this device, product or space.
    PolicyNotBound = "IOTDA.022003", NotFound;
    /// No such AMQP queue.
    QueueNotFound = "IOTDA.023000", NotFound;
    /// An AMQP queue with this name exists.
    QueueExists = "IOTDA.023001", Conflict;
    /// The number of AMQP queues has reached its limit.
    TooManyQueues = "IOTDA.023002", Forbidden;
    /// Forwarding rules put events into the queue.
    QueueInUse = "IOTDA.023003", Forbidden;
    /// No such rule of forwarding or linkage (`iotda-v5-api.md` §4).
    RoutingRuleNotFound = "IOTDA.010002", NotFound;
    /// The number of rules of forwarding, or of linkage, has reached its limit (`iotda-v5-api.md` §4).
    TooManyRoutingRules = "IOTDA.010003", Forbidden;
    /// A rule, an action of forwarding or a policy of it says something that cannot be (`iotda-v5-api.md` §4).
    InvalidRule = "IOTDA.010000", Invalid;
    /// A condition of a linkage rule breaks a rule.
    InvalidRuleCondition = "IOTDA.010004", Invalid;
    /// An action of a linkage rule breaks a rule.
    InvalidRuleAction = "IOTDA.010005", Invalid;
    /// A linkage rule has the same condition twice.
    RepeatedRuleCondition = "IOTDA.010006", Invalid;
    /// A linkage rule has the same action twice.
    RepeatedRuleAction = "IOTDA.010007", Invalid;
    /// A condition of a linkage rule names a device that does not exist.
    RuleConditionDevice = "IOTDA.010008", Invalid;
    /// An action of a linkage rule names a device that does not exist.
    RuleActionDevice = "IOTDA.010009", Invalid;
    /// A condition of a linkage rule names a property that the product model does not have.
    RuleConditionData = "IOTDA.010010", Invalid;
    /// An action of a linkage rule names a command that the product model does not have.
    RuleActionData = "IOTDA.010011", Invalid;
    /// No such action of a forwarding rule.
    RoutingActionNotFound = "IOTDA.010020", NotFound;
    /// The number of actions of the rule has reached its limit.
    TooManyRoutingActions = "IOTDA.010021", Forbidden;
    /// No such policy of forwarding.
    RoutingPolicyNotFound = "IOTDA.010022", NotFound;
    /// The number of policies of forwarding has reached its limit.
    TooManyRoutingPolicies = "IOTDA.010023", Forbidden;
    /// There is a flow control policy for this already.
    FlowControlPolicyExists = "IOTDA.010024", Conflict;
    /// The rule has no action and cannot be activated.
    RuleWithoutAction = "IOTDA.010025", Invalid;
    /// No such alarm.
    AlarmNotFound = "IOTDA.025000", NotFound;
    /// No such notification topic.
    NotificationTopicNotFound = "IOTDA.026000", NotFound;
    /// A notification topic with this name exists.
    NotificationTopicExists = "IOTDA.026001", Conflict;
    /// The number of notification topics has reached its limit.
    TooManyNotificationTopics = "IOTDA.026002", Forbidden;
    /// No such subscription of a notification topic.
    SubscriptionNotFound = "IOTDA.026010", NotFound;
    /// The topic has a subscription of this protocol and endpoint.
    SubscriptionExists = "IOTDA.026011", Conflict;
    /// The number of the topic's subscriptions has reached its limit.
    TooManySubscriptions = "IOTDA.026012", Forbidden;
    /// A query of the audit log spans more time than one query may.
    AuditRange = "IOTDA.024000", Invalid;
    /// No such function.
    FunctionNotFound = "IOTDA.028000", NotFound;
    /// A function with this name exists in the space, or in the instance.
    FunctionExists = "IOTDA.028001", Conflict;
    /// The number of functions has reached its limit.
    TooManyFunctions = "IOTDA.028002", Forbidden;
    /// A function threw, took too long or did not answer.
    FunctionFailed = "IOTDA.028003", Unavailable;
}

/// One of several faults of an input that has places: a file, a sheet, a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, in the words of the input: `Sheet 'Properties', row 7, column 'dataType'`.
    pub place: String,
    /// What is wrong and how it must be.
    pub reason: String,
}

impl Fault {
    /// A fault at a place.
    pub fn at(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

/// An error with what the client reads and what the operator reads kept apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: Code,
    message: String,
    detail: Option<String>,
    faults: Vec<Fault>,
}

/// The platform's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error whose `message` tells the client what to do.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), detail: None, faults: Vec::new() }))
    }

    /// A fault of the platform. `detail` goes to the log only.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::new(Code::Internal, "The platform failed to serve the request. Its log has the cause.")
            .with_detail(detail)
    }

    /// A part behind the platform does not answer. `detail` goes to the log only.
    pub fn unavailable(detail: impl fmt::Display) -> Self {
        Self::new(Code::Unavailable, "The platform cannot serve the request now. Try again later.").with_detail(detail)
    }

    /// A field that breaks its rule; `message` names the field and the rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidInput, message)
    }

    /// Adds what only the operator may read.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.0.detail = Some(detail.to_string());
        self
    }

    /// An error that lists every fault of an input. The message names the first; at most [`MAX_FAULTS`](Self::MAX_FAULTS)
    /// are kept.
    #[must_use]
    pub fn of_faults(code: Code, what: &str, mut faults: Vec<Fault>) -> Self {
        let count = faults.len();
        faults.truncate(Self::MAX_FAULTS);
        let message = match faults.first() {
            None => what.to_owned(),
            Some(first) if count == 1 => format!("{what} {}: {}", first.place, first.reason),
            Some(first) => format!("{what} {count} faults; the first: {}: {}", first.place, first.reason),
        };
        Self(Box::new(Inner { code, message, detail: None, faults }))
    }

    /// Most faults that one error lists.
    pub const MAX_FAULTS: usize = 200;

    /// All faults of an input, with their places; empty for most errors.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0.faults
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The kind that a wire maps to its status.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.code.kind()
    }

    /// The sentence for the client.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the log should say besides.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Whether the same request may succeed later without a change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), Kind::Overloaded | Kind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.code.as_str(), self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match &self.0.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
