//! Every bound on what may cross the wire, with the arithmetic behind it.

/// Longest identity, in bytes. A UUID has 36; 64 is the common name's limit in X.509 (`ub-common-name`).
pub const ID_LENGTH_MAX: usize = 64;

/// Largest MQTT payload that is looked at, in bytes. The largest honest message is a feedback record:
/// 96 steps × 20 features × 4 bytes = 7,680 and under 1 KiB of fields around it. 64 KiB leaves room to grow by eight.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Most steps in a feature window: 96 steps of 10 minutes are 16 hours; 288 would be two days.
pub const WINDOW_STEPS_MAX: usize = 288;

/// Most features of a step; 20 today.
pub const WINDOW_FEATURES_MAX: usize = 64;

/// Longest free text inside a message (a reason, a version, a device class), in bytes.
pub const TEXT_BYTES_MAX: usize = 256;

/// Most refusals listed in one receipt; the rest follow in the next one.
pub const REFUSALS_MAX: usize = 64;

/// Most numbers of which one receipt tells what bytes stand under them: as many as an agent has in flight. 8 bytes each: 256 bytes.
pub const RECEIPT_DIGESTS_MAX: usize = 32;

/// Most records that one withdrawal names; more go into the next, or into "everything". 9 bytes each: 9 KiB.
pub const WITHDRAWN_RECORDS_MAX: usize = 1_000;

/// Most models that a withdrawal's receipt names, newest first: five years of weekly releases.
pub const WITHDRAWN_MODELS_MAX: usize = 260;

/// Largest model artifact an agent downloads, in bytes. 30,000 parameters × 4 bytes = 120 KB; 4 MiB is thirty times that.
pub const ARTIFACT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Largest signed statement (an assignment, a manifest), in bytes. An honest one has 400; the text fields could make it 1,200.
pub const SEALED_BYTES_MAX: usize = 2 * 1024;

/// Longest signing request in a signed renewal, in bytes: a P-256 request has 500 as PEM; with it the statement stays below
/// [`SEALED_BYTES_MAX`].
pub const RENEWAL_CSR_BYTES_MAX: usize = 1536;

/// Most steps of the optimizer that a plan may ask of a home: ten times what is asked, half a minute on a Pi 4.
pub const ROUND_STEPS_MAX: u32 = 200;

/// Most windows of a step that a plan may ask for: four times what is asked.
pub const ROUND_BATCH_MAX: u32 = 512;

/// Largest norm of a delta that a plan may let through. Honest ones have about 1.
pub const ROUND_CLIP_MAX: f64 = 100.0;

/// Largest noise that a plan may ask for, on a value of a delta or on a count.
pub const ROUND_NOISE_MAX: f64 = 100.0;

/// Most models that a home judges in a round: a candidate, the model in use and the control, and one more.
pub const ROUND_MODELS_MAX: usize = 4;

/// Most sensors with which a home trains or evaluates in a round: with 24, training needs 20 MB for their traces.
pub const ROUND_ENTITIES_MAX: usize = 24;

/// Most device classes in an offer; there are 17.
pub const ROUND_CLASSES_MAX: usize = 64;

/// Largest body of a round's answer, in bytes: a delta has 29,862 and some CBOR around it; counts of four models in 17 classes,
/// 2 × 121 counts each of two bytes, would have 33 KB; a delta under masks has two bytes a value, 59,750 with what is around it.
pub const ROUND_BODY_BYTES_MAX: usize = 60 * 1024;

/// Fewest homes of a group in a masked round: the threshold is then 3, so that no sum has the deltas of fewer than three homes.
pub const MASK_GROUP_MIN: usize = 4;

/// Most homes of a group in a masked round: sums of 16 homes fit into 16 bits a value, and robust aggregation sees group sums only.
pub const MASK_GROUP_MAX: usize = 16;

/// Largest body of a request in a masked round, in bytes: for 16 homes their names (66 bytes each) and keys (92) have 2.6 KB, the shares for
/// one home (210 from each) 3.4 KB.
pub const ROUND_REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a body in one message: a delta is sent in three. Brokers on small machines are often set to 16 KiB.
pub const ROUND_PART_BYTES_MAX: usize = 12 * 1024;
