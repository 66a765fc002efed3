//! Configuration keys of the platform's use cases.

use causeway_model::linkage::UtcOffset;
use causeway_model::product::Strictness;
use causeway_model::settings;
use causeway_model::settings::{ByteSize, SettingValue, Span};

settings! {
    /// Product models.
    pub struct ModelSettings in "model" {
        /// How closely reports must follow the product model: `strict` (undeclared or mismatching values stay out of the
        /// shadow), `lenient` (undeclared ones pass), `off`.
        strictness: Strictness = Strictness::Strict,
    }
}

settings! {
    /// Registry limits.
    pub struct RegistrySettings in "registry" {
        /// Most resource spaces of an instance (002 §8).
        max_apps: u32 = 10,
        /// Most custom topics of a product (002 §4.2).
        max_custom_topics: u32 = 10,
        /// Most levels of devices below a gateway.
        max_gateway_depth: u32 = 2,
        /// Most device policies of an instance, those that spaces are born with not counted.
        max_device_policies: u32 = 50,
        /// Most device policies bound to one device, product or space.
        max_target_policies: u32 = 5,
        /// Most AMQP queues of an instance (002 §4.6.3).
        max_amqp_queues: u32 = 100,
        /// Most tags of a device.
        max_device_tags: u32 = 10,
        /// Most device groups of an instance.
        max_groups: u32 = 1000,
        /// Most levels of device groups.
        max_group_depth: u32 = 5,
        /// Most devices of a static group (002 §3.5).
        max_group_devices: u32 = 20_000,
        /// Most static groups that a device is put into (002 §3.5).
        max_groups_of_device: u32 = 10,
    }
}

settings! {
    /// Searches for devices.
    pub struct SearchSettings in "search" {
        /// Most characters of a search or of a dynamic group's rule.
        max_length: u32 = 400,
        /// Most conditions of a search or of a dynamic group's rule.
        max_conditions: u32 = 5,
        /// Searches a second on each node; 0 for no limit. The vendor's cloud has 1.
        rate: u32 = 0,
    }
}

settings! {
    /// Devices.
    pub struct DeviceSettings in "device" {
        /// How long after its disconnection a device is shown OFFLINE (002 §3.4).
        offline_delay: Span = Span::secs(60),
        /// Accepted difference between a device's signing hour and the platform's, for sign type 1.
        clock_tolerance: Span = Span::secs(3600),
        /// Life of a token of the HTTPS door.
        token_life: Span = Span::secs(86_400),
        /// How long an older token of the HTTPS door lives on after a new one (001).
        token_overlap: Span = Span::secs(30),
    }
}

settings! {
    /// Gateways and the devices behind them.
    pub struct GatewaySettings in "gateway" {
        /// Most devices that a gateway adds, changes or deletes with one request (002 §2.1.2.7.9).
        max_request: u32 = 50,
        /// Most devices whose status a gateway tells at once (002 §2.1.2.7.4).
        max_statuses: u32 = 100,
        /// Deletions remembered for each gateway. One that was away for more of them is told of all its devices, and not
        /// of the deletions before.
        kept_deletions: u32 = 1000,
        /// Devices kept of the scans of a gateway; the oldest go first.
        kept_scan_results: u32 = 200,
    }
}

settings! {
    /// Logs that devices send.
    pub struct DeviceLogSettings in "device_log" {
        /// Lines kept of each device; the oldest go first.
        lines: u32 = 100,
        /// Bytes kept of each device; the newest line stays whatever its size.
        size: ByteSize = ByteSize(1 << 20),
        /// Lines older than this are dropped; `0ms` keeps them.
        retention: Span = Span::secs(7 * 86_400),
    }
}

settings! {
    /// Commands and property calls that wait for the device.
    pub struct CommandSettings in "command" {
        /// How long the HTTP call waits for the device's answer.
        timeout: Span = Span::secs(20),
        /// Most calls waiting for one device.
        max_pending: u32 = 100,
    }
}

settings! {
    /// Messages to devices.
    pub struct MessageSettings in "message" {
        /// Messages kept at a device; the oldest go first (002 §4.5.3).
        keep: u32 = 20,
        /// How long creating a message for a connected device waits for it to be taken before answering PENDING.
        send_wait: Span = Span::secs(1),
    }
}

settings! {
    /// History of reports.
    pub struct HistorySettings in "history" {
        /// Reports older than this are dropped; `0ms` keeps everything.
        retention: Span = Span::secs(30 * 86_400),
    }
}

settings! {
    /// Pushes to applications.
    pub struct PushSettings in "push" {
        /// Lets pushes go to private, link-local and loopback addresses. For tests and laboratories.
        allow_private: bool = false,
        /// An answer that takes longer is a failure (002 §4.6.2).
        timeout: Span = Span::secs(15),
        /// So many failures in a row block the host (002 §4.6.2).
        max_failures: u32 = 10,
        /// How long a host stays blocked (002 §4.6.2).
        block: Span = Span::secs(300),
        /// First pause before a failed delivery is tried again; it doubles with each failure up to a minute.
        retry: Span = Span::secs(1),
        /// Deliveries older than this are given up (002 §4.6.3).
        retention: Span = Span::secs(86_400),
        /// Bytes that wait for one target at most; beyond them the oldest are given up (002 §4.6.3).
        max_backlog: ByteSize = ByteSize(1 << 30),
        /// Devices of one space whose deliveries are under way at the same time.
        concurrency: u32 = 16,
    }
}

settings! {
    /// Files of devices and applications (002 §3.9).
    pub struct FileSettings in "files" {
        /// Scheme, host and port that URLs of files begin with, like `https://files.example.com:8943`, when the platform
        /// serves them itself. Without it a device is sent to the address of this machine that it is connected to, an
        /// application to the host it named, each at the port of `listen.device_https` or `listen.device_files`.
        base_url: Option<String> = None,
        /// How long URLs of files are good.
        url_life: Span = Span::secs(3600),
        /// Largest file.
        max_size: ByteSize = ByteSize(5 << 30),
        /// Most stored files that one device has uploaded.
        max_per_device: u32 = 1000,
        /// Most stored files that the applications of a resource space have uploaded.
        max_per_app: u32 = 10_000,
        /// Most files of one device, or of the applications of a resource space, that wait for their content or did not
        /// get it; the oldest are forgotten.
        max_waiting: u32 = 20,
    }
}

settings! {
    /// OTA modules and packages (002 §3.7, §3.8).
    pub struct OtaSettings in "ota" {
        /// Most modules of a product.
        max_modules: u32 = 10,
        /// Most source versions that a package names.
        max_source_versions: u32 = 20,
    }
}

settings! {
    /// Certificates (002 §2.1.1, §11.2).
    pub struct CertificateSettings in "certificate" {
        /// Most CA certificates of devices in an instance (002 §2.1.1).
        max_cas: u32 = 100,
        /// Most server certificates of an instance.
        max_server: u32 = 2,
        /// Most provisioning templates of an instance.
        max_templates: u32 = 10,
        /// A CA certificate is shown as about to expire so long before its end (002 §11.2.2).
        expiry_notice: Span = Span::secs(30 * 86_400),
    }
}

settings! {
    /// Users, tokens and keys.
    pub struct IamSettings in "iam" {
        /// Life of an `X-Auth-Token`.
        token_life: Span = Span::secs(86_400),
        /// Accepted difference between the date of a signed request and the platform's time.
        signature_tolerance: Span = Span::secs(900),
        /// Fewest characters of a password.
        password_min_length: u32 = 8,
        /// Most characters of a password.
        password_max_length: u32 = 128,
        /// How many of capital letters, small letters, digits and other characters a password must hold.
        password_classes: u32 = 2,
        /// So many failed sign-ins of a user from one address close this way for `iam.sign_in_lock`; `0` never does.
        sign_in_failures: u32 = 5,
        /// So many failed sign-ins from one address, whatever the user, close it for `iam.sign_in_lock`; `0` never does.
        sign_in_failures_of_address: u32 = 50,
        /// So many failed sign-ins of a user from any address close it for `iam.sign_in_lock` to addresses from which it
        /// has not signed in before; `0` never does.
        sign_in_failures_of_user: u32 = 100,
        /// Failures are counted together over this time.
        sign_in_window: Span = Span::secs(900),
        /// For how long signing in is closed after too many failures.
        sign_in_lock: Span = Span::secs(900),
        /// Most users.
        max_users: u32 = 50,
        /// Most user groups, `admin` among them.
        max_groups: u32 = 20,
        /// Most custom policies.
        max_policies: u32 = 200,
        /// Most access keys of a user.
        max_access_keys: u32 = 2,
    }
}

settings! {
    /// The audit log.
    pub struct AuditSettings in "audit" {
        /// Records older than this are dropped; `0ms` keeps everything.
        retention: Span = Span::secs(180 * 86_400),
        /// Longest time that one query may span (002 §6.4).
        max_range: Span = Span::secs(7 * 86_400),
        /// Records that wait for the store at most; beyond them calls wait.
        queue: u32 = 10_000,
    }
}

settings! {
    /// Alarms.
    pub struct AlarmSettings in "alarm" {
        /// Alarms that were raised last longer ago than this are dropped (002 §6.3); `0ms` keeps them.
        retention: Span = Span::secs(30 * 86_400),
        /// Most alarms kept. A further one takes the place of the oldest, cleared ones first.
        max_alarms: u32 = 10_000,
    }
}

settings! {
    /// The run log (002 §6.5). Lines are made for rules that forward the source `runlog` only.
    pub struct RunLogSettings in "run_log" {
        /// Devices that come and go.
        device_status: bool = true,
        /// Messages, both ways.
        device_message: bool = true,
        /// Commands.
        device_command: bool = true,
        /// Properties, both ways.
        device_property: bool = true,
        /// Most bytes of a request or result in a line; longer ones are cut.
        max_text: u32 = 1024,
    }
}

settings! {
    /// Notification topics.
    pub struct NotifySettings in "notify" {
        /// Most notification topics of an instance.
        max_topics: u32 = 100,
        /// Most subscriptions of a topic.
        max_subscriptions: u32 = 100,
        /// The region in the URNs of topics. Rules may name any.
        region: String = "local".to_owned(),
        /// Where subscribers reach the REST interface, like `https://iot.example.com:8080`: the link that confirms a
        /// subscription begins with it. Without it no link is sent, and subscriptions are confirmed by the API.
        public_url: Option<String> = None,
    }
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Plain first, then TLS, or nothing is sent.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

impl SettingValue for MailTls {
    fn read(text: &str) -> Result<Self, String> {
        match text.trim() {
            "starttls" => Ok(Self::Starttls),
            "tls" => Ok(Self::Tls),
            "none" => Ok(Self::None),
            other => Err(format!("'{other}' is not starttls, tls or none")),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Starttls => "starttls",
            Self::Tls => "tls",
            Self::None => "none",
        }
        .to_owned()
    }
}

settings! {
    /// Mails to subscribers of notification topics.
    pub struct MailSettings in "mail" {
        /// Host of the SMTP server that takes the platform's mails. Without it there are no subscriptions by mail.
        server: Option<String> = None,
        /// Its port.
        port: u16 = 587,
        /// `starttls` (required), `tls` (from the first byte) or `none`.
        tls: MailTls = MailTls::Starttls,
        /// A file with certificates (PEM) that the server's is signed by, besides the public authorities.
        ca_file: Option<String> = None,
        /// User to sign in as.
        user: Option<String> = None,
        /// Its password.
        password: Option<String> = None,
        /// The sender's address.
        from: String = "causeway@localhost".to_owned(),
        /// Most mails a minute of this node; further ones wait.
        rate: u32 = 60,
        /// Longest time that one mail may take.
        timeout: Span = Span::secs(30),
    }
}

settings! {
    /// Short messages to subscribers of notification topics.
    pub struct SmsSettings in "sms" {
        /// Where they are posted to, as JSON: `{"to":"+8613…","text":"…","message_id":"…"}`; an answer of 200 means that
        /// it is taken. Without it there are no subscriptions by short message.
        gateway_url: Option<String> = None,
    }
}

settings! {
    /// Batch tasks, their files and exports.
    pub struct BatchSettings in "batch" {
        /// Most targets of a task, listed, in groups, or rows of a file.
        max_targets: u32 = 30_000,
        /// Tasks under way at the same time; further ones wait for their turn.
        tasks_at_once: u32 = 4,
        /// Targets of all tasks together under way at the same time. Tasks take turns.
        targets_at_once: u32 = 500,
        /// Targets whose device is registered, changed or deleted at the same time; part of `batch.targets_at_once`.
        writes_at_once: u32 = 64,
        /// Most tasks kept; further ones are refused until finished ones are deleted.
        max_tasks: u32 = 1000,
        /// How far ahead a task may be scheduled.
        max_schedule: Span = Span::secs(7 * 86_400),
        /// Largest uploaded file.
        max_file: ByteSize = ByteSize(8 << 20),
        /// An uploaded xlsx file may unpack to at most this.
        max_unpacked: ByteSize = ByteSize(64 << 20),
        /// Most uploaded files kept.
        max_files: u32 = 100,
        /// Most export tasks kept.
        max_exports: u32 = 100,
        /// Export tasks go with their files so long after they were made; `0ms` keeps them.
        export_retention: Span = Span::secs(7 * 86_400),
    }
}

settings! {
    /// Functions and the sandbox that runs scripts.
    pub struct ScriptSettings in "script" {
        /// Processes that run scripts; they start when first needed. With two or more, one resource space never holds all.
        workers: u32 = 2,
        /// Most calls of scripts that run or wait for their turn.
        queue: u32 = 256,
        /// How long a call waits for a place in a full queue before it is refused.
        wait: Span = Span::secs(5),
        /// Longest time that a function may be given.
        max_time: Span = Span::secs(15),
        /// Most memory that a script may be given.
        max_memory: ByteSize = ByteSize(64 << 20),
        /// Most functions of an instance.
        max_functions: u32 = 200,
    }
}

settings! {
    /// Device linkage rules (002 §5.3).
    pub struct LinkageSettings in "linkage" {
        /// Most linkage rules of an instance.
        max_rules: u32 = 1000,
        /// Most conditions of a rule.
        max_conditions: u32 = 10,
        /// Most actions of a rule.
        max_actions: u32 = 10,
        /// Most values that the operator `in` compares with.
        max_in_values: u32 = 20,
        /// How far the times of day in rules are ahead of UTC, like `+08:00` or `Z`. The vendor's cloud is in China.
        time_zone: UtcOffset = UtcOffset { minutes: 480 },
        /// A timer that is later than this, because the platform was down, is skipped.
        timer_grace: Span = Span::secs(300),
        /// Commands of rules that wait for one device to come online at most; the oldest go first.
        kept_commands: u32 = 20,
        /// Rules that act at the same time.
        concurrency: u32 = 64,
    }
}

settings! {
    /// Data forwarding rules (002 §5.2).
    pub struct RoutingSettings in "routing" {
        /// Most forwarding rules of an instance.
        max_rules: u32 = 100,
        /// Most actions of a forwarding rule.
        max_actions: u32 = 10,
        /// Most characters of each of the clauses `select` and `where`.
        max_clause: u32 = 2500,
        /// Most backlog policies of an instance.
        max_backlog_policies: u32 = 100,
        /// Most flow control policies of an instance.
        max_flow_control_policies: u32 = 100,
    }
}

/// The platform's settings, part by part.
#[derive(Clone, Debug, Default)]
pub struct PlatformSettings {
    /// See [`ModelSettings`].
    pub model: ModelSettings,
    /// See [`RegistrySettings`].
    pub registry: RegistrySettings,
    /// See [`SearchSettings`].
    pub search: SearchSettings,
    /// See [`CertificateSettings`].
    pub certificate: CertificateSettings,
    /// See [`DeviceSettings`].
    pub device: DeviceSettings,
    /// See [`GatewaySettings`].
    pub gateway: GatewaySettings,
    /// See [`DeviceLogSettings`].
    pub device_log: DeviceLogSettings,
    /// See [`CommandSettings`].
    pub command: CommandSettings,
    /// See [`LinkageSettings`].
    pub linkage: LinkageSettings,
    /// See [`MessageSettings`].
    pub message: MessageSettings,
    /// See [`HistorySettings`].
    pub history: HistorySettings,
    /// See [`PushSettings`].
    pub push: PushSettings,
    /// See [`RoutingSettings`].
    pub routing: RoutingSettings,
    /// See [`FileSettings`].
    pub files: FileSettings,
    /// See [`OtaSettings`].
    pub ota: OtaSettings,
    /// See [`IamSettings`].
    pub iam: IamSettings,
    /// See [`AuditSettings`].
    pub audit: AuditSettings,
    /// See [`AlarmSettings`].
    pub alarm: AlarmSettings,
    /// See [`RunLogSettings`].
    pub run_log: RunLogSettings,
    /// See [`NotifySettings`].
    pub notify: NotifySettings,
    /// See [`MailSettings`].
    pub mail: MailSettings,
    /// See [`SmsSettings`].
    pub sms: SmsSettings,
    /// See [`BatchSettings`].
    pub batch: BatchSettings,
    /// See [`ScriptSettings`].
    pub script: ScriptSettings,
}
