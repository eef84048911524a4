//! `.ci/fuzz 60 gob`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::gob(data));
