//! `.ci/fuzz 60 rules`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::rules(data));
