//! `cargo fuzz run line --features libfuzzer --sanitizer none`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::line(data));
