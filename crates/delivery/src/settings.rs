//! Configuration keys of targets.

causeway_model::settings! {
    /// Data forwarding.
    pub struct ForwardingSettings in "forwarding" {
        /// Where objects of `OBS_FORWARDING` go when an action names no endpoint; `{region}` stands for the action's region
        /// and `{bucket}` for its bucket. Without `{bucket}` the bucket stands in the path.
        obs_endpoint: String = "https://{bucket}.obs.{region}.myhuaweicloud.com".to_owned(),
        /// Where records of `DIS_FORWARDING` go when an action names no endpoint; `{region}` stands for the action's region.
        dis_endpoint: String = "https://dis.{region}.myhuaweicloud.com".to_owned(),
        /// Access key for these two endpoints, for actions without keys of their own. Whoever may make actions can then
        /// write wherever this key may.
        access_key: Option<String> = None,
        /// Secret key of `forwarding.access_key`.
        secret_key: Option<String> = None,
        /// Folder for files of `LOG_FILE_FORWARDING`; without it the folder `forwarded` in the data folder.
        log_folder: Option<String> = None,
    }
}
