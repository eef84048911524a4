//! `.ci/fuzz 60 frame`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::frame(data));
