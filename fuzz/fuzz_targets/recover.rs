//! `.ci/fuzz 60 recover`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::recover(data));
