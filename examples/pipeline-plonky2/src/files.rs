use std::fs;
use std::path::Path;
use std::process::ExitCode;

pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
}

pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{} can't be written: {error}", path.display()))
}

/// What a program's end looks like from outside: a line, and an exit code.
pub fn report(end: Result<String, String>) -> ExitCode {
    match end {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
