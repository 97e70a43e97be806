//! How every "why not" is spelled: one word, the same in messages, tables, metrics and logs.

/// Makes an enum of reasons: each variant is written as its own name in snake case.
macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
        )]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// The word for it in messages, tables, metrics and logs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }
    };
}
pub(crate) use reasons;

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Debug;
    use std::str::FromStr;

    use serde::Serialize;
    use strum::VariantNames;

    /// Every variant of `T` has the same word as text and in a message.
    pub(crate) fn same_word_everywhere<T>()
    where
        T: VariantNames + FromStr<Err: Debug> + Serialize + Copy + Into<&'static str>,
    {
        for word in T::VARIANTS {
            let reason: T = word.parse().unwrap();
            let encoded = serde_cbor::value::to_value(reason).unwrap();
            assert_eq!((reason.into(), encoded), (*word, serde_cbor::Value::Text((*word).to_owned())));
        }
    }
}
