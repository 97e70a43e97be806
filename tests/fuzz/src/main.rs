//! libFuzzer over one decoder, named by `HEARTHWATCH_FUZZ`; the rest of the command line is libFuzzer's own.
#![no_main]

use std::sync::LazyLock;

use hearthwatch_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("HEARTHWATCH_FUZZ").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("HEARTHWATCH_FUZZ={name:?} names no target"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.run(bytes));
