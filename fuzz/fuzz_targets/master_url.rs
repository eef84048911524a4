//! `.ci/fuzz 60 master_url`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::master_url(data));
