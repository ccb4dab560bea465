//! `itb-worker`: works on stages of the pipeline.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(exit) = workers::program::child_role(&arguments) {
        return exit;
    }
    match workers::program::main(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("itb-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}
