//! `.ci/fuzz 60 checkpoint`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::checkpoint(data));
