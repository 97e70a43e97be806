//! What texts and numbers of the API may look like: schemas for the OpenAPI document, beside the types that enforce them.
//!
//! A client, and a program that tries the API, can then tell a good request from a bad one as the server does.

use hearthwatch_fleet::rollout::attest::Attestation;
use hearthwatch_fleet::rollout::gate::Test;
use hearthwatch_protocol::messages::{Origin, RefusalReason, UpdateStage, Verdict};
use hearthwatch_supervision as supervision;
use serde::{Deserialize, Serialize};
use strum::VariantNames as _;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::problem::{PROBLEM_PREFIX, Problem};

/// Largest number in a request: what JSON readers that know only doubles keep exact (2^53 − 1).
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Types that are nothing but a schema.
macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident => $schema:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

schemas! {
    /// A home's name, as [`hearthwatch_protocol::HomeId`] checks it; tokens are named alike.
    Name => text("1 to 64 characters of a-z, 0-9 and `-`.").pattern(Some("^[a-z0-9-]{1,64}$")).max_length(Some(64));
    /// What a token may do, as [`super::scope::Scope`] reads it.
    ScopeWord => text("`NOUN:VERB`, e.g. `homes:read`, `rollouts:halt`; `*` stands for any, `write` for all but `read`.")
        .pattern(Some("^([a-z-]{1,32}|[*]):([a-z-]{1,32}|[*])$")).max_length(Some(65));
    /// A model's version, or another number that counts up.
    Number => ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0_u64))
        .maximum(Some(NUMBER_MAX));
    /// An operator's word for a home.
    Tag => text("1 to 64 characters of a-z, 0-9, `.`, `_`, `:` and `-`.")
        .pattern(Some("^[a-z0-9._:-]{1,64}$"))
        .max_length(Some(64));
    /// Where a list goes on: a home and one of its numbers.
    FeedbackKey => text("`HOME/SEQUENCE`.").pattern(Some("^[a-z0-9-]{1,64}/[0-9]{1,15}$"));
    /// A sentence for those who read the audit log later.
    Sentence => text("Not blank, at most 1,000 characters.").pattern(Some(r"\S")).max_length(Some(1_000));
    /// Proof that a home may enrol; works for one key.
    Claim => text("As `hearthwatch-provision home add` prints it.").pattern(Some("^[!-~]{1,128}$")).max_length(Some(128));
    /// What a home wants certified.
    SigningRequest => text("PKCS#10, PEM.").pattern(Some("^[ -~\r\n]{1,4096}$")).max_length(Some(4_096));
    /// Bytes of a signed statement.
    Base64 => text("Base64 with padding (RFC 4648 §4).")
        .pattern(Some("^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"))
        .max_length(Some(8_192));
    /// What the resident said.
    VerdictWord => words("What the resident said.", Verdict::VARIANTS);
    /// Where an update stood when it ended.
    StageWord => words("Where the update stood when it ended.", UpdateStage::VARIANTS);
    /// A test of a rollout.
    TestWord => words("Which test.", Test::VARIANTS);
    /// What the trainer is at.
    PhaseWord => words(
        "What the trainer is at.",
        &["idle", "snapshot", "preparing", "training", "evaluating", "releasing"],
    );
    /// Why something was refused.
    RefusalWord => words("Why it was refused.", RefusalReason::VARIANTS);
    /// How the whole program is doing.
    HealthWord => words("How the program is doing.", supervision::Verdict::VARIANTS);
    /// What the end of a part means.
    GradeWord => words("What the end of a part means for the program.", supervision::Grade::VARIANTS);
    /// How a part is doing.
    PartState => words("How a part is doing.", supervision::State::VARIANTS);
    /// The names of all problems.
    ProblemType => text("Which problem it is.")
        .enum_values(Some(Problem::VARIANTS.iter().map(|name| format!("{PROBLEM_PREFIX}{name}"))));
}

/// Enumerations of the API whose types elsewhere carry more than a word.
macro_rules! enumerations {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }
    )+};
}

enumerations! {
    /// What was answered.
    OriginWord {
        /// An alarm of the agent's.
        Alarm,
        /// A question about a window drawn at random.
        Probe,
        /// Nothing: the resident reported what the agent had not noticed.
        Miss,
    }
    /// How the update ended.
    OutcomeWord {
        /// In charge, and proven on the home's own windows.
        Installed,
        /// Never put in charge.
        Refused,
        /// Was in charge; the model before it is again.
        RolledBack,
    }
    /// What is proven.
    AttestationWord {
        /// It runs what it was ordered to.
        Attested,
        /// It knows the newest order and runs something else.
        Differs,
        /// Its word is older than the newest order.
        Behind,
        /// Its word is not signed by a key that was certified for it.
        Unproven,
        /// It never said what it runs.
        Silent,
    }
    /// Whether a claim can be used.
    ClaimState {
        /// It can.
        Open,
        /// It was, by a key.
        Used,
        /// Its time is over.
        Expired,
    }
    /// Whether there is a certificate.
    RenewalWord {
        /// The next certificate is in the answer.
        Given,
        /// An operator has to say yes first.
        Waits,
    }
}

impl OriginWord {
    /// The word for it, as the store has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Probe => "probe",
            Self::Miss => "miss",
        }
    }
}

impl From<Origin> for OriginWord {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Alarm => Self::Alarm,
            Origin::AuditSample { .. } => Self::Probe,
            Origin::Miss => Self::Miss,
        }
    }
}

impl From<&Attestation> for AttestationWord {
    fn from(attestation: &Attestation) -> Self {
        match attestation {
            Attestation::Attested { .. } => Self::Attested,
            Attestation::Differs { .. } => Self::Differs,
            Attestation::Behind { .. } => Self::Behind,
            Attestation::Unproven(_) => Self::Unproven,
            Attestation::Silent => Self::Silent,
        }
    }
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn words(description: &str, words: &'static [&'static str]) -> ObjectBuilder {
    text(description).enum_values(Some(words.iter().copied()))
}
