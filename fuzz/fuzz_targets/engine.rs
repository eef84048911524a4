//! `.ci/fuzz 60 engine`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::engine(data));
