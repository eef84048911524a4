//! `cargo fuzz run recover --features libfuzzer --sanitizer none`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::recover(data));
