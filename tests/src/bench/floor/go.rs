//! A bare Go `net/http` server on a Unix socket, where there is Go: what the reference is built on.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::stage::Stage;

/// Answers every request with the bytes of a file, until its stdin ends.
const SOURCE: &str = r#"package main

import (
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	body, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("unix", os.Args[2])
	if err != nil {
		panic(err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	os.Stdout.WriteString("ready\n")
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})))
}
"#;

/// The server; it ends with this value.
pub struct GoServer {
    child: Child,
    socket: PathBuf,
}

impl GoServer {
    /// Builds and starts one that answers with these bytes; `None` where Go is missing or cannot
    /// build it. The program is built beside the files of the stage, never in the repository.
    ///
    /// # Errors
    /// What the system says of a program that was built.
    pub fn start(stage: &Stage, body: &[u8]) -> io::Result<Option<Self>> {
        let program = stage.file("go-server");
        if !program.exists() && !build(stage, &program) {
            return Ok(None);
        }
        let (file, socket) = (stage.file("go-body"), stage.file("go.sock"));
        fs::write(&file, body)?;
        let _ = fs::remove_file(&socket);
        let mut child = Command::new(&program)
            .args([&file, &socket])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.as_mut().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut String::new())?;
        Ok(Some(Self { child, socket }))
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid fits")
    }
}

impl Drop for GoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn build(stage: &Stage, program: &Path) -> bool {
    let source = stage.file("server.go");
    if fs::write(&source, SOURCE).is_err() {
        return false;
    }
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(program).arg(&source);
    // Only the standard library: nothing is fetched.
    command.env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    command.output().is_ok_and(|output| output.status.success())
}
