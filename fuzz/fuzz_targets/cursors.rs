//! `.ci/fuzz 60 cursors`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::cursors(data));
