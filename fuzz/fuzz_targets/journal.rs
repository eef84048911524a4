//! `cargo fuzz run journal --features libfuzzer --sanitizer none`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::journal(data));
