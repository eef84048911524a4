//! `.ci/fuzz 60 request`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::request(data));
