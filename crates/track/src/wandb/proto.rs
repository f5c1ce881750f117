//! The messages of a W&B run's log, as far as they are written: field numbers of `wandb_internal.proto`, which is
//! published with the client.

#![expect(clippy::struct_field_names, reason = "the schema's names")]

use std::time::{Duration, SystemTime};

use prost::Message;

/// One entry of the log.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Record {
    #[prost(int64, tag = "1")]
    pub(crate) num: i64,
    #[prost(message, optional, tag = "2")]
    pub(crate) history: Option<History>,
    #[prost(message, optional, tag = "3")]
    pub(crate) summary: Option<Update>,
    #[prost(message, optional, tag = "5")]
    pub(crate) config: Option<Update>,
    #[prost(message, optional, tag = "6")]
    pub(crate) files: Option<Files>,
    #[prost(message, optional, tag = "7")]
    pub(crate) stats: Option<Stats>,
    #[prost(message, optional, tag = "8")]
    pub(crate) artifact: Option<Artifact>,
    #[prost(message, optional, tag = "12")]
    pub(crate) metric: Option<Metric>,
    #[prost(message, optional, tag = "17")]
    pub(crate) run: Option<Run>,
    #[prost(message, optional, tag = "18")]
    pub(crate) exit: Option<Exit>,
    #[prost(message, optional, tag = "21")]
    pub(crate) header: Option<Header>,
    #[prost(message, optional, tag = "26")]
    pub(crate) environment: Option<Environment>,
    #[prost(message, optional, tag = "200")]
    pub(crate) info: Option<Info>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Info {
    /// The run's id.
    #[prost(string, tag = "1")]
    pub(crate) stream_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(message, optional, tag = "1")]
    pub(crate) version_info: Option<VersionInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct VersionInfo {
    #[prost(string, tag = "1")]
    pub(crate) producer: String,
    /// The oldest client that can read the log.
    #[prost(string, tag = "2")]
    pub(crate) min_consumer: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Run {
    #[prost(string, tag = "1")]
    pub(crate) run_id: String,
    #[prost(string, tag = "2")]
    pub(crate) entity: String,
    #[prost(string, tag = "3")]
    pub(crate) project: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) config: Option<Update>,
    #[prost(string, tag = "7")]
    pub(crate) job_type: String,
    #[prost(string, tag = "8")]
    pub(crate) display_name: String,
    #[prost(string, tag = "13")]
    pub(crate) host: String,
    #[prost(message, optional, tag = "17")]
    pub(crate) start_time: Option<Timestamp>,
    #[prost(message, optional, tag = "21")]
    pub(crate) git: Option<Git>,
    /// Go on with the run of this id, if the server has one.
    #[prost(bool, tag = "24")]
    pub(crate) resume: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Git {
    #[prost(string, tag = "1")]
    pub(crate) remote_url: String,
    #[prost(string, tag = "2")]
    pub(crate) commit: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct History {
    #[prost(message, repeated, tag = "1")]
    pub(crate) item: Vec<Item>,
    #[prost(message, optional, tag = "2")]
    pub(crate) step: Option<Step>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Step {
    #[prost(int64, tag = "1")]
    pub(crate) num: i64,
}

/// `ConfigRecord` and `SummaryRecord`, which are alike.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Update {
    #[prost(message, repeated, tag = "1")]
    pub(crate) update: Vec<Item>,
}

/// `HistoryItem`, `ConfigItem`, `SummaryItem` and `StatsItem`, which are alike as far as they are used.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Item {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) nested_key: Vec<String>,
    #[prost(string, tag = "16")]
    pub(crate) value_json: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Files {
    #[prost(message, repeated, tag = "1")]
    pub(crate) files: Vec<FilesItem>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FilesItem {
    /// Relative to the run's `files/`.
    #[prost(string, tag = "1")]
    pub(crate) path: String,
    /// 0 now, 1 at the end, 2 live.
    #[prost(int32, tag = "2")]
    pub(crate) policy: i32,
    /// 0 other, 1 W&B's own, 2 media, 3 artifact.
    #[prost(int32, tag = "3")]
    pub(crate) kind: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Stats {
    #[prost(message, optional, tag = "2")]
    pub(crate) timestamp: Option<Timestamp>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) item: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Artifact {
    #[prost(string, tag = "1")]
    pub(crate) run_id: String,
    #[prost(string, tag = "2")]
    pub(crate) project: String,
    #[prost(string, tag = "3")]
    pub(crate) entity: String,
    #[prost(string, tag = "4")]
    pub(crate) kind: String,
    #[prost(string, tag = "5")]
    pub(crate) name: String,
    #[prost(string, tag = "6")]
    pub(crate) digest: String,
    #[prost(string, tag = "8")]
    pub(crate) metadata: String,
    #[prost(bool, tag = "9")]
    pub(crate) user_created: bool,
    #[prost(string, repeated, tag = "11")]
    pub(crate) aliases: Vec<String>,
    #[prost(message, optional, tag = "12")]
    pub(crate) manifest: Option<Manifest>,
    #[prost(bool, tag = "14")]
    pub(crate) finalize: bool,
    #[prost(string, tag = "15")]
    pub(crate) client_id: String,
    #[prost(string, tag = "16")]
    pub(crate) sequence_client_id: String,
    #[prost(string, tag = "20")]
    pub(crate) digest_algorithm: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Manifest {
    #[prost(int32, tag = "1")]
    pub(crate) version: i32,
    #[prost(string, tag = "2")]
    pub(crate) storage_policy: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) storage_policy_config: Vec<PolicyItem>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) contents: Vec<ManifestEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PolicyItem {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value_json: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ManifestEntry {
    #[prost(string, tag = "1")]
    pub(crate) path: String,
    /// MD5 in base64.
    #[prost(string, tag = "2")]
    pub(crate) digest: String,
    #[prost(int64, tag = "4")]
    pub(crate) size: i64,
    #[prost(string, tag = "6")]
    pub(crate) local_path: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) glob_name: String,
    /// The metric that is its horizontal axis.
    #[prost(string, tag = "4")]
    pub(crate) step_metric: String,
    #[prost(message, optional, tag = "6")]
    pub(crate) options: Option<MetricOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricOptions {
    #[prost(bool, tag = "1")]
    pub(crate) step_sync: bool,
    #[prost(bool, tag = "2")]
    pub(crate) hidden: bool,
    #[prost(bool, tag = "3")]
    pub(crate) defined: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exit {
    #[prost(int32, tag = "1")]
    pub(crate) exit_code: i32,
    /// In seconds.
    #[prost(int32, tag = "2")]
    pub(crate) runtime: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Environment {
    #[prost(string, tag = "1")]
    pub(crate) os: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) started_at: Option<Timestamp>,
    #[prost(string, tag = "6")]
    pub(crate) program: String,
    #[prost(message, optional, tag = "9")]
    pub(crate) git: Option<Git>,
    #[prost(string, tag = "12")]
    pub(crate) host: String,
    #[prost(uint32, tag = "16")]
    pub(crate) cpu_count: u32,
    #[prost(uint32, tag = "17")]
    pub(crate) cpu_count_logical: u32,
    #[prost(string, tag = "18")]
    pub(crate) gpu_type: String,
    #[prost(uint32, tag = "19")]
    pub(crate) gpu_count: u32,
    #[prost(message, optional, tag = "21")]
    pub(crate) memory: Option<Memory>,
    #[prost(message, optional, tag = "22")]
    pub(crate) cpu: Option<Cpu>,
    #[prost(message, repeated, tag = "24")]
    pub(crate) gpu_nvidia: Vec<GpuNvidia>,
    #[prost(string, tag = "199")]
    pub(crate) writer_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Memory {
    #[prost(uint64, tag = "1")]
    pub(crate) total: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Cpu {
    #[prost(uint32, tag = "1")]
    pub(crate) count: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) count_logical: u32,
    #[prost(string, tag = "3")]
    pub(crate) model: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GpuNvidia {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint64, tag = "2")]
    pub(crate) memory_total: u64,
    #[prost(string, tag = "5")]
    pub(crate) uuid: String,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 }
    }
}
