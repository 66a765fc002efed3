//! The worker alone, as the tests of this crate start it. The `causeway` binary is its own worker.

fn main() -> std::io::Result<()> {
    causeway_script::run_worker()
}
