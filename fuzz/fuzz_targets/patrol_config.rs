//! `.ci/fuzz 60 patrol_config`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::patrol_config(data));
