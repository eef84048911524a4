//! `.ci/fuzz 60 journal`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::journal(data));
