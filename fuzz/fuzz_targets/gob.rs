//! `cargo fuzz run gob --features libfuzzer --sanitizer none`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::gob(data));
