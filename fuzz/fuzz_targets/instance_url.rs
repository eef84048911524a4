//! `.ci/fuzz 60 instance_url`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::instance_url(data));
