//! `.ci/fuzz 60 handover`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::handover(data));
