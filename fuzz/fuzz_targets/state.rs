//! `.ci/fuzz 60 state`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::state(data));
