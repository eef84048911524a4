//! `.ci/fuzz 60 keeper`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::keeper(data));
