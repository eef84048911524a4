//! `.ci/fuzz 60 control_body`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::control_body(data));
