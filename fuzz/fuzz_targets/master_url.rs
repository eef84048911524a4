//! `cargo fuzz run master_url --features libfuzzer --sanitizer none`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openctrl_fuzz::master_url(data));
