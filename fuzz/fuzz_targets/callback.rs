#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tokenry_fuzz::callback::run(data));
