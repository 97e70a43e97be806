//! What texts and numbers of the API may look like: schemas for the OpenAPI document, beside the types that enforce them.
//!
//! A client, and a program that tries the API, can then tell a good request from a bad one as the server does.

use hearthwatch_protocol::messages::RefusalReason;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// Largest number in a request: what JSON readers that know only doubles keep exact (2^53 − 1).
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Every reason to refuse a record; a test holds it against the type.
const REFUSALS: [RefusalReason; 17] = [
    RefusalReason::TooLarge,
    RefusalReason::Malformed,
    RefusalReason::UnknownSchema,
    RefusalReason::NotFinite,
    RefusalReason::WindowShape,
    RefusalReason::UnknownHome,
    RefusalReason::WrongHome,
    RefusalReason::WrongTopic,
    RefusalReason::ReplayedSequence,
    RefusalReason::UnknownClass,
    RefusalReason::UnknownModel,
    RefusalReason::ImplausibleTime,
    RefusalReason::QuotaExceeded,
    RefusalReason::Withdrawn,
    RefusalReason::NotAnnounced,
    RefusalReason::SequenceAhead,
    RefusalReason::Unstorable,
];

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
    /// A model's version, or another number that counts up.
    Number => ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0_u64))
        .maximum(Some(NUMBER_MAX));
    /// Where a list goes on: a home and one of its numbers.
    FeedbackKey => text("`HOME/SEQUENCE`.").pattern(Some("^[a-z0-9-]{1,64}/[0-9]{1,15}$"));
    /// A sentence for those who read the audit log later.
    Sentence => text("Not blank, at most 1,000 characters.").pattern(Some(r"\S")).max_length(Some(1_000));
    /// A claim token.
    Claim => text("As `hearthwatch-provision home add` prints it.").pattern(Some("^[!-~]{1,128}$")).max_length(Some(128));
    /// A signing request.
    SigningRequest => text("PKCS#10, PEM.").pattern(Some("^[ -~\r\n]{1,4096}$")).max_length(Some(4_096));
    /// Bytes as text.
    Base64 => text("Base64 with padding (RFC 4648 §4).")
        .pattern(Some("^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"))
        .max_length(Some(8_192));
    /// A resident's answer.
    VerdictWord => words("What the resident said.", &["confirmed", "dismissed", "expected"]);
    /// What was answered.
    OriginWord => words("What was answered.", &["alarm", "probe", "miss"]);
    /// How an update ended.
    OutcomeWord => words("How the update ended.", &["installed", "refused", "rolled_back"]);
    /// Where an update stood when it ended.
    StageWord => words("Where the update stood when it ended.", &["fetch", "verify", "install", "run", "other"]);
    /// A test of a rollout.
    TestWord => words(
        "Which test.",
        &["installation", "dismissals", "confirmations", "canaries", "disagreement"],
    );
    /// What is proven of a home.
    AttestationWord => words("What is proven.", &["attested", "differs", "behind", "unproven", "silent"]);
    /// What the trainer is at.
    PhaseWord => words(
        "What the trainer is at.",
        &["idle", "snapshot", "preparing", "training", "evaluating", "releasing"],
    );
    /// What becomes of a renewal.
    RenewalWord => words("Whether there is a certificate.", &["given", "waits"]);
    /// Why something was refused.
    RefusalWord => words("Why it was refused.", &REFUSALS.map(RefusalReason::as_str));
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn words(description: &str, words: &[&'static str]) -> ObjectBuilder {
    text(description).enum_values(Some(words.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One arm for each reason: a new one does not compile until it is here, and then has to be in the list.
    fn place(reason: RefusalReason) -> usize {
        match reason {
            RefusalReason::TooLarge => 0,
            RefusalReason::Malformed => 1,
            RefusalReason::UnknownSchema => 2,
            RefusalReason::NotFinite => 3,
            RefusalReason::WindowShape => 4,
            RefusalReason::UnknownHome => 5,
            RefusalReason::WrongHome => 6,
            RefusalReason::WrongTopic => 7,
            RefusalReason::ReplayedSequence => 8,
            RefusalReason::UnknownClass => 9,
            RefusalReason::UnknownModel => 10,
            RefusalReason::ImplausibleTime => 11,
            RefusalReason::QuotaExceeded => 12,
            RefusalReason::Withdrawn => 13,
            RefusalReason::NotAnnounced => 14,
            RefusalReason::SequenceAhead => 15,
            RefusalReason::Unstorable => 16,
        }
    }

    #[test]
    fn the_document_names_every_reason_to_refuse() {
        for (at, reason) in REFUSALS.into_iter().enumerate() {
            assert_eq!(place(reason), at);
        }
    }
}
