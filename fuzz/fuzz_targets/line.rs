//! `.ci/fuzz 60 line`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::line(data));
