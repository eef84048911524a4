//! `.ci/fuzz 60 topic`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::topic(data));
