//! `.ci/fuzz 60 patrol_request`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::patrol_request(data));
